"""What a step may do, call by call and file by file (probe.c), and what runc's default container answers in the same run.

runc's spec is its default one with the capabilities that Docker and BuildKit give, since that is what a RUN has; it has no seccomp
filter and no limits, which a RUN has. Where the answers differ, that has to be expected, and why is said.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import support
from common import Part, Stopped
from support import busybox_tar

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
                "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
FILES = ["/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/acpi", "/proc/scsi", "/proc/asound",
         "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/panic", "/proc/sys/vm/drop_caches",
         "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname",
         "/proc/1/environ", "/proc/1/mem", "/proc/self/mem", "/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/kmsg", "/proc/kallsyms",
         "/proc/config.gz", "/proc/mounts", "/proc/kpagecount", "/proc/kpageflags", "/proc/interrupts", "/proc/modules", "/proc/vmallocinfo", "/proc/slabinfo",
         "/proc/version", "/sys/firmware", "/sys/kernel/uevent_helper", "/sys/kernel/vmcoreinfo", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
         "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing", "/sys/class/net", "/sys/block", "/sys/devices/virtual/powercap",
         "/sys/module/kernel/parameters/panic", "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/console", "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
         "/dev/tty", "/dev/ptmx", "/dev/shm", "/dev/mqueue", "/dev/net/tun", "/dev/loop0", "/dev/vda", "/etc/hosts", "/etc/resolv.conf", "/run", "/.dockerenv"]
# The probe's name -> (what a step answers, why it differs from runc's answer)
FILTER = "Docker's seccomp filter refuses it; runc's default spec has none"
EXPECTED = {name: ("EPERM", FILTER) for name in (
    "unshare user", "clone user", "open_by_handle_at", "perf_event_open", "io_uring_setup", "keyctl", "add_key", "request_key", "init_module",
    "finit_module", "delete_module", "kexec_load", "kexec_file_load", "quotactl", "settimeofday", "clock_settime", "iopl", "ioperm", "kcmp",
    "lookup_dcookie", "personality", "mbind", "set_mempolicy", "get_mempolicy", "move_pages", "socket vsock", "socket alg", "pidfd_getfd")}
EXPECTED.update({
    "clone3": ("ENOSYS", "Docker's filter, so that libraries use clone, whose flags it can look at"),
    "name_to_handle_at": ("EOPNOTSUPP", "an overlay mount has no handles, the directory that runc's container has does"),
    "read /proc/interrupts": ("empty", "masked, as newer versions of runc and moby do: it tells of other processes' input"),
    "write /etc/hosts": ("EROFS", "it is mounted for the step, read-only as BuildKit mounts it; runc's container has its image's"),
    "write /etc/resolv.conf": ("EROFS", "it is mounted for the step, read-only as BuildKit mounts it; runc's container has its image's"),
})


class Escapes(Part):
    name = "escapes"
    breaks = ("privileged",)

    def run(self):
        runc, compiler = shutil.which("runc"), shutil.which("cc")
        if not runc or not compiler:
            raise Stopped("it needs runc and cc")
        ws = self.workspace("escapes")
        subprocess.run([compiler, "-static", "-O1", "-o", ws.context / "probe", pathlib.Path(__file__).parent / "probe.c"], check=True)
        options = ["--allow", "security.insecure"] if self.broken == "privileged" else []
        flag = "--security=insecure " if options else ""
        ws.write({"Dockerfile": f"FROM busybox\nCOPY probe /probe\nRUN {flag}{json.dumps(['/probe', *FILES])}\n"})
        step = self.parse(ws.lade("build", "--no-cache", *options, ws.context).log("RUN"))
        peer = self.parse(self.by_runc(runc, ws))
        if list(step) != list(peer):
            self.fault("the probes did not answer the same questions", set(step) ^ set(peer))
        self.count("answers compared", len(step))
        for name, answer in step.items():
            theirs = peer.get(name)
            if answer == theirs:
                self.count("equal")
                continue
            expected = EXPECTED.get(name)
            if expected and expected[0] == answer:
                self.count("different as expected")
                continue
            self.fault(f"{name}: a step gets {answer}, runc's container {theirs}" + (f"; expected {expected[0]}" if expected else ""))

    @staticmethod
    def parse(lines):
        return dict(line.rsplit(" ", 1) for line in lines if " " in line)

    def by_runc(self, runc, ws):
        bundle = ws.dir / "bundle"
        (bundle / "rootfs").mkdir(parents=True)
        with tarfile.open(busybox_tar()) as tar:
            tar.extractall(bundle / "rootfs", filter="fully_trusted")
        shutil.copy2(ws.context / "probe", bundle / "rootfs/probe")
        # As the step has them: the image has none of its own.
        for name in ("hosts", "resolv.conf"):
            (bundle / "rootfs/etc" / name).write_text("127.0.0.1 localhost\n")
        subprocess.run([runc, "spec", "--bundle", bundle], check=True)
        spec = support.read_json(bundle / "config.json")
        spec["root"]["readonly"] = False
        spec["process"].update(terminal=False, args=["/probe", *FILES], noNewPrivileges=False)
        spec["process"].pop("rlimits", None)
        for kind in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][kind] = CAPABILITIES
        for kind in ("inheritable", "ambient"):
            spec["process"]["capabilities"].pop(kind, None)
        (bundle / "config.json").write_text(json.dumps(spec))
        done = subprocess.run([runc, "--root", ws.dir / "runc", "run", "--bundle", bundle, f"lade-probe-{os.getpid()}"], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, timeout=120)
        if done.returncode != 0:
            raise Stopped(f"runc: {done.stderr}")
        return done.stdout.splitlines()


PART = Escapes
