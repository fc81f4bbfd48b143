// Layers whose files are links of other layers' files.
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "layer_store_fixture.hpp"
#include "snapshotter/layers/layer_store.hpp"
#include "snapshotter/layers/pins.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using namespace testing_layers;
using testing::IsEmpty;

class LayerSharingTest : public LayerStoreTest {
 protected:
  struct stat look(LayerId layer, const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::lstat((store_->directory(layer) + "/" + path).c_str(), &info), 0) << path;
    return info;
  }
  uint64_t links(LayerId layer, const std::string& path) { return look(layer, path).st_nlink; }

  bool is_marked(LayerId layer) {
    auto row = database_->prepare("SELECT 1 FROM shared_layers WHERE layer = ?");
    return row.bind(layer).step();
  }

  static std::vector<Entry> entries() {
    std::vector<Entry> out{dir("d", 0711),  file("d/a", 3),  file("d/b", 3),
                           file("d/h1", 4), file("d/h2", 4), file("e", 1)};
    for (Entry& entry : out) {
      entry.mtime_sec = 1'000'000'000;
      entry.mtime_nsec = 5;
    }
    out[1].mode = 04755;
    out[1].uid = 12;
    out[1].gid = 34;
    out[2].xattrs.push_back({"user.x", "1"});
    out[3].hardlink_group = out[4].hardlink_group = 1;
    return out;
  }

  /// A layer of files of its own, with two that are one.
  LayerId make() {
    PendingLayer pending = store_->prepare();
    std::vector<Entry> all = entries();
    std::vector<Entry> written = all;
    std::erase_if(written, [](const Entry& entry) { return entry.path == "d/h2"; });
    write_tree(pending.path(), written);
    link_to(pending.path() + "/d/h1", pending.path() + "/d/h2");
    set_time(pending.path() + "/d");
    return store_->commit(std::move(pending), LayerIndex(std::move(all)));
  }

  /// One that has the files of `donor`, but for those that are one.
  LayerId borrow(LayerId donor) {
    const auto lent = store_->lend(donor);
    EXPECT_TRUE(lent);
    PendingLayer pending = store_->prepare();
    std::vector<Entry> all = entries();
    all.erase(all.begin() + 3, all.begin() + 5);
    write_tree(pending.path(), {all[0]});
    for (const char* path : {"/d/a", "/d/b", "/e"}) {
      link_to(store_->directory(donor) + path, pending.path() + path);
    }
    set_time(pending.path() + "/d");
    return store_->commit(std::move(pending), LayerIndex(std::move(all)), true);
  }

  static void link_to(const std::string& from, const std::string& to) {
    ASSERT_EQ(::link(from.c_str(), to.c_str()), 0) << to;
  }
  static void set_time(const std::string& path) {
    const timespec times[2] = {{1'000'000'000, 5}, {1'000'000'000, 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
};

TEST_F(LayerSharingTest, AMountedLayerIsNotLent) {
  const LayerId a = make();
  const LayerId b = make();
  store_->overlay({a}, nullptr);
  EXPECT_FALSE(store_->lend(a));
  EXPECT_TRUE(store_->lend(b));
  EXPECT_FALSE(is_marked(a));
  EXPECT_TRUE(is_marked(b));
  // Nor while another process has it mounted.
  const LayerStoreOptions options;
  const auto other = LayerStore::open(root_, *database_, *content_, options);
  other->overlay({b}, nullptr);
  EXPECT_FALSE(store_->lend(b));
}

TEST_F(LayerSharingTest, ALentLayerCannotBeMounted) {
  const LayerId layer = make();
  auto lent = store_->lend(layer);
  ASSERT_TRUE(lent);
  EXPECT_FALSE(store_->lend(layer));
  EXPECT_FALSE(store_->keep_private({layer}, false));
  std::thread returning([&] {
    std::this_thread::sleep_for(50ms);
    lent.reset();
  });
  EXPECT_TRUE(store_->keep_private({layer}, true));
  EXPECT_FALSE(lent);
  returning.join();
}

TEST_F(LayerSharingTest, BeforeAMountSharedFilesBecomeTheLayersOwn) {
  const LayerId donor = make();
  const LayerId layer = borrow(donor);
  EXPECT_EQ(links(layer, "d/a"), 2U);
  EXPECT_FALSE(store_->keep_private({layer}, false));  // there is something to do
  const PendingLayer upper = store_->prepare();
  store_->overlay({layer}, &upper);
  for (const char* path : {"d/a", "d/b", "e"}) {
    EXPECT_EQ(links(layer, path), 1U) << path;
    EXPECT_EQ(links(donor, path), 1U) << path;
  }
  EXPECT_THAT(store_->verify(layer), IsEmpty());
  EXPECT_EQ(look(layer, "d").st_mtim.tv_sec, 1'000'000'000);
  EXPECT_EQ(look(layer, "d").st_mtim.tv_nsec, 5);
  EXPECT_FALSE(is_marked(layer));
  EXPECT_TRUE(is_marked(donor));
  // The donor has nothing left to be given.
  const ino_t inode = look(donor, "d/a").st_ino;
  store_->overlay({donor}, nullptr);
  EXPECT_EQ(look(donor, "d/a").st_ino, inode);
  EXPECT_FALSE(is_marked(donor));
  EXPECT_THAT(names_in("tmp"), testing::SizeIs(1));  // the upper one
}

TEST_F(LayerSharingTest, LinksOfALayerStayLinks) {
  const LayerId layer = make();
  store_->lend(layer);
  const std::string elsewhere = root_ + "/elsewhere";
  link_to(store_->directory(layer) + "/d/h1", elsewhere);
  EXPECT_EQ(links(layer, "d/h1"), 3U);
  store_->overlay({layer}, nullptr);
  EXPECT_EQ(links(layer, "d/h1"), 2U);
  EXPECT_EQ(look(layer, "d/h1").st_ino, look(layer, "d/h2").st_ino);
  EXPECT_THAT(store_->verify(layer), IsEmpty());
}

TEST_F(LayerSharingTest, WhatAKillEndedIsDoneLater) {
  const LayerId layer = make();
  store_->lend(layer);
  database_->execute("UPDATE shared_layers SET changing = 1");
  // One of two names has its new file already, and the directory a new time.
  const std::string path = store_->directory(layer) + "/d/h2";
  sys::write_file_atomically(path, content_of(entries()[3]), 0644);
  set_time(path);
  store_->overlay({layer}, nullptr);
  EXPECT_EQ(links(layer, "d/h1"), 2U);
  EXPECT_EQ(look(layer, "d/h1").st_ino, look(layer, "d/h2").st_ino);
  EXPECT_EQ(look(layer, "d").st_mtim.tv_sec, 1'000'000'000);
  EXPECT_THAT(store_->verify(layer), IsEmpty());
}

TEST_F(LayerSharingTest, ALayerThatIsBeingChangedIsNotTakenForDurable) {
  LayerStoreOptions options;
  options.durability_delay = 1ms;
  reopen(options);
  const LayerId layer = make();
  for (int i = 0; i < 3000 && !durable(layer); ++i) std::this_thread::sleep_for(10ms);
  store_->lend(layer);
  database_->execute("UPDATE shared_layers SET changing = 1; UPDATE layers SET durable = 0");
  const LayerId other = make();
  for (int i = 0; i < 3000 && !durable(other); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(durable(other));
  EXPECT_FALSE(durable(layer));
  store_->overlay({layer}, nullptr);
  for (int i = 0; i < 3000 && !durable(layer); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(durable(layer));
}

}  // namespace
}  // namespace lade
