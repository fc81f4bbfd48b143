// Helpers of tests that need a state directory: layers made from lists of files, contexts on disk,
// views as text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/temp_dir.hpp"
#include "snapshotter/state.hpp"
#include "solver/source/local.hpp"

namespace lade::testing_solver {

/// A real state directory below /tmp and a directory for contexts beside it. Needs root (owners,
/// devices).
class StateTest : public testing::Test {
 protected:
  void SetUp() override;

  LayerStore& layers() { return state_->layers(); }

  /// A file of a made-up tree: "etc/" is a directory, a `link` makes it a symlink.
  struct File {
    std::string path;
    std::string content{};
    uint32_t mode = 0644;  ///< 0755 for directories unless given
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::string link{};
    std::string hardlink_to{};
    int64_t mtime = 1'000'000'000;
  };
  /// Commits one layer with these files (parents must come first; missing ones are made 0755).
  LayerId layer(const std::vector<File>& files);
  /// Writes them below the directory `name` of the temp dir, which is made anew; returns its path.
  std::string context(const std::vector<File>& files, const std::string& name = "context");
  /// Scans it.
  std::shared_ptr<const Tree> scan(const std::string& path,
                                   std::vector<std::string> ignore = {}) const;

  /// One line per entry: "d 755 0:0 a", "f 644 0:0 a/b = CONTENT", "l a -> b"; sorted as in an
  /// index.
  std::vector<std::string> view(const LayerStack& stack);
  /// The same of one layer's own entries (without the root); "w a" for a whiteout.
  std::vector<std::string> own(LayerId layer);
  std::string content(const LayerStack& stack, const std::string& path);
  Entry entry(const LayerStack& stack, const std::string& path);

  TempDir dir_ = TempDir::create("/tmp", "solver-test-");
  std::unique_ptr<StateDir> state_;

 private:
  static void write(const std::string& root, const std::vector<File>& files);
};

}  // namespace lade::testing_solver
