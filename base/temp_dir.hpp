// Temporary files and directories that go away with their owner.
#pragma once

#include <string>

#include "base/unique_fd.hpp"

namespace lade {

/// A fresh directory below `parent`, removed with its contents on destruction, which never
/// crosses a mount.
class TempDir {
 public:
  TempDir() = default;
  static TempDir create(const std::string& parent, const std::string& prefix = "tmp-");
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace lade
