// fail_at N[+] ERRNO files|all CALL[,CALL...] REPORT COMMAND...: runs COMMAND and has the Nth of
// these system calls fail with ERRNO (a number), unmade; with a + every later one, too, as on a
// disk that is full. Counted are the calls of processes that run COMMAND's own program, not of what
// else they execute, and with "files" only those on files and directories of disks: no pipes,
// sockets, devices, /proc and /sys, nor the system's libraries. N = 0 lets everything happen.
// REPORT gets two lines: how many of the calls there were, and "CALL PATH" of the first one that
// failed ("- -": none did). The exit code is COMMAND's, 128 + N for signal N.
//
// Exits when the last process that COMMAND started has ended.
#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/call_tracer.hpp"

namespace {

using lade::test::TracedCall;

std::string link_of(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size < 0 ? "" : std::string(text.data(), static_cast<size_t>(size));
}

std::string proc(pid_t thread, const std::string& name) {
  return "/proc/" + std::to_string(thread) + "/" + name;
}

/// A string of the tracee's; it is cut where the next page begins, or where it is too long.
std::string string_at(pid_t thread, uint64_t address) {
  std::array<char, 1024> text{};
  const size_t size = std::min<size_t>(text.size() - 1, 4096 - address % 4096);
  iovec here{text.data(), size};
  iovec there{reinterpret_cast<void*>(address), size};
  if (::process_vm_readv(thread, &here, 1, &there, 1, 0) < 0) return "";
  return text.data();
}

std::string file_at(pid_t thread, uint64_t fd) {
  const auto number = static_cast<int>(fd);
  if (number == AT_FDCWD) return link_of(proc(thread, "cwd"));
  if (number < 0) return "";
  return link_of(proc(thread, "fd/" + std::to_string(number)));
}

std::string name_at(pid_t thread, uint64_t directory, uint64_t name) {
  const std::string path = string_at(thread, name);
  if (path.starts_with("/")) return path;
  return file_at(thread, directory) + "/" + path;
}

/// What the call is about: a path, or another name for what is not a file. Empty: unknown.
std::string subject(const TracedCall& call) {
  const auto& a = call.arguments;
  switch (call.number) {
    case SYS_mmap:
      return file_at(call.thread, a[4]);
    case SYS_copy_file_range:
      return file_at(call.thread, a[2]);
#ifdef SYS_rename  // old calls, which newer machines have not
    case SYS_rename:
    case SYS_mkdir:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_chmod:
      return name_at(call.thread, static_cast<uint64_t>(AT_FDCWD), a[0]);
    case SYS_symlink:
    case SYS_link:
      return name_at(call.thread, static_cast<uint64_t>(AT_FDCWD), a[1]);
#endif
    case SYS_openat:
    case SYS_openat2:
    case SYS_renameat2:
    case SYS_renameat:
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_unlinkat:
    case SYS_fchmodat:
    case SYS_fchownat:
    case SYS_utimensat:
      return name_at(call.thread, a[0], a[1]);
    case SYS_symlinkat:
      return name_at(call.thread, a[1], a[2]);
    case SYS_linkat:
      return name_at(call.thread, a[2], a[3]);
    default:
      return file_at(call.thread, a[0]);
  }
}

template <size_t N>
bool is_below(const std::string& path, const std::array<const char*, N>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return path.starts_with(prefix); });
}

/// What the loader reads, before the program begins.
bool is_system(const std::string& path) {
  return is_below<3>(path, {"/usr/", "/lib", "/etc/ld.so"});
}

bool is_on_disk(const std::string& path) {
  return path.starts_with("/") &&
         !is_below<5>(path, {"/proc/", "/sys/", "/dev/", "/etc/", "/memfd:"});
}

class Failer : public lade::test::CallTracer {
 public:
  Failer(const std::string& calls, const char* number, int error, bool files)
      : CallTracer(calls),
        target_(std::strtol(number, nullptr, 10)),
        lasting_(std::strchr(number, '+') != nullptr),
        error_(error),
        files_(files) {}

  void report(const char* path) const {
    FILE* out = std::fopen(path, "w");
    if (!out) lade::test::die(path);
    std::fprintf(out, "%ld\n%s %s\n", count_, call_.c_str(), path_.c_str());
    std::fclose(out);
  }

 private:
  void seen(const TracedCall& call) override {
    const std::string program = link_of(proc(call.thread, "exe"));
    if (program_.empty()) program_ = link_of(proc(root(), "exe"));
    if (program.empty() || program != program_) return;
    const std::string path = subject(call);
    if (is_system(path) || (files_ && !is_on_disk(path))) return;
    ++count_;
    if (target_ == 0 || count_ < target_ || (count_ > target_ && !lasting_)) return;
    if (count_ == target_) {
      call_ = call.name();
      path_ = path.empty() ? "-" : path;
    }
    fail(call.thread, error_);
  }

  long target_;
  bool lasting_;
  int error_;
  bool files_;
  long count_ = 0;
  std::string program_;
  std::string call_ = "-";
  std::string path_ = "-";
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr, "usage: fail_at N[+] ERRNO files|all CALL[,CALL...] REPORT COMMAND...\n");
    return 2;
  }
  Failer failer(argv[4], argv[1], std::atoi(argv[2]), std::strcmp(argv[3], "files") == 0);
  const int code = failer.run(argv + 6);
  failer.report(argv[5]);
  return code;
}
