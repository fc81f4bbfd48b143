#include "base/directory_chain.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"

namespace lade {
namespace {

/// Fewer descriptors than the trees have levels, for as long as a test takes.
class FewDescriptors {
 public:
  FewDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{64, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class DeepTreeTest : public ::testing::Test {
 protected:
  UniqueFd root() const { return sys::open(temp_.path(), O_RDONLY | O_DIRECTORY); }

  /// "d/d/.../d", with a file "f" in the last one.
  void nest(int levels) const {
    UniqueFd dir = root();
    for (int i = 0; i < levels; ++i) {
      sys::mkdirat(dir.get(), "d", 0755);
      dir = sys::openat(dir.get(), "d", O_RDONLY | O_DIRECTORY);
    }
    sys::openat(dir.get(), "f", O_WRONLY | O_CREAT, 0644);
  }

  TempDir temp_ = TempDir::create(::testing::TempDir());
  FewDescriptors few_;
};

TEST_F(DeepTreeTest, IsWalkedDownAndUpWithFewDescriptors) {
  constexpr int kLevels = 2000;
  nest(kLevels);
  DirectoryChain chain(root());
  for (int i = 0; i < kLevels; ++i) chain.enter("d");
  EXPECT_TRUE(sys::lstatat(chain.fd(), "f"));
  EXPECT_EQ(chain.depth(), kLevels + 1U);
  for (int i = 0; i < kLevels; ++i) chain.leave();
  EXPECT_EQ(sys::fstat(chain.fd()).st_ino, sys::fstat(root().get()).st_ino);
}

TEST_F(DeepTreeTest, IsRemovedThoughItsPathIsLongerThanAnyPathMayBe) {
  nest(5000);
  sys::remove_tree(root().get(), "d");
  EXPECT_FALSE(sys::lstatat(root().get(), "d"));
}

TEST_F(DeepTreeTest, DoesNotLeadElsewhereWhenADirectoryIsMoved) {
  nest(100);
  DirectoryChain chain(root());
  for (int i = 0; i < 100; ++i) chain.enter("d");
  sys::mkdirat(root().get(), "elsewhere", 0755);
  // Level 50, from which on descriptors are closed, goes somewhere else.
  std::string path;
  for (int i = 0; i < 50; ++i) path += "d/";
  sys::renameat(root().get(), path + "d", root().get(), "elsewhere/d");
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) chain.leave();
      },
      Error);
}

TEST_F(DeepTreeTest, SymlinksAreNotEntered) {
  ASSERT_EQ(::symlinkat("/", root().get(), "link"), 0);
  DirectoryChain chain(root());
  EXPECT_THROW(chain.enter("link"), Error);
}

}  // namespace
}  // namespace lade
