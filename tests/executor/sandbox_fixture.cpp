#include "tests/executor/sandbox_fixture.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lade::testing {
namespace fs = std::filesystem;

void make_busybox_root(const std::string& root) {
  for (const char* dir : {"bin", "proc", "sys", "dev", "etc", "tmp", "root"}) {
    fs::create_directories(fs::path(root) / dir);
  }
  fs::copy_file("/bin/busybox", root + "/bin/busybox");
  for (const char* applet :
       {"sh",    "cat",   "echo",    "sleep",    "true",  "id",   "ls",     "mount",
        "touch", "stat",  "ps",      "hostname", "ip",    "wget", "mkdir",  "rm",
        "wc",    "dd",    "chroot",  "mknod",    "grep",  "head", "env",    "readlink",
        "pwd",   "chown", "unshare", "nc",       "kill",  "df",   "umount", "setsid",
        "find",  "tr",    "ln",      "mv",       "chmod", "ping"}) {
    fs::create_symlink("busybox", fs::path(root) / "bin" / applet);
  }
}

ExecSpec shell(const std::string& root, const std::string& script) {
  ExecSpec spec;
  spec.args = {"/bin/sh", "-c", script};
  spec.env = {"PATH=/bin", "HOME=/root"};
  spec.network = NetworkMode::host;
  spec.rootfs.target = "/";
  spec.rootfs.source = root;
  return spec;
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool write_text(const std::string& path, const std::string& text, int mode) {
  {
    std::ofstream out(path, std::ios::binary);
    out << text;
    if (!out.flush()) return false;
  }
  return ::chmod(path.c_str(), static_cast<mode_t>(mode)) == 0;
}

namespace {

std::vector<pid_t> processes_if(const std::function<bool(const std::string& proc)>& wanted) {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && wanted(entry.path().string())) out.push_back(pid);
  }
  return out;
}

/// Field `number` (1-based, after the name) of /proc/PID/stat: 1 state, 2 parent, 4 session.
std::string stat_field(const std::string& proc, int number) {
  const std::string text = read_text(proc + "/stat");
  std::istringstream in(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  for (int i = 0; i < number; ++i) in >> field;
  return field;
}

}  // namespace

std::vector<pid_t> processes_with(const std::string& marker) {
  return processes_if([&](const std::string& proc) {
    return read_text(proc + "/cmdline").find(marker) != std::string::npos;
  });
}

std::vector<pid_t> processes_of_session(pid_t session) {
  return processes_if([&](const std::string& proc) {
    return stat_field(proc, 4) == std::to_string(session) && stat_field(proc, 1) != "Z";
  });
}

std::optional<pid_t> child_named(pid_t parent, const std::string& name) {
  std::vector<pid_t> found;
  // It gives itself that name some time after it was forked.
  eventually([&] {
    found = processes_if([&](const std::string& proc) {
      return stat_field(proc, 2) == std::to_string(parent) &&
             read_text(proc + "/comm") == name + "\n";
    });
    return !found.empty();
  });
  if (found.empty()) return std::nullopt;
  return found.front();
}

bool eventually(const std::function<bool()>& done, int milliseconds) {
  for (int waited = 0; waited < milliseconds; waited += 10) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return done();
}

namespace {

/// Gives this process a mount namespace of its own, once, whose mounts are shared as those of a
/// machine with systemd are: what a sandbox mounts or unmounts must not show here all the same.
bool share_mounts() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0;
}

/// Lines of /proc/self/mountinfo.
std::set<std::string> mounts() {
  std::istringstream in(read_text("/proc/self/mountinfo"));
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

/// The fifth field of such a line.
std::string mount_point(const std::string& line) {
  std::istringstream in(line);
  std::string field;
  for (int i = 0; i < 5; ++i) in >> field;
  return field;
}

bool mounted_for(pid_t pid, const std::string& point) {
  std::istringstream in(read_text("/proc/" + std::to_string(pid) + "/mountinfo"));
  for (std::string line; std::getline(in, line);) {
    if (mount_point(line) == point) return true;
  }
  return false;
}

}  // namespace

void SandboxTest::TearDown() {
  if (mounts_.empty()) return;
  executor_.reset();
  const std::set<std::string> now = mounts();
  for (const std::string& mount : now) EXPECT_TRUE(mounts_.count(mount)) << "left: " << mount;
  for (const std::string& mount : mounts_) {
    if (now.count(mount)) continue;
    // Whoever removes a directory of the machine's takes away what is mounted there in every
    // namespace: that is not the sandbox's doing if it is gone for the parent, too.
    const std::string point = mount_point(mount);
    EXPECT_FALSE(mounted_for(::getppid(), point)) << "gone: " << mount;
  }
}

void SandboxTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "sandboxes need root";
  static const bool shared = share_mounts();
  ASSERT_TRUE(shared) << "no mount namespace whose mounts are shared";
  if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "needs /bin/busybox (package busybox-static)";
  temp_ = TempDir::create(fs::temp_directory_path().string(), "lade-executor-");
  root_ = make_dir("root");
  make_busybox_root(root_);
  mounts_ = mounts();
  restart(options());
}

void SandboxTest::restart(const ExecutorOptions& with) {
  executor_.reset();
  loop_ = std::make_unique<EventLoop>();
  executor_ = Executor::create(with);
  executor_->attach(*loop_);
}

std::string SandboxTest::make_dir(const std::string& name) {
  const std::string path = dir() + "/" + name;
  fs::create_directories(path);
  return path;
}

Mount SandboxTest::overlay(std::vector<std::string> lowers) {
  Mount mount;
  mount.kind = MountKind::overlay;
  mount.target = "/";
  mount.lowers = std::move(lowers);
  mount.lowers.emplace_back("root");
  mount.lower_base = dir();
  mount.upper = upper_ = make_dir("upper");
  mount.work = make_dir("work");
  return mount;
}

Finished SandboxTest::run(const ExecSpec& spec) {
  Finished finished;
  bool done = false;
  executor_->start(
      spec,
      [&](LogStream stream, std::string_view bytes) {
        (stream == LogStream::out ? finished.out : finished.err) += bytes;
      },
      [&](const ExecResult& result) {
        finished.result = result;
        done = true;
      });
  loop_->run_until([&] { return done; });
  return finished;
}

std::string SandboxTest::output_of(const ExecSpec& spec) {
  const Finished finished = run(spec);
  EXPECT_EQ(finished.result.setup_error, "");
  EXPECT_EQ(finished.result.exit_code, 0) << finished.err;
  return finished.out;
}

}  // namespace lade::testing
