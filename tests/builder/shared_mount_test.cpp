// A cache mount that goes through a shared cache: as it was, or not at all.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "exporter/mount_blob.hpp"
#include "solver/ops/restore_mount.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class RestoreMount : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: mounts have owners";
    state_ = StateDir::open(dir_.path() + "/state");
    from_.emplace(state_->root(), Digest::of("from"));
    to_.emplace(state_->root(), Digest::of("to"));
    from_->make(11, 12, 0750);
    sys::write_file_atomically(from_->path() + "/.wh.file", "text");
    ::link((from_->path() + "/.wh.file").c_str(), (from_->path() + "/hard").c_str());
    ::mkfifo((from_->path() + "/pipe").c_str(), 0600);
    blob_ = make_mount_blob(*state_, *from_, {});
  }

  TempDir dir_ = TempDir::create(testing::TempDir());
  std::unique_ptr<StateDir> state_;
  std::optional<CacheMountDirectory> from_;
  std::optional<CacheMountDirectory> to_;
  Descriptor blob_;
};

TEST_F(RestoreMount, ATreeComesBackAsItWas) {
  EXPECT_EQ(make_mount_blob(*state_, *from_, {}).digest, blob_.digest);
  restore_mount(*state_, *to_, blob_, *local_blobs(state_->content()));
  EXPECT_EQ(make_mount_blob(*state_, *to_, {}).digest, blob_.digest);
  const auto root = sys::lstatat(AT_FDCWD, to_->path());
  ASSERT_TRUE(root);
  EXPECT_EQ(root->st_uid, 11U);
  EXPECT_EQ(root->st_gid, 12U);
  EXPECT_EQ(root->st_mode & 07777U, 0750U);
  const auto file = sys::lstatat(AT_FDCWD, to_->path() + "/.wh.file");
  const auto hard = sys::lstatat(AT_FDCWD, to_->path() + "/hard");
  ASSERT_TRUE(file && hard);
  EXPECT_EQ(file->st_ino, hard->st_ino);
}

TEST_F(RestoreMount, OfADamagedBlobNothingIsThere) {
  Descriptor other = blob_;
  other.size -= 1;
  EXPECT_THAT(
      error_of([&] { restore_mount(*state_, *to_, other, *local_blobs(state_->content())); }),
      HasSubstr("is damaged"));
  EXPECT_FALSE(to_->exists());
  EXPECT_TRUE(std::filesystem::is_empty(state_->tmp()));
}

TEST_F(RestoreMount, AMountInUseIsWaitedForALittle) {
  const auto step = from_->try_lock(true);
  ASSERT_TRUE(step);
  EXPECT_TRUE(from_->try_lock(true));
  EXPECT_FALSE(lock_mount(*from_, 60ms));
  EXPECT_TRUE(lock_mount(*to_, 0ms));
}

}  // namespace
}  // namespace lade
