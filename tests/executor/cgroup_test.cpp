// Limits in whatever cgroup hierarchies this machine has.
#include "solver/executor/cgroup/cgroup.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"

namespace lade::sandbox {
namespace {

constexpr const char* kHierarchies = "/sys/fs/cgroup";

class CgroupTest : public testing::Test {
 protected:
  ~CgroupTest() override {
    for (const auto& dir : parents()) ::rmdir(dir.c_str());
  }

  std::vector<std::string> parents() const {
    std::vector<std::string> out;
    std::vector<std::string> roots = {kHierarchies};
    for (const auto& entry : std::filesystem::directory_iterator(kHierarchies)) {
      roots.push_back(entry.path());
    }
    for (const auto& root : roots) {
      const std::string dir = root + "/" + parent_;
      if (std::filesystem::is_directory(dir)) out.push_back(dir);
    }
    return out;
  }

  /// What the first hierarchy that has one of these files says in it.
  std::string setting(const std::string& v1, const std::string& v2) const {
    for (const auto& dir : parents()) {
      for (const auto& file : {v1, v2}) {
        if (const auto text = sys::read_file(fmt::format("{}/step/{}", dir, file))) {
          return std::string(trim(*text));
        }
      }
    }
    return "there is none";
  }

  /// nullopt: this machine lets nobody limit that.
  std::optional<StepCgroup> make(const CgroupLimits& limits) {
    try {
      return StepCgroup::create(parent_, "step", limits);
    } catch (const Error& error) {
      why_ = error.message();
      return std::nullopt;
    }
  }

  const std::string parent_ = fmt::format("lade-cgroup-test-{}", ::getpid());
  std::string why_;
};

TEST_F(CgroupTest, LimitsAreSetAndGoWithTheGroup) {
  CgroupLimits limits;
  limits.memory = 64 << 20;
  limits.cpu_shares = 512;
  limits.cpu_period = 50'000;
  limits.cpu_quota = 20'000;
  limits.cpuset_cpus = "0";
  limits.pids = 77;
  {
    const auto group = make(limits);
    if (!group) GTEST_SKIP() << why_;
    EXPECT_EQ(setting("memory.limit_in_bytes", "memory.max"), "67108864");
    EXPECT_THAT(setting("cpu.shares", "cpu.weight"), testing::AnyOf("512", "20"));
    EXPECT_THAT(setting("cpu.cfs_quota_us", "cpu.max"), testing::AnyOf("20000", "20000 50000"));
    EXPECT_EQ(setting("cpuset.cpus", "cpuset.cpus"), "0");
    EXPECT_EQ(setting("pids.max", "pids.max"), "77");
    EXPECT_FALSE(group->out_of_pids());
  }
  for (const auto& dir : parents()) EXPECT_FALSE(std::filesystem::exists(dir + "/step")) << dir;
}

TEST_F(CgroupTest, WhatTheKernelRefusesIsAnErrorThatLeavesNothing) {
  if (!make({})) GTEST_SKIP() << why_;
  CgroupLimits limits;
  limits.cpuset_cpus = "9999";
  EXPECT_FALSE(make(limits));
  EXPECT_THAT(why_, testing::HasSubstr("cpuset"));
  for (const auto& dir : parents()) EXPECT_FALSE(std::filesystem::exists(dir + "/step")) << dir;
}

}  // namespace
}  // namespace lade::sandbox
