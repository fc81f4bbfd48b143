"""What the batteries share: a part, its figures, and the verification that each ends with."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import support
from support import Result, Workspace, environment

WORKERS = 2
PROGRAMS = pathlib.Path()  # where kill_at and fail_at are; set by run


class Stopped(Exception):
    """The part cannot go on."""


class Part:
    """A battery. run() counts what it tries and notes what is wrong; the verification at the end is the same for all.

    `broken` names a guard that is deliberately ineffective in this run, which then has to find something:
    the proof that a part which finds nothing could.
    """

    name = ""
    breaks = ()  # what `broken` may be

    def __init__(self, seconds, broken=""):
        self.started = time.monotonic()
        self.deadline = self.started + seconds
        self.broken = broken
        self.faults = []
        self.figures = {}
        self.records_lost = self.damaged = 0
        self._workspaces = []
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------ for parts

    def run(self):
        raise NotImplementedError

    def count(self, what, number=1):
        with self._lock:
            self.figures[what] = self.figures.get(what, 0) + number

    def highest(self, what, number):
        with self._lock:
            self.figures[what] = max(self.figures.get(what, 0), number)

    def fault(self, what, *details):
        """Something is wrong. Known at once, and at the end."""
        text = "\n".join([what, *(str(detail) for detail in details)])
        with self._lock:
            self.faults.append(text)
            shown = text if len(text) < 6000 else text[:3000] + "\n[...]\n" + text[-3000:]
            print(f"{self.name}: WRONG: " + shown.replace("\n", "\n    "), flush=True)

    def lose(self, number, what, *details):
        self.records_lost += number
        self.fault(what, *details)

    def workspace(self, name="", base="busybox"):
        ws = Workspace(name or self.name, base)
        with self._lock:
            self._workspaces.append(ws)
        return ws

    def over(self):
        return time.monotonic() > self.deadline

    @contextlib.contextmanager
    def part_of_time(self, share):
        """Within it the time is over after this share of what is left."""
        deadline, now = self.deadline, time.monotonic()
        self.deadline = now + max(0, deadline - now) * share
        try:
            yield
        finally:
            self.deadline = deadline

    def each(self, items, work):
        """work(item) for all, in some threads, until the time is over. An exception of it is a fault. How many were done."""
        items = list(items)
        done = 0

        def one(item):
            if self.over():
                return 0
            try:
                work(item)
            except Exception as error:  # noqa: BLE001: whatever it is, the others go on
                self.fault(f"{item}: {type(error).__name__}: {error}")
            return 1

        with ThreadPoolExecutor(WORKERS) as pool:
            done = sum(pool.map(one, items))
        return done

    # --------------------------------------------------------------------------------- verification

    def verify_state(self, ws, state=None, about="", owner=None):
        """No layer damaged, nothing unfinished after a prune."""
        verify = ws.lade("du", "--verify", state=state, code=None)
        found = re.search(r"(\d+) damaged", verify.stdout)
        if verify.code != 0 or not found or found[1] != "0":
            self.damaged += int(found[1]) if found else 1
            self.fault(f"{about or state or ws.state}: du --verify", verify)
        return verify

    def verify(self):
        """Everything again that the part has used and kept."""
        left = 0
        for ws in self._workspaces:
            del ws.transcript[:]
            for state in sorted(ws.dir.glob("state*")):
                if not (state / "lade.db").exists():
                    continue
                self.verify_state(ws, state)
                time.sleep(0.15)  # what is younger than the oldest process at work stays
                ws.lade("prune", "-f", state=state)
                verify = self.verify_state(ws, state)
                if " 0 orphans" not in verify.stdout:
                    self.fault(f"{state}: orphans", verify)
            for line in ws.leftovers():
                left += 1
                self.fault(f"left behind: {line}")
        return left

    def close(self):
        for ws in self._workspaces:
            # Trees may be deeper than Python's own removal goes.
            ws.defer(subprocess.run, ["rm", "-rf", *map(str, ws.dir.glob("*"))])
            ws.close()

    def summary(self, left):
        shown = ", ".join(f"{value} {what}" for what, value in self.figures.items())
        return (f"{self.name}: {shown}\n{self.name}: {time.monotonic() - self.started:.0f} s, records lost {self.records_lost}, "
                f"layers damaged {self.damaged}, leftovers {left}, faults {len(self.faults)}")


def spread(total):
    """All of 1..total, first few far apart, then denser and denser."""
    step = 1 << total.bit_length()
    while step >= 1:
        yield from range(step, total + 1, 2 * step)
        step //= 2


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
    return target


def traced(program, arguments, report, command, timeout=120, env=None):
    """Runs kill_at or fail_at; its exit code, the report's lines, and what the command printed."""
    done = subprocess.run([PROGRAMS / program, *map(str, arguments), report, *command], stdin=subprocess.DEVNULL,
                          capture_output=True, env=environment(env), timeout=timeout)
    lines = pathlib.Path(report).read_text("utf-8", "surrogateescape").splitlines()
    return lines, Result(command, done.returncode, done.stdout, done.stderr, 0)


@contextlib.contextmanager
def memory_group(name, limit):
    """A cgroup whose members may have `limit` bytes together: (a function for preexec_fn, one that says how many they
    had at most, one that says whether any was killed for it). Where no cgroup can be had, nothing is bounded."""
    for kind, base in (("v2", "/sys/fs/cgroup"), ("v2", "/sys/fs/cgroup/unified"), ("v1", "/sys/fs/cgroup/memory")):
        group = pathlib.Path(base) / f"torture-{os.getpid()}-{name}"
        files = {"v2": ("memory.max", "memory.peak", "memory.events"),
                 "v1": ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")}[kind]
        try:
            group.mkdir()
        except OSError:
            continue
        if not (group / files[0]).exists():
            group.rmdir()
            continue
        break
    else:
        yield (lambda: None), (lambda: 0), (lambda: False)
        return
    (group / files[0]).write_text(str(limit))

    def enter():
        (group / "cgroup.procs").write_text(str(os.getpid()))

    def peak():
        return int((group / files[1]).read_text())

    def killed():
        found = re.search(r"^oom_kill (\d+)", (group / files[2]).read_text(), re.M)
        return bool(found and int(found[1]))

    try:
        yield enter, peak, killed
    finally:
        deadline = time.monotonic() + 10
        while True:
            try:
                # Below it are the groups of the steps; those of killed builds stay for the next build.
                for below in sorted(group.glob("**/"), key=lambda path: -len(path.parts)):
                    below.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    print(f"{group} is not empty", file=sys.stderr)
                    break
                time.sleep(0.05)
