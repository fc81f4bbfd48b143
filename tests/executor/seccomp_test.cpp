// The filter alone, in a forked child: which calls run, and with which error the others fail.
#include "solver/executor/child/seccomp.hpp"

#include <cerrno>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lade::sandbox {
namespace {

constexpr int setup_failed = 255;

/// errno of `call` (0 if it succeeds) in a process with the filter on; its exit status carries it.
int error_of(const std::function<long()>& call) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    try {
      SeccompFilter::compile().install();
    } catch (...) {
      ::_exit(setup_failed);
    }
    errno = 0;
    ::_exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_NE(WEXITSTATUS(status), setup_failed);
  return WEXITSTATUS(status);
}

template <class... Arguments>
int error_of_call(long number, Arguments... arguments) {
  return error_of([=] { return ::syscall(number, arguments...); });
}

class SeccompTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  }
};

TEST_F(SeccompTest, OrdinaryCallsRun) {
  EXPECT_EQ(error_of_call(SYS_getpid), 0);
  EXPECT_EQ(error_of([] { return ::open("/", O_RDONLY); }), 0);
  EXPECT_EQ(error_of([] { return ::socket(AF_INET, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(error_of([] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(error_of([] { return ::chroot("/"); }), 0);
  EXPECT_EQ(error_of([] {
              const pid_t pid = ::fork();
              if (pid == 0) ::_exit(0);
              return ::waitpid(pid, nullptr, 0);
            }),
            0);
}

TEST_F(SeccompTest, WhatDockerDeniesFailsWithEperm) {
  EXPECT_EQ(error_of_call(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_add_key, 0, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_bpf, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_mount, 0, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_umount2, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_pivot_root, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_unshare, CLONE_NEWUSER), EPERM);
  EXPECT_EQ(error_of_call(SYS_setns, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_init_module, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_kexec_load, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_open_by_handle_at, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_perf_event_open, 0, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_userfaultfd, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_io_uring_setup, 1, 0), EPERM);
  EXPECT_EQ(error_of_call(SYS_open_tree, 0, 0, 0), EPERM);
}

TEST_F(SeccompTest, CloneMakesThreadsAndProcessesButNoNamespaces) {
  const auto clone_with = [](unsigned long flags) {
    return error_of([flags] {
      const long pid = ::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
      if (pid == 0) ::_exit(0);
      return pid;
    });
  };
  EXPECT_EQ(clone_with(0), 0);
  for (const unsigned long flag : {CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
                                   CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    EXPECT_EQ(clone_with(flag), EPERM) << flag;
  }
  EXPECT_EQ(error_of_call(SYS_clone3, 0, 0), ENOSYS);
}

TEST_F(SeccompTest, SocketFamiliesOfHostsAndCryptoAreClosed) {
  EXPECT_EQ(error_of([] { return ::socket(AF_ALG, SOCK_SEQPACKET, 0); }), EPERM);
  EXPECT_EQ(error_of([] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
}

TEST_F(SeccompTest, PersonalitiesAreLimited) {
  EXPECT_EQ(error_of([] { return ::personality(0xffffffff); }), 0);
  EXPECT_EQ(error_of([] { return ::personality(PER_LINUX32); }), 0);
  EXPECT_EQ(error_of([] { return ::personality(ADDR_NO_RANDOMIZE); }), EPERM);
}

TEST_F(SeccompTest, NewCallsAreDecidedByNumber) {
  // Allowed ones reach the kernel: whatever it says to bad arguments, it is not the filter's
  // answer.
  constexpr long cachestat = 451;
  constexpr long fchmodat2 = 452;
  constexpr long mseal = 462;
  EXPECT_NE(error_of_call(cachestat, -1, 0, 0, 0), EPERM);
  EXPECT_NE(error_of_call(fchmodat2, -1, "x", 0, 0), EPERM);
  EXPECT_NE(error_of_call(mseal, 1, 1, 0), EPERM);
  constexpr long lsm_get_self_attr = 459;
  EXPECT_EQ(error_of_call(lsm_get_self_attr, 0, 0, 0, 0), EPERM);
  for (const long unknown : {467L, 468L, 480L, 511L, 600L, 100000L}) {
    EXPECT_EQ(error_of_call(unknown, 0, 0, 0, 0), ENOSYS) << unknown;
  }
}

#if defined(__x86_64__)
long int80(long number, long a = 0) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(a), "c"(0), "d"(0)
               : "memory", "r8", "r9", "r10", "r11");
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

/// Whether the kernel runs 32-bit calls at all.
bool has_int80() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(int80(20) == ::getpid() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(SeccompTest, ThirtyTwoBitCallsAreFilteredAlike) {
  if (!has_int80()) GTEST_SKIP() << "the kernel runs no 32-bit calls";
  constexpr long getpid32 = 20, mount32 = 21, unshare32 = 310, keyctl32 = 288, clone3_32 = 435;
  EXPECT_EQ(error_of([] { return int80(getpid32); }), 0);
  EXPECT_EQ(error_of([] { return int80(mount32); }), EPERM);
  EXPECT_EQ(error_of([] { return int80(unshare32, CLONE_NEWNS); }), EPERM);
  EXPECT_EQ(error_of([] { return int80(keyctl32); }), EPERM);
  EXPECT_EQ(error_of([] { return int80(clone3_32); }), ENOSYS);
  EXPECT_EQ(error_of([] { return int80(480); }), ENOSYS);
  EXPECT_NE(error_of([] { return int80(452, -1); }), EPERM);
}

TEST_F(SeccompTest, X32CallsAreFilteredAlike) {
  constexpr long x32 = 0x40000000;
  // Mount is refused by the filter whether or not the kernel has x32.
  EXPECT_EQ(error_of_call(x32 + SYS_mount, 0, 0, 0, 0, 0), EPERM);
  EXPECT_EQ(error_of_call(x32 + SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
}
#endif

TEST_F(SeccompTest, AForeignArchitectureIsNotLetThrough) {
  // libseccomp's program begins with the check of the architecture; ours only decides for those we
  // know.
  EXPECT_LT(SeccompFilter::compile().size(), 4096u);
}

}  // namespace
}  // namespace lade::sandbox
