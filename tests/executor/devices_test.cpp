// What steps cannot do to the machine's devices, by each means that keeps them from it; and what
// they can.
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/text.hpp"
#include "solver/executor/cgroup/device_guard.hpp"
#include "solver/executor/cgroup/device_rules.hpp"
#include "solver/executor/child/protocol.hpp"
#include "tests/executor/sandbox_fixture.hpp"
#include "tests/support/loop_disk.hpp"

namespace lade {
namespace {

namespace fs = std::filesystem;
using test::LoopDisk;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SandboxTest;

/// Reads and writes a node, and says how that went.
std::string tries(const std::string& path) {
  return fmt::format("head -c 19 {0} 2>&1; (echo overwritten 1<>{0}) 2>&1; ", path);
}

const char* name_of(DeviceDefence defence) {
  return defence == DeviceDefence::cgroup_v2   ? "CgroupV2"
         : defence == DeviceDefence::cgroup_v1 ? "CgroupV1"
                                               : "Mounts";
}

/// What a zygote gets that asks for this. In a process of its own, since v1 moves it.
DeviceDefence defence_here(DeviceDefence wanted) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto guard = sandbox::DeviceGuard::create(wanted, sandbox::find_hierarchies());
    ::_exit(static_cast<int>(guard.defence()));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  sandbox::sweep_groups(sandbox::find_hierarchies());
  return static_cast<DeviceDefence>(WEXITSTATUS(status));
}

class DevicesTest : public SandboxTest, public ::testing::WithParamInterface<DeviceDefence> {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped()) return;
    if (defence_here(GetParam()) != GetParam()) {
      GTEST_SKIP() << "this machine has no " << name_of(GetParam());
    }
    disk_.emplace(dir() + "/disk");
    if (!*disk_) GTEST_SKIP() << "no loop device can be had";
    ASSERT_EQ(::mknod((root() + "/node").c_str(), S_IFBLK | 0666, disk_->number()), 0);
    ASSERT_EQ(::chmod((root() + "/node").c_str(), 0666), 0);
  }
  ExecutorOptions options() const override { return {.devices = GetParam()}; }
  bool by_mounts() const { return GetParam() == DeviceDefence::mounts; }

  void expect_refused(const std::string& said, int nodes) {
    int refused = 0;
    for (const auto& line : split(said, '\n')) {
      if (line.ends_with("Operation not permitted") || line.ends_with("Permission denied")) {
        ++refused;
      }
    }
    EXPECT_EQ(refused, 2 * nodes) << said;
    EXPECT_THAT(said, Not(HasSubstr(LoopDisk::content)));
    EXPECT_EQ(disk_->now(), LoopDisk::content);
  }
  /// A step that others join; it ends with the test.
  Executor::StepId begin(const ExecSpec& spec) {
    return executor().start(spec, [](LogStream, std::string_view) {}, [](const ExecResult&) {});
  }

  std::optional<LoopDisk> disk_;
};

INSTANTIATE_TEST_SUITE_P(ByEachMeans, DevicesTest,
                         ::testing::Values(DeviceDefence::cgroup_v2, DeviceDefence::cgroup_v1,
                                           DeviceDefence::mounts),
                         [](const auto& given) { return name_of(given.param); });

TEST_P(DevicesTest, ANodeOfTheRootFilesystem) {
  for (const uint32_t user : {0u, 1000u}) {
    auto spec = sh(tries("/node") + "true");
    spec.uid = user;
    expect_refused(output_of(spec), 1);
  }
  const std::string links = "ln /node /link; mv /link /moved; ";
  expect_refused(output_of(sh(links + tries("/moved") + "true")), 1);
}

TEST_P(DevicesTest, ANodeThatTheStepMakes) {
  const std::string make = fmt::format("mknod /tmp/d {} && echo made; ", disk_->node());
  auto spec = sh(make + tries("/tmp/d") + "true");
  spec.rootfs = overlay({});
  const auto said = output_of(spec);
  EXPECT_THAT(said, HasSubstr("made\n"));
  expect_refused(said, 1);
}

TEST_P(DevicesTest, ANodeOnEachKindOfMount) {
  ExecSpec spec = sh("");
  std::string script;
  for (const char* place : {"/dev", "/m/bind", "/m/tmpfs", "/m/overlay"}) {
    script += fmt::format("mknod {}/d {}; ", place, disk_->node());
    script += tries(fmt::format("{}/d", place));
  }
  spec.args.back() = script + tries("/m/one") + tries("/m/asked/node") + "true";
  for (const char* name : {"bind", "tmpfs", "overlay", "asked"}) {
    Mount mount;
    mount.target = fmt::format("/m/{}", name);
    fs::create_directories(root() + mount.target);
    mount.source = mount.target == "/m/asked" ? root() : make_dir(name);
    mount.devices = mount.target == "/m/asked";
    if (mount.target == "/m/tmpfs") mount.kind = MountKind::tmpfs;
    if (mount.target == "/m/overlay") {
      mount.kind = MountKind::overlay;
      mount.lowers = {root()};
      mount.upper = make_dir("upper2");
      mount.work = make_dir("work2");
    }
    spec.mounts.push_back(mount);
  }
  ASSERT_TRUE(testing::write_text(root() + "/m/one", ""));
  Mount one;
  one.source = root() + "/node";
  one.target = "/m/one";
  one.devices = true;
  spec.mounts.push_back(one);
  expect_refused(output_of(spec), 6);
}

TEST_P(DevicesTest, AProcessThatJoinsAStep) {
  auto first = sh("exec sleep 1234");
  first.network = NetworkMode::none;
  const auto step = begin(first);
  for (const uint32_t user : {0u, 1000u}) {
    auto spec = sh(tries("/node") + "true");
    spec.join = step;
    spec.uid = user;
    expect_refused(output_of(spec), 1);
  }
  auto spec = sh(fmt::format("mknod /tmp/d {}; ", disk_->node()) + tries("/tmp/d") + "true");
  spec.join = step;
  expect_refused(output_of(spec), 1);
}

TEST_P(DevicesTest, AStepWithLimitsOrAParentForItsCgroup) {
  auto spec = sh(tries("/node") + "true");
  spec.cgroup_limits.cpu_shares = 512;
  spec.cgroup_parent = fmt::format("/lade-devices-test-{}/below", ::getpid());
  auto finished = run(spec);
  if (finished.result.setup_error.find("cannot limit") != std::string::npos) {
    spec.cgroup_limits = {};
    finished = run(spec);
  }
  if (finished.result.setup_error.find("no cgroup hierarchy") != std::string::npos) {
    GTEST_SKIP() << finished.result.setup_error;
  }
  EXPECT_EQ(finished.result.setup_error, "");
  expect_refused(finished.out, 1);
  // It is still a place where programs find what they need.
  spec.args.back() = "echo x > /dev/null && head -c 2 /dev/zero | wc -c";
  EXPECT_EQ(output_of(spec), "2\n");
}

TEST_P(DevicesTest, TheUsualDevicesWork) {
  const std::string use =
      "cd {}; echo x > null && cat null && head -c 2 zero | wc -c; echo x > full || echo full; "
      "head -c 3 random | wc -c; head -c 4 urandom | wc -c; ";
  const std::string make =
      "cd /tmp; mknod null c 1 3; mknod zero c 1 5; mknod full c 1 7; mknod random c 1 8; "
      "mknod urandom c 1 9; ";
  const std::string in_dev = fmt::format(fmt::runtime(use), "/dev");
  EXPECT_EQ(output_of(sh(in_dev)), "2\nfull\n3\n4\n");
  const auto made = run(sh(make + fmt::format(fmt::runtime(use), "/tmp")));
  if (by_mounts()) {
    EXPECT_THAT(made.err, HasSubstr("Permission denied"));
  } else {
    EXPECT_EQ(made.out, "2\nfull\n3\n4\n") << made.err;
  }
  auto user = sh(in_dev);
  user.uid = 1000;
  EXPECT_EQ(output_of(user), "2\nfull\n3\n4\n");
}

TEST_P(DevicesTest, ANodeOfDevCanBeChangedWithoutTheHostsChanging) {
  const auto before = sys::lstatat(AT_FDCWD, "/dev/null");
  EXPECT_EQ(
      output_of(sh("chmod 600 /dev/null && chown 5:6 /dev/null && stat -c '%a %u %g' /dev/null")),
      "600 5 6\n");
  const auto after = sys::lstatat(AT_FDCWD, "/dev/null");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->st_mode, before->st_mode);
  EXPECT_EQ(after->st_uid, before->st_uid);
}

TEST_P(DevicesTest, ASingleHarmlessNodeCanBeMounted) {
  auto spec = sh("cat /etc/masked && echo x > /etc/masked && echo still empty");
  ASSERT_TRUE(testing::write_text(root() + "/etc/masked", "text"));
  Mount mount;
  mount.source = "/dev/null";
  mount.target = "/etc/masked";
  spec.mounts.push_back(mount);
  EXPECT_EQ(output_of(spec), "still empty\n");
}

TEST_P(DevicesTest, NetworkSlotsCanBeMadeForStepsThatRunTogether) {
  if (!fs::exists("/dev/net/tun")) GTEST_SKIP() << "needs /dev/net/tun";
  auto spec = sh("ls /sys/class/net; while ! test -e /tmp/over; do sleep 0.01; done");
  spec.network = NetworkMode::sandbox;
  std::string out;
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    executor().start(
        spec,
        [&](LogStream, std::string_view bytes) {
          out += bytes;
          if (out == "lo\ntap0\nlo\ntap0\nlo\ntap0\n")
            testing::write_text(root() + "/tmp/over", "");
        },
        [&](const ExecResult& result) {
          EXPECT_EQ(result.setup_error, "");
          if (!result.setup_error.empty()) testing::write_text(root() + "/tmp/over", "");
          ++ended;
        });
  }
  loop().run_until([&] { return ended == 3; });
  EXPECT_EQ(out, "lo\ntap0\nlo\ntap0\nlo\ntap0\n");
  expect_refused(output_of(sh(tries("/node") + "true")), 1);
}

TEST_P(DevicesTest, InsecureStepsAndWhatJoinsThemAreNotKeptFromAnything) {
  auto spec = sh("head -c 19 /node; " + fmt::format("mknod /tmp/e {}; ", disk_->node()) +
                 "head -c 19 /tmp/e");
  spec.security = SecurityMode::insecure;
  EXPECT_EQ(output_of(spec), fmt::format("{0}{0}", LoopDisk::content));
  spec.cgroup_parent = fmt::format("/lade-devices-test-{}", ::getpid());
  const auto finished = run(spec);
  if (finished.result.setup_error.find("no cgroup hierarchy") == std::string::npos) {
    EXPECT_EQ(finished.out, fmt::format("{0}{0}", LoopDisk::content))
        << finished.result.setup_error;
  }
  spec.cgroup_parent.reset();
  spec.args.back() = "exec sleep 1234";
  auto joined = sh("head -c 19 /node");
  joined.security = SecurityMode::insecure;
  joined.join = begin(spec);
  EXPECT_EQ(output_of(joined), LoopDisk::content);
  expect_refused(output_of(sh(tries("/node") + "true")), 1);
}

TEST_P(DevicesTest, NoGroupIsLeftEvenByAKilledZygote) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  const auto groups = [&] {
    std::vector<std::string> out;
    for (const auto& hierarchy : sandbox::find_hierarchies()) {
      const auto own = sandbox::group_dir(hierarchy, testing::read_text("/proc/self/cgroup"));
      const std::string group = fmt::format("{}/lade-{}", own, *zygote);
      if (fs::exists(group)) out.push_back(group);
    }
    return out;
  };
  EXPECT_EQ(output_of(sh("echo x")), "x\n");
  EXPECT_EQ(groups().size(), by_mounts() ? 0u : 1u);
  ::kill(*zygote, SIGKILL);
  end_executor();
  EXPECT_THAT(groups(), ::testing::IsEmpty());
}

/// The one group that is empty between steps.
class DevicesByV2Test : public DevicesTest {};

INSTANTIATE_TEST_SUITE_P(ByEachMeans, DevicesByV2Test, ::testing::Values(DeviceDefence::cgroup_v2),
                         [](const auto& given) { return name_of(given.param); });

TEST_P(DevicesByV2Test, AGroupThatSomebodyRemovedIsMadeAgain) {
  const auto zygote = testing::child_named(::getpid(), "lade-zygote");
  ASSERT_TRUE(zygote);
  EXPECT_EQ(output_of(sh("echo x")), "x\n");
  int removed = 0;
  for (const auto& hierarchy : sandbox::find_hierarchies()) {
    const auto own = sandbox::group_dir(hierarchy, testing::read_text("/proc/self/cgroup"));
    removed += ::rmdir(fmt::format("{}/lade-{}", own, *zygote).c_str()) == 0 ? 1 : 0;
  }
  EXPECT_EQ(removed, 1);
  expect_refused(output_of(sh(tries("/node") + "true")), 1);
}

// -- the rules themselves

TEST(DeviceRulesTest, AreWrittenAsV1TakesThem) {
  EXPECT_THAT(sandbox::v1_device_rules(),
              ::testing::UnorderedElementsAre("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm",
                                              "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
                                              "c 5:2 rwm", "c 136:* rwm"));
}

TEST(DeviceRulesTest, SayWhichNodesMayBeOpened) {
  EXPECT_TRUE(sandbox::may_open(S_IFCHR, makedev(1, 3)));
  EXPECT_TRUE(sandbox::may_open(S_IFCHR, makedev(136, 77)));
  EXPECT_FALSE(sandbox::may_open(S_IFBLK, makedev(1, 3)));
  EXPECT_FALSE(sandbox::may_open(S_IFCHR, makedev(5, 1)));
  EXPECT_FALSE(sandbox::may_open(S_IFREG, makedev(1, 3)));
}

/// What the program answers, by executing its instructions.
uint64_t answer(const std::vector<bpf_insn>& program, uint32_t access, uint32_t type,
                uint32_t major_number, uint32_t minor_number) {
  const std::array<uint32_t, 3> context = {access << 16 | type, major_number, minor_number};
  std::array<uint64_t, 11> registers{};
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& step = program[at];
    uint64_t& to = registers.at(step.dst_reg);
    const auto value = static_cast<uint32_t>(step.imm);
    switch (step.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        to = context.at(static_cast<size_t>(step.off) / 4);
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        to = value;
        break;
      case BPF_ALU64 | BPF_MOV | BPF_X:
        to = registers.at(step.src_reg);
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        to &= value;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (to != value) at += static_cast<size_t>(step.off);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        if (to == value) at += static_cast<size_t>(step.off);
        break;
      case BPF_JMP | BPF_EXIT:
        return registers[0];
      default:
        ADD_FAILURE() << "instruction " << at << " is unknown";
        return 99;
    }
  }
  ADD_FAILURE() << "the program has no end";
  return 99;
}

TEST(DeviceRulesTest, TheProgramAnswersByThem) {
  const auto program = sandbox::device_program();
  constexpr uint32_t block = BPF_DEVCG_DEV_BLOCK;
  constexpr uint32_t character = BPF_DEVCG_DEV_CHAR;
  constexpr uint32_t make = BPF_DEVCG_ACC_MKNOD;
  constexpr uint32_t read = BPF_DEVCG_ACC_READ;
  constexpr uint32_t write = BPF_DEVCG_ACC_WRITE;
  EXPECT_EQ(answer(program, make, block, 8, 0), 1u);
  EXPECT_EQ(answer(program, make, character, 10, 232), 1u);
  for (const uint32_t access : {read, write, read | write, make | read}) {
    EXPECT_EQ(answer(program, access, block, 8, 0), 0u);
    EXPECT_EQ(answer(program, access, block, 1, 3), 0u);
    EXPECT_EQ(answer(program, access, character, 10, 200), 0u);
    EXPECT_EQ(answer(program, access, character, 5, 1), 0u);
    EXPECT_EQ(answer(program, access, character, 1, 4), 0u);
    for (const uint32_t minor_number : {3u, 5u, 7u, 8u, 9u}) {
      EXPECT_EQ(answer(program, access, character, 1, minor_number), 1u);
    }
    EXPECT_EQ(answer(program, access, character, 5, 0), 1u);
    EXPECT_EQ(answer(program, access, character, 5, 2), 1u);
    EXPECT_EQ(answer(program, access, character, 136, 1234), 1u);
  }
}

}  // namespace
}  // namespace lade
