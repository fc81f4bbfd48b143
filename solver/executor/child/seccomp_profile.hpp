// What Docker's default seccomp profile (github.com/moby/profiles, seccomp/default.json, of June
// 2026) allows a process with Docker's default capabilities, as data. Names that an architecture
// lacks are skipped there.
//
// When the profile changes: names go to `allowed_calls`, numbers from 451 on to
// `allowed_new_calls`.
#pragma once

#include <array>
#include <cstdint>

namespace lade::sandbox {

// clang-format off
inline constexpr std::array<const char*, 358> allowed_calls = {
    // Files and directories by path.
    "access", "chdir", "chmod", "chown", "chown32", "chroot", "creat", "execve", "execveat",
    "faccessat", "faccessat2", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchown",
    "fchown32", "fchownat", "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "ftruncate", "ftruncate64", "futimesat",
    "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "lchown", "lchown32", "lgetxattr", "link", "linkat",
    "listxattr", "llistxattr", "lremovexattr", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat",
    "mknod", "mknodat", "name_to_handle_at", "newfstatat", "open", "openat", "openat2", "readlink",
    "readlinkat", "removexattr", "rename", "renameat", "renameat2", "rmdir", "setxattr", "stat",
    "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync", "syncfs", "truncate",
    "truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes",
    // Descriptors and data.
    "_llseek", "_newselect", "arm_fadvise64_64", "arm_sync_file_range", "close", "close_range",
    "copy_file_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd",
    "eventfd2", "fadvise64", "fadvise64_64", "fallocate", "fcntl", "fcntl64", "fdatasync", "flock",
    "fsync", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
    "io_setup", "io_submit", "ioctl", "lseek", "memfd_create", "memfd_secret", "pipe", "pipe2",
    "poll", "ppoll", "ppoll_time64", "pread64", "preadv", "preadv2", "pselect6", "pselect6_time64",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readv", "select", "sendfile",
    "sendfile64", "signalfd", "signalfd4", "splice", "sync_file_range", "sync_file_range2", "tee",
    "vmsplice", "write", "writev",
    // Time.
    "adjtimex", "alarm", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
    "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getitimer",
    "gettimeofday", "nanosleep", "setitimer", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64",
    "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "times",
    // Sockets.
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "shutdown", "socketcall", "socketpair",
    // Memory.
    "brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2",
    "mprotect", "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "remap_file_pages",
    // System V and POSIX interprocess communication.
    "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd",
    "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt",
    "shmget",
    // Signals.
    "kill", "pause", "pidfd_send_signal", "restart_syscall", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "sigprocmask", "sigreturn",
    "tgkill", "tkill",
    // Identity and limits.
    "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
    "getgroups", "getgroups32", "getpriority", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "getuid", "getuid32", "ioprio_get", "ioprio_set",
    "prlimit64", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32",
    "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setuid", "setuid32",
    "ugetrlimit",
    // Processes, threads, scheduling.
    "exit", "exit_group", "fork", "futex", "futex_time64", "futex_waitv", "get_robust_list",
    "get_thread_area", "getcpu", "getpgid", "getpgrp", "getpid", "getppid", "getsid", "gettid",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "pidfd_open", "prctl",
    "process_mrelease", "process_vm_readv", "process_vm_writev", "ptrace", "rseq",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "set_robust_list", "set_thread_area", "set_tid_address", "setpgid", "setsid",
    "vfork", "wait4", "waitid", "waitpid",
    // Machine and system.
    "arch_prctl", "breakpoint", "cacheflush", "getrandom", "modify_ldt", "set_tls", "sysinfo",
    "uname",
};
// clang-format on

/// Calls from 451 on have the same number everywhere; Debian 12's libseccomp does not know them.
/// This is the last one that the profile speaks of.
inline constexpr uint32_t last_new_call = 466;

inline constexpr std::array<uint32_t, 13> allowed_new_calls = {
    451,  // cachestat
    452,  // fchmodat2
    453,  // map_shadow_stack
    454,  // futex_wake
    455,  // futex_wait
    456,  // futex_requeue
    457,  // statmount
    458,  // listmount
    462,  // mseal
    463,  // setxattrat
    464,  // getxattrat
    465,  // listxattrat
    466,  // removexattrat
};

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
inline constexpr uint32_t namespace_clone_flags = 0x7e020000;

/// Linux, Linux32 and UNAME26 variants of them, and the query.
inline constexpr std::array<uint32_t, 5> allowed_personalities = {
    0x0, 0x8, 0x20000, 0x20008, 0xffffffff,
};

/// i386 numbers of socket, and of socketpair to shutdown and semget to msgctl, all allowed.
inline constexpr uint32_t i386_socket = 359;
struct CallRange {
  uint32_t first;
  uint32_t last;
};
inline constexpr std::array<CallRange, 2> i386_split_calls = {{{360, 373}, {393, 402}}};

}  // namespace lade::sandbox
