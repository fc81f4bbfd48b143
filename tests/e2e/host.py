"""The machine that tests run on: mounts that are shared, as systemd shares them, and what a test has left behind.

Each test process has a mount namespace of its own, a peer group to itself: what lade mounts or unmounts outside a
sandbox shows in it and nowhere else, so that the comparison is exact although two tests run at a time. Processes
that outlive their parents become children of the test process, so they are told apart, too.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import time

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE, MS_SHARED = 0x4000, 1 << 18, 1 << 20
PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def propagate(how):
    checked(libc.mount(None, b"/", None, MS_REC | how, None), "mount")


def enter_machine():
    """Makes the calling process a machine of its own, as far as mounts go, and the one that adopts orphans."""
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    propagate(MS_PRIVATE)  # from the real machine first
    propagate(MS_SHARED)
    checked(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()


def has_place(line):
    """Whether what is mounted on is there: of a directory that somebody removes the kernel takes the mounts away in
    every namespace, also if they are another's who tests here at the same time."""
    return os.path.lexists(line.split()[4].encode().decode("unicode_escape"))


def cgroups():
    """The cgroups of zygotes and their steps, in every hierarchy, but of zygotes at work: another test's."""
    found = set()
    for line in mounts():
        fields = line.split()
        if fields[fields.index("-") + 1] not in ("cgroup", "cgroup2"):
            continue
        for directory, children, _ in os.walk(fields[4]):
            for child in children:
                step = re.fullmatch(r"lade-(\d+)(-.*)?", child)
                if step and not os.path.exists(f"/proc/{step[1]}"):
                    found.add(os.path.join(directory, child))
    return found


def descendants():
    """Processes below this one, as "PID (NAME) command line" by (PID, start); those that have ended do not count."""
    children, names = {}, {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (process / "stat").read_text("utf-8", "replace")
            name, fields = stat[: stat.rindex(")") + 1], stat[stat.rindex(")") + 2:].split()
            pid, parent, state, start = int(process.name), int(fields[1]), fields[0], fields[19]
            children.setdefault(parent, []).append(pid)
            if state != "Z":
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                names[pid] = ((pid, start), f"{name} {command}")
    found, waiting = {}, [os.getpid()]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            waiting.append(pid)
            if pid in names:
                key, text = names[pid]
                found[key] = text
    return found


def interfaces():
    """Those that could be of a sandbox that was set up in the machine's own network namespace."""
    return {name for name in os.listdir("/sys/class/net") if name.startswith("tap")}


class Host:
    """The machine as it is now."""

    def __init__(self):
        self.mounts, self.cgroups, self.processes, self.interfaces = mounts(), cgroups(), descendants(), interfaces()

    def differences(self, wait=10.0):
        """What is there now and was not, or the other way about; empty when all is well. What ends by itself has
        the time for it."""
        deadline = time.monotonic() + wait
        while True:
            found = self._differences_now()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def _differences_now(self):
        now = Host()
        return ([f"mount gone: {line}" for line in self.mounts if line not in now.mounts and has_place(line)] +
                [f"mount left: {line}" for line in now.mounts if line not in self.mounts] +
                [f"cgroup left: {path}" for path in sorted(now.cgroups - self.cgroups)] +
                [f"process left: {text}" for key, text in now.processes.items() if key not in self.processes] +
                [f"interface left: {name}" for name in sorted(now.interfaces - self.interfaces)])
