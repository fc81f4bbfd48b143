// Groups that go as they came, whatever others do to the same tree at the same time.
#include "solver/executor/cgroup/cgroup_tree.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/file_lock.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

namespace fs = std::filesystem;

class CgroupTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    for (auto& hierarchy : find_hierarchies()) {
      if (::access(hierarchy.mount.c_str(), W_OK) == 0) trees_.push_back(std::move(hierarchy));
    }
    if (trees_.empty()) GTEST_SKIP() << "no cgroup hierarchy is writable";
  }
  void TearDown() override {
    for (const auto& tree : trees_) {
      EXPECT_FALSE(fs::exists(tree.mount + parent_)) << tree.mount;
      ::rmdir((tree.mount + parent_).c_str());
    }
  }

  std::vector<Hierarchy> trees_;
  const std::string parent_ = fmt::format("/lade-tree-test-{}", ::getpid());
};

TEST_F(CgroupTreeTest, HierarchiesAreThoseOfThisProcess) {
  const std::string groups = sys::read_file("/proc/self/cgroup").value_or("");
  for (const auto& tree : trees_) {
    const std::string own = group_dir(tree, groups);
    if (own.empty()) continue;  // out of what is mounted
    const auto processes = split(sys::read_file(own + "/cgroup.procs").value_or(""), '\n');
    EXPECT_THAT(processes, testing::Contains(fmt::format("{}", ::getpid()))) << own;
    EXPECT_TRUE(is_top_group(tree, tree.mount) || tree.root != "/");
  }
}

TEST_F(CgroupTreeTest, GroupsAboveTheProcessesRootAreOutOfReach) {
  const Hierarchy whole{"/c", "/", true, {}};
  EXPECT_EQ(group_dir(whole, "3:cpu:/x\n0::/a/b:c\n"), "/c/a/b:c");
  EXPECT_EQ(group_dir(whole, "0::/\n"), "/c");
  EXPECT_EQ(group_dir(whole, "0::/../other\n"), "");
  const Hierarchy part{"/c", "/docker/1", false, {"cpu", "cpuacct"}};
  EXPECT_EQ(group_dir(part, "3:cpu,cpuacct:/docker/1/in\n0::/\n"), "/c/in");
  EXPECT_EQ(group_dir(part, "3:cpu,cpuacct:/docker/1\n"), "/c");
  EXPECT_EQ(group_dir(part, "3:cpu,cpuacct:/docker/12\n"), "");
  EXPECT_EQ(group_dir(part, "3:memory:/docker/1\n"), "");
}

TEST_F(CgroupTreeTest, ParentsThatWereMadeGoWithTheLastGroup) {
  for (const auto& tree : trees_) {
    auto first = OwnGroup::make(tree, parent_ + "/deep/lade-1");
    auto second = OwnGroup::make(tree, parent_ + "/lade-2");
    first = {};
    EXPECT_FALSE(fs::exists(tree.mount + parent_ + "/deep"));
    EXPECT_TRUE(fs::exists(second.dir()));
  }
}

TEST_F(CgroupTreeTest, ParentsOfOthersStay) {
  for (const auto& tree : trees_) {
    const std::string dir = tree.mount + parent_;
    ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
    OwnGroup::make(tree, parent_ + "/lade-1");
    EXPECT_TRUE(fs::exists(dir)) << dir;
    ::rmdir(dir.c_str());
  }
}

TEST_F(CgroupTreeTest, GroupsThatWereMadeInAGroupGoWithIt) {
  for (const auto& tree : trees_) {
    const auto group = OwnGroup::make(tree, parent_ + "/lade-1");
    fs::create_directory(group.dir() + "/a");
    fs::create_directory(group.dir() + "/a/b");
    fs::create_directory(group.dir() + "/c");
  }
}

TEST_F(CgroupTreeTest, ANameThatIsTakenGetsANumber) {
  for (const auto& tree : trees_) {
    const auto first = OwnGroup::make(tree, parent_ + "/lade-1");
    const auto second = OwnGroup::make(tree, parent_ + "/lade-1");
    EXPECT_EQ(second.dir(), first.dir() + "-2");
  }
}

TEST_F(CgroupTreeTest, WhatTheDeadLeftIsSweptAndNothingElse) {
  sys::Pipe ready = sys::pipe();
  const pid_t maker = ::fork();
  if (maker == 0) {
    std::vector<OwnGroup> groups;
    for (const auto& tree : trees_) groups.push_back(OwnGroup::make(tree, parent_ + "/lade-7"));
    sys::write_all(ready.write.get(), "x");
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready.read.get(), &byte, 1), 1);
  const auto sweep = [&] {
    for (const auto& tree : trees_) sweep_groups(tree, tree.mount + parent_);
  };
  sweep();
  for (const auto& tree : trees_) {
    EXPECT_TRUE(fs::exists(tree.mount + parent_ + "/lade-7")) << "of a living process";
    // Names alike, but not lade's: no mark.
    EXPECT_EQ(::mkdir((tree.mount + parent_ + "/lade-8").c_str(), 0755), 0);
  }
  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);
  sweep();
  for (const auto& tree : trees_) {
    EXPECT_FALSE(fs::exists(tree.mount + parent_ + "/lade-7"));
    EXPECT_TRUE(fs::exists(tree.mount + parent_ + "/lade-8"));
    ::rmdir((tree.mount + parent_ + "/lade-8").c_str());
    ::rmdir((tree.mount + parent_).c_str());
  }
}

class ControllersTest : public CgroupTreeTest {
 protected:
  void SetUp() override {
    CgroupTreeTest::SetUp();
    if (IsSkipped()) return;
    // What the root passes on is the machine's: another test of these must not be at it.
    lock_ = sys::open("/tmp/lade-test-controllers.lock", O_RDWR | O_CREAT, 0600);
    lock_file(lock_.get(), LOCK_EX, "the controllers");
    for (const auto& tree : trees_) {
      if (tree.v2) tree_ = tree;
    }
    const auto there = words("/cgroup.controllers");
    const auto unused = std::ranges::find_if(
        there, [&](const auto& controller) { return !controller.empty() && !passed(controller); });
    if (!tree_.v2 || unused == there.end()) GTEST_SKIP() << "all controllers are passed on already";
    controller_ = *unused;
  }

  void TearDown() override {
    if (!controller_.empty() && passed(controller_)) {
      ADD_FAILURE() << controller_ << " is still passed on";
      write_setting(tree_.mount + "/cgroup.subtree_control", "-" + controller_);
    }
    CgroupTreeTest::TearDown();
  }

  std::vector<std::string> words(const std::string& file) const {
    return split(trim(sys::read_file(tree_.mount + file).value_or("")), ' ');
  }
  bool passed(const std::string& controller, const std::string& dir = "") const {
    const auto all = words(dir + "/cgroup.subtree_control");
    return std::ranges::find(all, controller) != all.end();
  }

  Hierarchy tree_;
  std::string controller_;

  UniqueFd lock_;
};

TEST_F(ControllersTest, ArePassedOnForAsLongAsTheyAreNeeded) {
  {
    const auto group = OwnGroup::make(tree_, parent_ + "/lade-1", {controller_, "nonsense"});
    EXPECT_THAT(words(parent_ + "/lade-1/cgroup.controllers"), testing::Contains(controller_));
    const auto other = OwnGroup::make(tree_, parent_ + "/lade-2", {controller_});
    EXPECT_TRUE(passed(controller_));
  }
  EXPECT_FALSE(passed(controller_));
}

TEST_F(ControllersTest, StayPassedOnForOthersWhoCameToUseThem) {
  const std::string other = tree_.mount + parent_ + "-other";
  {
    const auto group = OwnGroup::make(tree_, parent_ + "/lade-1", {controller_});
    ASSERT_EQ(::mkdir(other.c_str(), 0755), 0);
    write_setting(other + "/cgroup.subtree_control", "+" + controller_);
  }
  EXPECT_TRUE(passed(controller_));
  ::rmdir(other.c_str());
  write_setting(tree_.mount + "/cgroup.subtree_control", "-" + controller_);
}

TEST_F(ControllersTest, StayPassedOnWhereTheyWere) {
  write_setting(tree_.mount + "/cgroup.subtree_control", "+" + controller_);
  OwnGroup::make(tree_, parent_ + "/lade-1", {controller_});
  EXPECT_TRUE(passed(controller_));
  write_setting(tree_.mount + "/cgroup.subtree_control", "-" + controller_);
}

TEST_F(ControllersTest, AParentWithProcessesOfItsOwnIsAClearError) {
  const auto parent = OwnGroup::make(tree_, parent_);
  sys::Pipe ready = sys::pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    enter_group(parent.dir());
    sys::write_all(ready.write.get(), "x");
    for (;;) ::pause();
  }
  char byte = 0;
  EXPECT_EQ(::read(ready.read.get(), &byte, 1), 1);
  // The kernel treats those that limit threads, too, differently.
  for (const auto& controller : words("/cgroup.controllers")) {
    if (controller.empty()) continue;
    try {
      OwnGroup::make(tree_, parent_ + "/lade-1", {controller});
      ADD_FAILURE() << controller << " could be limited";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), testing::HasSubstr("has processes of its own")) << controller;
      EXPECT_THAT(error.message(), testing::HasSubstr(parent.dir() + "'"));
    }
    EXPECT_FALSE(fs::exists(parent.dir() + "/lade-1"));
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST_F(ControllersTest, ManyAtOnceDoNotTakeThemFromEachOther) {
  std::vector<pid_t> makers;
  for (int maker = 0; maker < 4; ++maker) {
    makers.push_back(::fork());
    if (makers.back() != 0) continue;
    int lacking = 0;
    try {
      for (int i = 0; i < 50; ++i) {
        const auto group =
            OwnGroup::make(tree_, fmt::format("{}/lade-{}-{}", parent_, maker, i), {controller_});
        if (::access(group.dir().c_str(), F_OK) != 0) ++lacking;
      }
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
      lacking = 100;
    }
    ::_exit(lacking);
  }
  for (const pid_t maker : makers) {
    int status = 0;
    ::waitpid(maker, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_FALSE(passed(controller_));
}

}  // namespace
}  // namespace lade::sandbox
