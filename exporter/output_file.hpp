// Where an export writes one file: a temporary beside the destination, renamed at the end; or, for
// "-" and for what is no regular file (a pipe, /dev/stdout), the thing itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/abrupt_end.hpp"
#include "base/stream.hpp"
#include "base/unique_fd.hpp"

namespace lade {

/// Buffers small writes. Without commit() the destination stays as it was.
class OutputFile : public ByteSink {
 public:
  /// Throws Error naming `dest` for a missing parent, a directory, or no permission.
  static OutputFile create(const std::string& dest);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() override;

  void write(std::string_view bytes) override;
  /// Appends `size` bytes from the current offset of `from`, in the kernel where it can.
  void copy_from(int from, uint64_t size);
  /// Makes the file visible under its name.
  void commit();

 private:
  OutputFile() = default;
  void flush();

  std::string dest_;
  std::string temporary_;  ///< empty: written in place
  std::optional<TemporaryAtRisk> at_risk_;
  UniqueFd owned_;
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace lade
