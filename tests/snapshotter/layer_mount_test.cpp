// What a stack of layers is mounted as.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/sys.hpp"
#include "layer_store_fixture.hpp"
#include "snapshotter/layers/layer.hpp"
#include "snapshotter/tree/dir_scan.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using namespace testing_layers;

class LayerMountTest : public LayerStoreTest {};

TEST_F(LayerMountTest, OverlaysListTheStackTopMostFirst) {
  const LayerId a = commit({file("a")});
  const LayerId b = commit({file("b")});
  const PendingLayer upper = store_->prepare();
  const Mount mount = store_->overlay({a, b}, &upper, {"/stub"});
  EXPECT_EQ(mount.kind, MountKind::overlay);
  EXPECT_THAT(mount.lowers, ElementsAre("/stub", "2", "1"));
  EXPECT_EQ(mount.lower_base, root_ + "/layers");
  EXPECT_EQ(mount.upper, upper.path());
  EXPECT_EQ(mount.work, upper.work());
  EXPECT_FALSE(mount.read_only);
}

TEST_F(LayerMountTest, EveryOverlayHasTheLowersTheKernelWants) {
  const LayerId a = commit({file("a")});
  const PendingLayer upper = store_->prepare();
  EXPECT_THAT(store_->overlay({}, &upper).lowers, ElementsAre("0"));
  EXPECT_THAT(store_->overlay({}, nullptr).lowers, ElementsAre("0", "00"));
  EXPECT_THAT(store_->overlay({a}, nullptr).lowers, ElementsAre("1", "00"));
  if (!can_mount()) GTEST_SKIP() << "needs the right to mount";
  for (const LayerStack& stack : {LayerStack{}, LayerStack{a}}) {
    in_mount_namespace([&] {
      Mount mount = store_->overlay(stack, nullptr);
      for (auto& lower : mount.lowers) lower.insert(0, mount.lower_base + "/");
      const std::string target = root_ + "/target";
      sys::make_dirs(target);
      mount_overlay(mount.lowers, "", "", target);
      EXPECT_EQ(names_in("target").size(), stack.size());
    });
  }
}

TEST_F(LayerMountTest, OverlaysNeedDirectories) {
  DiffId diff_id;
  const Descriptor blob = remote({file("f", 5)}, &diff_id);
  EXPECT_THROW(store_->overlay({store_->add_known(diff_id, blob)}, nullptr), Error);
}

TEST_F(LayerMountTest, AnOpaqueRootEndsTheStack) {
  const LayerId a = commit({file("a")});
  const LayerId b = commit({opaque(""), file("b")});
  const LayerId c = commit({file("c")});
  EXPECT_THAT(store_->overlay({a, b, c}, nullptr).lowers, ElementsAre("3", "2"));
  EXPECT_FALSE(store_->merged({a, b, c}).find("a"));
}

TEST_F(LayerMountTest, TheUpperRootIsWhatTheStackSays) {
  Entry root = dir("", 0750);
  root.gid = 7;
  const LayerId a = commit({root, file("a")});
  const LayerId b = commit({file("b")});
  const PendingLayer upper = store_->prepare();
  store_->overlay({a, b}, &upper);
  const auto info = sys::lstatat(AT_FDCWD, upper.path());
  EXPECT_EQ(info->st_mode & 07777U, 0750U);
  EXPECT_EQ(info->st_gid, 7U);
}

TEST_F(LayerMountTest, StacksTooDeepForTheKernelAreFlattened) {
  LayerStack stack;
  stack.push_back(commit({dir("d"), file("d/x", 4), file("gone"), link("l", "d")}));
  stack.push_back(commit({whiteout("gone"), opaque("d"), file("d/y", 5)}));
  for (int i = 0; i < 520; ++i) stack.push_back(commit({file("f" + std::to_string(i), 1)}));
  const Mount mount = store_->overlay(stack, nullptr);
  EXPECT_EQ(mount.lowers.size(), 500U);
  EXPECT_EQ(store_->overlay(stack, nullptr).lowers, mount.lowers);
  if (!can_mount()) GTEST_SKIP() << "needs the right to mount";
  LayerStack mounted(stack.end() - 499, stack.end());
  const LayerId flat = 523;
  mounted.insert(mounted.begin(), flat);
  EXPECT_EQ(lines(store_->merged(mounted)), lines(store_->merged(stack)));
  const UniqueFd top = sys::open(store_->directory(flat), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(lines(scan_tree(top.get(), false)), lines(store_->merged({flat})));
}

}  // namespace
}  // namespace lade
