// What a step can see and do of the host.
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "tests/executor/sandbox_fixture.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::SandboxTest;

class IsolationTest : public SandboxTest {
 protected:
  ExecSpec insecure(const std::string& script) const {
    auto spec = sh(script);
    spec.security = SecurityMode::insecure;
    return spec;
  }
};

TEST_F(IsolationTest, EveryNamespaceIsTheStepsOwn) {
  auto spec = sh("for n in mnt pid ipc uts cgroup net; do readlink /proc/self/ns/$n; done");
  spec.network = NetworkMode::none;
  for (const auto& name : split(trim(output_of(spec)), '\n')) {
    const auto kind = name.substr(0, name.find(':'));
    EXPECT_NE(std::filesystem::read_symlink("/proc/self/ns/" + kind).string(), name);
  }
}

TEST_F(IsolationTest, TheHostNameIsTheOneAskedFor) {
  auto spec = sh("hostname");
  EXPECT_EQ(output_of(spec), "buildkitsandbox\n");
  spec.hostname = "builder-7";
  EXPECT_EQ(output_of(spec), "builder-7\n");
}

TEST_F(IsolationTest, OnlyTheSandboxesProcessesExist) {
  EXPECT_EQ(output_of(sh("cd /proc; echo [0-9]*")), "1\n");
}

TEST_F(IsolationTest, TheHostsRootCannotBeReached) {
  ASSERT_TRUE(testing::write_text(dir() + "/outside", "secret"));
  for (const char* way : {"", "../../../..", "/..", "/proc/1/root/..", "/proc/1/cwd/..",
                          "/proc/self/root", "/dev/fd/3", "/dev/fd/4"}) {
    const auto finished = run(sh(fmt::format("cat {}{}/outside", way, dir())));
    EXPECT_EQ(finished.out, "") << way;
    EXPECT_NE(finished.result.exit_code, 0) << way;
    EXPECT_EQ(finished.result.setup_error, "");
  }
}

TEST_F(IsolationTest, TheMountTableHasTheSandboxesMountsOnly) {
  const auto table = output_of(sh("cat /proc/self/mounts"));
  for (const auto& line : split(trim(table), '\n')) {
    const auto target = split(line, ' ').at(1);
    const bool own = target == "/" || target.starts_with("/proc") || target.starts_with("/sys") ||
                     target.starts_with("/dev");
    EXPECT_TRUE(own) << line;
  }
}

TEST_F(IsolationTest, CapabilitiesAreDockersFourteen) {
  // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
  // mknod audit_write setfcap
  EXPECT_EQ(output_of(sh("grep Cap /proc/self/status | tr -d '\\t'")),
            "CapInh:0000000000000000\n"
            "CapPrm:00000000a80425fb\n"
            "CapEff:00000000a80425fb\n"
            "CapBnd:00000000a80425fb\n"
            "CapAmb:0000000000000000\n");
}

TEST_F(IsolationTest, OtherUsersKeepOnlyTheBoundingSet) {
  auto spec = sh("grep Cap /proc/self/status | tr -d '\\t'");
  spec.uid = 1000;
  EXPECT_EQ(output_of(spec),
            "CapInh:0000000000000000\n"
            "CapPrm:0000000000000000\n"
            "CapEff:0000000000000000\n"
            "CapBnd:00000000a80425fb\n"
            "CapAmb:0000000000000000\n");
}

TEST_F(IsolationTest, TheFilterIsOnAndPrivilegesMayStillBeGained) {
  EXPECT_EQ(output_of(sh("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'")),
            "NoNewPrivs:0\nSeccomp:2\n");
}

TEST_F(IsolationTest, PrivilegedCallsFail) {
  for (const char* command :
       {"unshare -m true", "unshare -U true", "mount -t tmpfs none /tmp", "umount /proc",
        "hostname other", "mount -o remount,rw /sys", "mount --bind / /tmp"}) {
    EXPECT_NE(run(sh(command)).result.exit_code, 0) << command;
  }
  for (const char* command : {"chroot / /bin/true", "mknod /tmp/null c 1 3", "chown 5:5 /tmp",
                              "sh -c true | cat", "dd if=/dev/urandom of=/dev/null count=1"}) {
    EXPECT_EQ(run(sh(command)).result.exit_code, 0) << command;
  }
}

TEST_F(IsolationTest, HostPartsOfProcAndSysAreMasked) {
  EXPECT_EQ(output_of(sh("cat /proc/keys /proc/timer_list /proc/kcore /proc/interrupts "
                         "2>/dev/null; ls -A /proc/acpi /proc/scsi /sys/firmware "
                         "/sys/devices/virtual/powercap 2>/dev/null | grep -v -e : -e '^$'; true")),
            "");
}

TEST_F(IsolationTest, SettingsOfTheHostAreReadOnly) {
  for (const char* path : {"/proc/sys/kernel/printk", "/proc/sysrq-trigger",
                           "/sys/kernel/mm/transparent_hugepage/enabled"}) {
    if (!std::filesystem::exists(path)) continue;
    const auto finished = run(sh(fmt::format("echo x > {}", path)));
    EXPECT_NE(finished.result.exit_code, 0) << path;
    EXPECT_THAT(finished.err, HasSubstr("Read-only file system")) << path;
  }
  EXPECT_NE(run(sh("mkdir /sys/fs/cgroup/x || mkdir /sys/x")).result.exit_code, 0);
}

TEST_F(IsolationTest, DevIsMinimalAndWorks) {
  EXPECT_EQ(output_of(sh("cd /dev; echo *")),
            "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero\n");
  EXPECT_EQ(output_of(sh("echo x > /dev/null; head -c 4 /dev/zero | wc -c; "
                         "echo out > /dev/stdout; stat -c %a /dev/null /dev/shm /dev/pts")),
            "4\nout\n666\n1777\n755\n");
  EXPECT_NE(run(sh("echo x > /dev/full")).result.exit_code, 0);
}

TEST_F(IsolationTest, ATmpfsAtDevIsTheSandboxesDev) {
  auto spec =
      sh("cd /dev; echo *; echo x > null && cat null; df -k /dev | grep /dev | tr -s ' '; "
         "cat /dev/below/file; mount | grep -c ' /dev '");
  ASSERT_TRUE(testing::write_text(dir() + "/file", "found\n"));
  for (const char* target : {"/dev/", "/dev/below/file"}) {
    Mount mount;
    mount.target = target;
    mount.source = dir() + "/file";
    if (spec.mounts.empty()) mount.kind = MountKind::tmpfs;
    mount.size_bytes = 1u << 20;
    spec.mounts.push_back(mount);
  }
  const auto lines = split(trim(output_of(spec)), '\n');
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0],
            "below fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero");
  EXPECT_THAT(lines[1], HasSubstr(" 1024 "));
  EXPECT_EQ(lines[2], "found");
  EXPECT_EQ(lines[3], "1");
}

TEST_F(IsolationTest, WhatElseIsMountedAtDevCoversIt) {
  auto spec =
      sh("cd /dev; echo *; cat /proc/timer_list /proc/keys; ls /proc/acpi /proc/scsi 2>/dev/null; "
         "true");
  Mount mount;
  mount.source = make_dir("nothing-but-this");
  ASSERT_TRUE(testing::write_text(mount.source + "/file", ""));
  mount.target = "/dev";
  spec.mounts.push_back(mount);
  EXPECT_THAT(output_of(spec), ::testing::StartsWith("file\n"));
  EXPECT_THAT(output_of(spec), Not(HasSubstr("cpu")));
}

TEST_F(IsolationTest, SharedMemoryHasTheSizeAskedFor) {
  auto spec = sh("df -k /dev/shm | grep /dev/shm | tr -s ' '");
  spec.shm_bytes = 3u << 20;
  EXPECT_THAT(output_of(spec), HasSubstr(" 3072 "));
}

class CgroupViewTest : public IsolationTest {
 protected:
  /// Of a step with limits that whatever version of cgroups this machine has can set.
  std::string limited(const std::string& script) {
    auto spec = sh(script);
    spec.cgroup_limits.memory = 64 << 20;
    const auto finished = run(spec);
    unlimited_ = finished.result.setup_error;
    return finished.out;
  }
  std::string unlimited_;  // why
};

TEST_F(CgroupViewTest, AStepSeesItsOwnLimits) {
  const auto said = limited(
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; "
      "mount | grep -c ' /sys/fs/cgroup.*[(]ro'; find /sys/fs/cgroup -name 'lade*'; "
      "find /sys/fs/cgroup -name 'release_agent'");
  if (unlimited_.find("cgroup") != std::string::npos) GTEST_SKIP() << unlimited_;
  EXPECT_EQ(unlimited_, "");
  const auto lines = split(trim(said), '\n');
  ASSERT_EQ(lines.size(), 2u) << said;
  EXPECT_EQ(lines[0], "67108864");
  EXPECT_NE(lines[1], "0");
}

TEST_F(CgroupViewTest, NothingInItCanBeWritten) {
  const auto said = limited(
      "cd /sys/fs/cgroup; for d in . *; do test -d $d && ! mkdir $d/x 2>&1 && ! (echo 1 > "
      "$d/cgroup.procs) 2>&1; done; true");
  if (unlimited_.find("cgroup") != std::string::npos) GTEST_SKIP() << unlimited_;
  EXPECT_EQ(unlimited_, "");
  ASSERT_NE(said, "");
  for (const auto& line : split(trim(said), '\n')) {
    EXPECT_THAT(line, HasSubstr("Read-only file system"));
  }
}

TEST_F(CgroupViewTest, NoStepSeesTheMachinesGroups) {
  // Files that the topmost groups of v1 and of v2 have alone, and whatever else is run there.
  EXPECT_EQ(output_of(sh("cd /sys/fs/cgroup; find . -name release_agent -o -name '*.slice'; "
                         "test ! -e cgroup.procs || test -e cgroup.type || echo topmost; true")),
            "");
}

TEST_F(IsolationTest, AnInsecureStepHasEverythingTheHostHas) {
  const auto finished =
      run(insecure("grep -E '^(CapEff|Seccomp):' /proc/self/status | tr -d '\\t'; "
                   "mount -t tmpfs none /tmp && echo mounted; "
                   "cat /proc/timer_list | wc -c; ls -d /dev/* | wc -l"));
  ASSERT_EQ(finished.result.setup_error, "");
  const auto lines = split(trim(finished.out), '\n');
  ASSERT_EQ(lines.size(), 5u) << finished.out << finished.err;
  const auto own = testing::read_text("/proc/self/status");
  EXPECT_THAT(own, HasSubstr("CapEff:\t" + lines[0].substr(7)));
  EXPECT_EQ(lines[1], "Seccomp:0");
  EXPECT_EQ(lines[2], "mounted");
  EXPECT_NE(lines[3], "0");
  EXPECT_GT(std::stoi(lines[4]), 14);
}

TEST_F(IsolationTest, AnInsecureStepCanWriteSettings) {
  const auto finished =
      run(insecure("cat /proc/sys/kernel/printk > /tmp/p && "
                   "cat /tmp/p > /proc/sys/kernel/printk"));
  EXPECT_EQ(finished.result.exit_code, 0) << finished.err;
}

TEST_F(IsolationTest, AnInsecureStepsMountsStayInside) {
  const auto before = testing::read_text("/proc/self/mounts");
  EXPECT_EQ(output_of(insecure("mount -t tmpfs none /tmp; mount | grep -c ' /tmp '")), "1\n");
  EXPECT_EQ(testing::read_text("/proc/self/mounts"), before);
}

TEST_F(IsolationTest, AMissingMountPointForProcIsAClearError) {
  std::filesystem::remove(root() + "/proc");
  const auto finished = run(sh("true"));
  EXPECT_THAT(finished.result.setup_error, HasSubstr("could not mount /proc"));
  EXPECT_THAT(finished.result.setup_error, HasSubstr("no such directory"));
  EXPECT_EQ(finished.result.exit_code, 125);
}

TEST_F(IsolationTest, ProcThroughASymlinkIsRefused) {
  std::filesystem::remove(root() + "/proc");
  std::filesystem::create_symlink("/etc", root() + "/proc");
  EXPECT_THAT(run(sh("true")).result.setup_error, HasSubstr("could not mount /proc"));
}

}  // namespace
}  // namespace lade
