// What a step may do: one line for each call or file, "NAME ANSWER", where the answer is "ok" or the name of an errno.
// Arguments are such that what is permitted does nothing, or something within the sandbox alone.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char* name, long result) {
  printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
  fflush(stdout);
}

// Each in a process of its own, so that none changes the next one's answer.
#define TRY(name, call)                                                                 \
  do {                                                                                  \
    pid_t child = fork();                                                               \
    if (child == 0) {                                                                   \
      errno = 0;                                                                        \
      say(name, (long)(call));                                                          \
      _exit(0);                                                                         \
    }                                                                                   \
    int status;                                                                         \
    waitpid(child, &status, 0);                                                         \
    if (WIFSIGNALED(status)) printf("%s %s\n", name, sigabbrev_np(WTERMSIG(status)));   \
    fflush(stdout);                                                                     \
  } while (0)

static void* const bad = (void*)8;  // an address that is nobody's

static void calls(void) {
  TRY("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  TRY("mount bind", mount("/etc", "/tmp", "", MS_BIND, ""));
  TRY("remount /proc", mount("", "/proc", "", MS_REMOUNT | MS_BIND, ""));
  TRY("umount /proc", umount2("/proc", MNT_DETACH));
  TRY("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
  TRY("chroot", chroot("/tmp"));
  TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  TRY("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, bad, 32));
  TRY("unshare user", unshare(CLONE_NEWUSER));
  TRY("unshare mount", unshare(CLONE_NEWNS));
  TRY("unshare net", unshare(CLONE_NEWNET));
  TRY("unshare pid", unshare(CLONE_NEWPID));
  TRY("unshare uts", unshare(CLONE_NEWUTS));
  TRY("unshare ipc", unshare(CLONE_NEWIPC));
  TRY("unshare cgroup", unshare(CLONE_NEWCGROUP));
  TRY("clone user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) ?: (_exit(0), 0));
  TRY("clone3", syscall(SYS_clone3, bad, 64));
  TRY("setns", setns(open("/proc/self/ns/net", O_RDONLY), 0));
  TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, bad, O_RDONLY));
  TRY("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", bad, bad, 0));
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY, attr.key_size = 4, attr.value_size = 4, attr.max_entries = 1;
  TRY("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
  struct perf_event_attr perf;
  memset(&perf, 0, sizeof perf);
  perf.size = sizeof perf, perf.type = PERF_TYPE_SOFTWARE;
  TRY("perf_event_open", syscall(SYS_perf_event_open, &perf, -1, 0, -1, 0));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, bad));
  TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  TRY("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
  TRY("request_key", syscall(SYS_request_key, "user", "x", 0, 0));
  TRY("init_module", syscall(SYS_init_module, bad, 8, ""));
  TRY("finit_module", syscall(SYS_finit_module, -1, "", 0));
  TRY("delete_module", syscall(SYS_delete_module, "nosuch", 0));
  TRY("kexec_load", syscall(SYS_kexec_load, 0, 100, bad, 0));
  TRY("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, "", 0));
  TRY("reboot", syscall(SYS_reboot, 0, 0, 0x12345, 0));
  TRY("swapon", syscall(SYS_swapon, "/nosuch", 0));
  TRY("swapoff", syscall(SYS_swapoff, "/nosuch"));
  TRY("acct", syscall(SYS_acct, "/nosuch"));
  TRY("quotactl", syscall(SYS_quotactl, 0x800001, 0, 0, 0));
  TRY("settimeofday", syscall(SYS_settimeofday, bad, 0));
  TRY("clock_settime", syscall(SYS_clock_settime, 0, bad));
  TRY("clock_adjtime", syscall(SYS_clock_adjtime, 0, bad));
  TRY("adjtimex", syscall(SYS_adjtimex, bad));
  TRY("sethostname", sethostname("x", 1));
  TRY("setdomainname", setdomainname("x", 1));
  TRY("iopl", syscall(SYS_iopl, 3));
  TRY("ioperm", syscall(SYS_ioperm, 0, 1, 1));
  TRY("syslog", klogctl(3, (char*)bad, 1));
  TRY("syslog size", klogctl(10, 0, 0));
  TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
  TRY("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), bad, 1, bad, 1, 0));
  TRY("kcmp", syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
  TRY("lookup_dcookie", syscall(SYS_lookup_dcookie, 0L, bad, 1));
  TRY("vhangup", syscall(SYS_vhangup));
  TRY("personality", personality(ADDR_NO_RANDOMIZE));
  TRY("personality uname26", personality(UNAME26));
  TRY("mbind", syscall(SYS_mbind, 0, 0, 0, 0, 0, 0));
  TRY("set_mempolicy", syscall(SYS_set_mempolicy, 0, 0, 0));
  TRY("get_mempolicy", syscall(SYS_get_mempolicy, 0, 0, 0, 0, 0));
  TRY("move_pages", syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0));
  TRY("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
  TRY("mknod char", mknod("/tmp/probe-c", S_IFCHR | 0600, makedev(1, 3)));
  TRY("mknod block", mknod("/tmp/probe-b", S_IFBLK | 0600, makedev(7, 0)));
  TRY("open block", open("/tmp/probe-b", O_RDWR));
  TRY("setuid", setuid(1000));
  TRY("setgroups", syscall(SYS_setgroups, 0, 0));
  TRY("chown", chown("/tmp", 0, 0));
  TRY("setxattr trusted", syscall(SYS_setxattr, "/tmp", "trusted.x", "y", 1, 0));
  TRY("setxattr security", syscall(SYS_setxattr, "/tmp", "security.x", "y", 1, 0));
  TRY("nice", setpriority(0, 0, -20));
  TRY("sched_setscheduler", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
  TRY("setrlimit", syscall(SYS_prlimit64, 0, 8 /* memlock */, &(uint64_t[2]){1ull << 40, 1ull << 40}, 0));
  TRY("mlock", syscall(SYS_mlock, &attr, 1));
  TRY("prctl dumpable", prctl(PR_SET_DUMPABLE, 1));
  TRY("prctl seccomp", prctl(PR_SET_SECCOMP, 2, bad));
  TRY("prctl cap_ambient", prctl(PR_CAP_AMBIENT, 2, 21, 0, 0));
  TRY("capset", syscall(SYS_capset, bad, bad));
  TRY("socket raw", socket(AF_INET, SOCK_RAW, 1));
  TRY("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
  TRY("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  TRY("socket vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  TRY("socket alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
  TRY("kill 1", kill(1, 0));
  TRY("kill other", kill(99999, 0));
  TRY("memfd_secret", syscall(447, 0));
  TRY("pidfd_getfd", syscall(SYS_pidfd_getfd, -1, 0, 0));
  TRY("landlock", syscall(444, 0, 0, 1));
  TRY("unknown call", syscall(9999));
}

static void file(const char* path) {
  char name[300];
  snprintf(name, sizeof name, "read %s", path);
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  char byte;
  // An empty one is one that is masked.
  if (fd < 0) say(name, -1);
  else {
    struct stat info;
    fstat(fd, &info);
    long got = S_ISDIR(info.st_mode) ? 1 : read(fd, &byte, 1);
    printf("%s %s\n", name, got < 0 ? strerrorname_np(errno) : got == 0 ? "empty" : "ok");
  }
  snprintf(name, sizeof name, "write %s", path);
  fd = open(path, O_WRONLY | O_NONBLOCK);
  say(name, fd);
}

int main(int argc, char** argv) {
  calls();
  for (int i = 1; i < argc; ++i) file(argv[i]);
  return 0;
}
