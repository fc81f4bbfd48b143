#include "snapshotter/tree/dir_scan.hpp"

#include <random>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/remove_tree.hpp"
#include "base/temp_dir.hpp"
#include "layers.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace testing_layers;

class UpperTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "needs the right to mount";
    for (const char* name : {"/lower", "/upper", "/work", "/merged"}) sys::make_dirs(path_ + name);
  }

  void lower(std::vector<Entry> entries) {
    lower_ = MergedIndex({layer(std::move(entries))});
    write_tree(path_ + "/lower", lower_.layers()[0]->entries());
  }

  /// What a step that did `body` in the mounted root has changed.
  LayerIndex step(const std::function<void(const std::string&)>& body) {
    in_mount_namespace([&] {
      mount_overlay({path_ + "/lower"}, path_ + "/upper", path_ + "/work", path_ + "/merged");
      body(path_ + "/merged/");
      const UniqueFd top = sys::open(path_ + "/merged", O_RDONLY | O_DIRECTORY);
      seen_ = scan_tree(top.get(), false);
    });
    const UniqueFd upper = sys::open(path_ + "/upper", O_RDONLY | O_DIRECTORY);
    LayerIndex index = index_upper(upper.get(), false, lower_, [&](const Found& found) {
      return sys::open(path_ + "/lower/" + found.entry->path, O_RDONLY);
    });
    // Index and directory are two forms of one thing.
    auto scanned = scan_tree(upper.get(), false);
    if (!index.find("")) std::erase_if(scanned, [](const Entry& e) { return e.path.empty(); });
    EXPECT_EQ(LayerIndex(std::move(scanned)).entries(), index.entries());
    return index;
  }

  static std::vector<std::string> paths(const LayerIndex& index) {
    std::vector<std::string> out;
    for (const auto& entry : index.entries()) out.push_back(entry.path);
    return out;
  }

  static void append(const std::string& path, const std::string& text) {
    const UniqueFd fd = sys::open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    sys::write_all(fd.get(), text);
  }

  TempDir temp_ = TempDir::create("/tmp", "lade-test-");
  std::string path_ = temp_.path();
  MergedIndex lower_{{}};
  std::vector<Entry> seen_;
};

TEST_F(UpperTest, NothingDoneIsNoChange) {
  lower({dir("d"), file("d/f", 5)});
  EXPECT_THAT(paths(step([](const std::string&) {})), IsEmpty());
}

TEST_F(UpperTest, CopiedUpAndLeftAloneIsNoChange) {
  lower({dir("d"), file("d/f", 5), file("g", 3)});
  const LayerIndex index = step([](const std::string& root) {
    UniqueFd(::open((root + "d/f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)).close();
    ASSERT_EQ(::chmod((root + "g").c_str(), 0644), 0);
  });
  EXPECT_THAT(paths(index), IsEmpty());
  EXPECT_FALSE(sys::lstatat(AT_FDCWD, path_ + "/upper/d"));
}

TEST_F(UpperTest, MadeAndRemovedAgainIsNoChange) {
  lower({dir("d"), file("d/f", 5)});
  const LayerIndex index = step([](const std::string& root) {
    append(root + "d/new", "x");
    ASSERT_EQ(::unlink((root + "d/new").c_str()), 0);
  });
  EXPECT_THAT(paths(index), IsEmpty());
}

TEST_F(UpperTest, AFileWithTheSameMetadataAndOtherBytesIsAChange) {
  Entry f = file("f", 5);
  f.mtime_sec = 1'000'000'000;
  f.mtime_nsec = 7;
  lower({f, file("g", 5)});
  const LayerIndex index = step([&](const std::string& root) {
    const UniqueFd fd = sys::open(root + "f", O_WRONLY);
    sys::write_all(fd.get(), "other");
    const timespec times[2] = {{0, UTIME_OMIT}, {f.mtime_sec, 7}};
    ASSERT_EQ(::futimens(fd.get(), times), 0);
  });
  EXPECT_THAT(paths(index), ElementsAre("f"));
}

TEST_F(UpperTest, EveryKindOfChangeIsOne) {
  lower({file("mode"), file("owner"), file("time"), file("xattr"), file("size", 3), file("gone"),
         dir("gone-dir"), file("gone-dir/x"), file("to-dir"), dir("to-file"), link("link", "a"),
         dir("dir-mode"), file("hard")});
  const LayerIndex index = step([](const std::string& root) {
    ::chmod((root + "mode").c_str(), 0600);
    ::chown((root + "owner").c_str(), 5, 0);
    const timespec times[2] = {{0, UTIME_OMIT}, {0, 1}};
    ::utimensat(AT_FDCWD, (root + "time").c_str(), times, 0);
    ::setxattr((root + "xattr").c_str(), "user.x", "1", 1, 0);
    append(root + "size", "y");
    ::unlink((root + "gone").c_str());
    ::unlink((root + "gone-dir/x").c_str());
    ::rmdir((root + "gone-dir").c_str());
    ::unlink((root + "to-dir").c_str());
    ::mkdir((root + "to-dir").c_str(), 0755);
    ::rmdir((root + "to-file").c_str());
    append(root + "to-file", "z");
    ::unlink((root + "link").c_str());
    EXPECT_EQ(::symlink("b", (root + "link").c_str()), 0);
    ::chmod((root + "dir-mode").c_str(), 0700);
    EXPECT_EQ(::link((root + "hard").c_str(), (root + "hard2").c_str()), 0);
  });
  EXPECT_THAT(paths(index),
              ElementsAre("dir-mode", "gone", "gone-dir", "hard", "hard2", "link", "mode", "owner",
                          "size", "time", "to-dir", "to-file", "xattr"));
  EXPECT_EQ(index.find("gone-dir")->type, EntryType::whiteout);
  EXPECT_NE(index.find("hard")->hardlink_group, 0U);
  EXPECT_EQ(lines(MergedIndex({lower_.layers()[0], layer(index.entries())})), lines(seen_));
}

TEST_F(UpperTest, OnlyDirectoriesOverDirectoriesStayOpaque) {
  lower({dir("d"), file("d/x"), file("f")});
  const LayerIndex index = step([](const std::string& root) {
    ::unlink((root + "d/x").c_str());
    ::rmdir((root + "d").c_str());
    ::mkdir((root + "d").c_str(), 0755);
    ::mkdir((root + "new").c_str(), 0755);
    ::unlink((root + "f").c_str());
    ::mkdir((root + "f").c_str(), 0755);
  });
  EXPECT_THAT(paths(index), ElementsAre("d", "f", "new"));
  EXPECT_TRUE(index.find("d")->opaque);
  EXPECT_FALSE(index.find("f")->opaque);
  EXPECT_FALSE(index.find("new")->opaque);
}

TEST_F(UpperTest, TheRootIsAChangeOnlyIfItsModeOrOwnerIs) {
  lower({file("f")});
  EXPECT_THAT(paths(step([](const std::string& root) { append(root + "n", ""); })),
              ElementsAre("n"));
}

TEST_F(UpperTest, AChangedRootIsAnEntry) {
  lower({file("f")});
  const LayerIndex index = step([](const std::string& root) { ::chmod(root.c_str(), 0700); });
  EXPECT_THAT(paths(index), ElementsAre(""));
  EXPECT_EQ(index.find("")->mode, 0700U);
}

TEST_F(UpperTest, WhiteoutsOfWhatLowerNeverHadAreDropped) {
  lower({dir("d"), file("d/f")});
  // As stub lowers leave them behind: the step removed something that only they had.
  sys::make_dirs(path_ + "/upper/d");
  ASSERT_EQ(::mknod((path_ + "/upper/d/stub").c_str(), S_IFCHR, makedev(0, 0)), 0);
  ASSERT_EQ(::mknod((path_ + "/upper/d/f").c_str(), S_IFCHR, makedev(0, 0)), 0);
  EXPECT_THAT(paths(step([](const std::string&) {})), ElementsAre("d", "d/f"));
}

TEST_F(UpperTest, RandomStepsGiveTheViewTheyLeft) {
  std::mt19937 random(99);
  for (int round = 0; round < 40; ++round) {
    temp_ = TempDir::create("/tmp", "lade-test-");
    path_ = temp_.path();
    SetUp();
    std::vector<Entry> base = random_layer(random);
    std::erase_if(base, [](const Entry& e) { return e.type == EntryType::whiteout; });
    for (auto& entry : base) entry.opaque = false;
    lower(base);
    std::vector<std::string> names = {"a",   "b",     "b.c",     "d",   "a/b", "a/d",  "b/a",
                                      "d/b", "a/b/d", "b/b.c/a", "d/a", "new", "a/new"};
    const LayerIndex index = step([&](const std::string& root) {
      for (int i = 0; i < 12; ++i) {
        const std::string path = root + names[random() % names.size()];
        const std::string other = root + names[random() % names.size()];
        const auto done = [](int) {};  // many of these fail, as they should
        switch (random() % 9) {
          case 0:
            done(::unlink(path.c_str()));
            break;
          case 1:
            done(::rmdir(path.c_str()));
            break;
          case 2:
            done(::mkdir(path.c_str(), 0755));
            break;
          case 3:
            done(::chmod(path.c_str(), random() % 2 ? 0755 : 0644));
            break;
          case 4:
            done(::link(path.c_str(), other.c_str()));
            break;
          case 5:
            done(::rename(path.c_str(), other.c_str()));
            break;
          case 6:
            done(::symlink("t", path.c_str()));
            break;
          case 7:
            try {
              sys::remove_tree(AT_FDCWD, path);
            } catch (const Error&) {
            }
            break;
          default: {
            const UniqueFd fd(::open(
                path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
            if (fd && random() % 2) done(static_cast<int>(::write(fd.get(), "new", 3)));
          }
        }
      }
    });
    const MergedIndex after({lower_.layers()[0], layer(index.entries())});
    // A directory whose mtime alone changed is no change.
    EXPECT_EQ(lines(after, false), lines(seen_, false)) << "round " << round;
  }
}

TEST(ScanTree, XattrWhiteoutsAndOverlaysMarksAreNotEntriesOfTheirOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for trusted xattrs";
  const TempDir temp = TempDir::create("/tmp", "lade-test-");
  for (const char* name : {"w", "f"}) {
    UniqueFd fd = sys::open(temp.path() + "/" + name, O_WRONLY | O_CREAT, 0644);
    if (*name == 'w') {
      ASSERT_EQ(::fsetxattr(fd.get(), "trusted.overlay.whiteout", "", 0, 0), 0);
    }
    ASSERT_EQ(::fsetxattr(fd.get(), "trusted.overlay.origin", "x", 1, 0), 0);
  }
  sys::make_dirs(temp.path() + "/x");
  ASSERT_EQ(::setxattr((temp.path() + "/x").c_str(), "trusted.overlay.opaque", "x", 1, 0), 0);
  const UniqueFd fd = sys::open(temp.path(), O_RDONLY | O_DIRECTORY);
  const LayerIndex index(scan_tree(fd.get(), false));
  EXPECT_EQ(index.find("w")->type, EntryType::whiteout);
  EXPECT_EQ(index.find("f")->type, EntryType::regular);
  EXPECT_THAT(index.find("f")->xattrs, IsEmpty());
  EXPECT_FALSE(index.find("x")->opaque);
}

}  // namespace
}  // namespace lade
