"""ENOSPC, EIO, ENOMEM and EINTR at every call of lade's own processes that may answer so.

tests/support/fail_at.cpp has the Nth call fail, or all from the Nth on (a disk that stays full). A command that fails has to end with 1 and an
error that says what happened where; what it leaves has to be whole, and the same command without the fault right. EINTR must not be
noticed at all.
"""

import errno
import itertools
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from common import Part, copy, spread, traced
from image import Image, make_tar
from part_kills import DOCKERFILE, SMALL, Lane

KEEPING = ("creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,mknodat,fchmod,fchmodat,fchownat,"
           "utimensat,fsetxattr")
MAKING = f"{KEEPING},unlink,unlinkat,rmdir"
WRITING = "write,writev,pwrite64,pwritev,copy_file_range,sendfile,ftruncate,fallocate"
SYNCING = "fsync,fdatasync,syncfs,sync_file_range,msync"
READING = "read,readv,pread64,preadv,openat,openat2,getdents64"
WAITING = ("read,write,readv,writev,pread64,pwrite64,openat,openat2,poll,ppoll,epoll_wait,epoll_pwait,epoll_pwait2,wait4,waitid,accept,"
           "accept4,sendmsg,recvmsg,sendto,recvfrom,fsync,fdatasync,ftruncate,fallocate,flock,clock_nanosleep,copy_file_range,"
           "sendfile,getdents64")
# name, how many of them, errno, on what, calls
FAULTS = [
    ("ENOSPC once", "", errno.ENOSPC, "files", f"{MAKING},{WRITING}"),
    ("ENOSPC from then on", "+", errno.ENOSPC, "files", f"{KEEPING},{WRITING}"),
    ("EIO once", "", errno.EIO, "files", f"{MAKING},{WRITING},{SYNCING}"),
    ("EIO from then on", "+", errno.EIO, "files", f"{KEEPING},{WRITING},{SYNCING}"),
    ("EIO of reading", "", errno.EIO, "files", READING),
    ("ENOMEM of mmap", "", errno.ENOMEM, "files", "mmap"),
    ("EINTR", "", errno.EINTR, "all", WAITING),
]
SAID = {errno.ENOSPC: "No space left on device|attempt to write a readonly database",
        # A journal that cannot be opened for writing SQLite opens for reading.
        errno.EIO: "Input/output error|attempt to write a readonly database",
        errno.ENOMEM: "Cannot allocate memory|out of memory|not enough memory",
        errno.EINTR: "nothing is to be said"}


class Faults(Part):
    name = "faults"
    breaks = ("damage", "silence")

    def run(self):
        self.main = self.workspace("faults-main")
        self.main.write({"Dockerfile": DOCKERFILE, "a.txt": "a\n"})
        registry = self.main.registry()
        self.name_there = f"{registry.host}/small:1"
        self.main.write({"Dockerfile": SMALL}, self.main.dir / "small")
        self.main.lade("build", "-t", self.name_there, "--push", self.main.dir / "small")
        fresh = self.main.state
        built = copy(fresh, self.main.dir / "prepared-built")
        self.digest = self.main.lade(*self.build(self.main), state=built).digest
        self.main.lade("build", "-t", "app", "--target=app", self.main.context, state=built)
        self.main.lade("build", "--target=few", self.main.context, state=built)
        self.main.lade("save", "app", "-o", self.main.dir / "app.tar", state=built)
        self.tar = self.main.dir / "small.tar"
        self.tar.write_bytes(make_tar([("a", b"a\n"), ("b", b"b\n" * 100000)]))
        empty = self.main.dir / "prepared-empty"
        self.main.lade("images", state=empty)
        self.lanes = [Lane(self, number) for number in range(2)]
        self.free = list(self.lanes)
        scenes = [
            ("import", empty, lambda ws: ["import", self.tar, "x"], self.check_nothing),
            ("save", built, lambda ws: ["save", "app", "-o", ws.out / "saved.tar"], self.check_save),
            ("local", built, lambda ws: ["build", "-o", f"type=local,dest={ws.out}/tree", "--target=few", self.main.context],
             self.check_local),
            ("prune", built, lambda ws: ["prune", "-f", "-a"], self.check_prune),
            ("build", fresh, self.build, self.check_build),
            ("pull", empty, lambda ws: ["pull", self.name_there], self.check_pull),
            ("load", empty, lambda ws: ["load", "-i", self.main.dir / "app.tar"], self.check_nothing),
        ]
        todo = [(scene, fault) for scene in scenes for fault in FAULTS]
        for number, (scene, fault) in enumerate(todo):
            with self.part_of_time(1 / (len(todo) - number)):
                self.scene(*scene, *fault)

    def build(self, ws):
        return ["build", "-t", "app", "--target=app", "--build-arg=SOURCE_DATE_EPOCH=1700000000", "-o",
                f"type=oci,dest={ws.out}/x.tar,rewrite-timestamp=true", self.main.context]

    def scene(self, name, start, arguments, check, fault, how, number, what, calls):
        lane = self.lanes[0]
        copy(start, lane.state)
        lines, result = traced("fail_at", [0, number, what, calls], lane.ws.dir / "report",
                               lane.ws.command(*arguments(lane.ws)))
        total = int(lines[0])
        if result.code != 0:
            self.fault(f"{name} without a fault", result)
            return
        self.clean(lane)
        lock, tried = threading.Lock(), itertools.count()

        def at(place):
            with lock:
                lane = self.free.pop()
            try:
                about = f"{name}: {fault}, {place} of {total}"
                if self.point(lane, about, start, arguments, check, [f"{place}{how}", number, what, calls]):
                    next(tried)
            finally:
                self.clean(lane)
                with lock:
                    self.free.append(lane)

        self.each(spread(total), at)
        self.count(f"of {total} places of {name} for {fault}", next(tried))

    def clean(self, lane):
        del lane.ws.transcript[:]
        for path in (lane.ws.out, lane.state):
            shutil.rmtree(path, ignore_errors=True)
        lane.ws.out.mkdir()

    def point(self, lane, about, start, arguments, check, fault):
        copy(start, lane.state)
        ws = lane.ws
        try:
            lines, failed = traced("fail_at", fault, ws.dir / "report", ws.command(*arguments(ws)), timeout=60)
        except subprocess.TimeoutExpired as error:
            self.fault(f"{about}: did not end", (error.stderr or b"").decode(errors="replace"))
            self.end(ws)
            return True
        call, path = lines[1].split(" ", 1)
        about += f": {call} {path}"
        if call == "-":
            return False  # threads do not come to the same number of calls each time
        if self.broken == "silence" and failed.code == 1:
            failed.stderr = "ERROR: it did not work\n"
        self.check_failed(ws, about, failed, int(fault[1]))
        if self.broken == "damage":
            for victim in sorted((lane.state / "layers").glob("*/bin/busybox")) + sorted(lane.state.glob("blobs/sha256/*")):
                victim.write_bytes(b"not what it was")
                break
        left = [line for line in ws._leftovers_now() if line.startswith("beside the outputs")]
        if left:
            self.fault(f"{about}: {left}", failed)
        self.verify_state(ws, lane.state, about)
        again = ws.lade(*arguments(ws), state=lane.state, code=None)
        if again.code != 0:
            self.fault(f"{about}: the same again fails", failed, again)
            return True
        check(ws, lane.state, about, failed, again)
        time.sleep(0.15)  # what is younger than the oldest process at work stays
        ws.lade("prune", "-f", state=lane.state)
        left = ws.leftovers()
        if left:
            self.fault(f"{about}: left behind: {left}", failed)
        verify = self.verify_state(ws, lane.state, about)
        if " 0 orphans" not in verify.stdout:
            self.fault(f"{about}: orphans", verify)
        return True

    def end(self, ws):
        """What did not end: processes of this lane alone."""
        for line in ws._leftovers_now():
            if found := re.match(r"process (\d+)", line):
                os.kill(int(found[1]), signal.SIGKILL)

    def check_failed(self, ws, about, failed, number):
        if failed.code == 0:
            return  # it went another way, or could do without: the result is compared below
        if number == errno.EINTR:
            self.fault(f"{about}: noticed", failed)
            return
        if failed.code != 1 or "terminate called" in failed.stderr:
            self.fault(f"{about}: ended with {failed.code}", failed)
            return
        errors = [line for line in failed.stderr.splitlines() if "ERROR: " in line]
        said = [line for line in errors if re.search(SAID[number], line)]
        if not said:
            self.fault(f"{about}: does not say {SAID[number]}", failed)
        elif not any(re.search(r"'[^']+'", line) for line in said):
            self.fault(f"{about}: names no path", failed)
        if (ws.out / "x.tar").exists() or (ws.out / "saved.tar").exists():
            self.fault(f"{about}: an output is there although it failed", failed)

    def check_nothing(self, ws, state, about, failed, again):
        pass

    def check_build(self, ws, state, about, failed, again):
        if again.digest != self.digest or (failed.code == 0 and failed.digest != self.digest):
            self.fault(f"{about}: another result, {failed.digest} and {again.digest} for {self.digest}", failed, again)
        Image.read(ws.out / "x.tar")
        finished = [name for name in failed.ran if "RUN" in name or "COPY" in name]
        if lost := [name for name in finished if name in again.ran]:
            self.lose(len(lost), f"{about}: lost {lost}", failed, again)

    def check_pull(self, ws, state, about, failed, again):
        ws.write({"Dockerfile": f"FROM {self.name_there}\nRUN test -s /d/1 && test /d/1 -ef /d/2 && test -L /d/3\n"})
        used = ws.lade("build", "--pull=never", ws.context, state=state, code=None)
        if used.code != 0:
            self.fault(f"{about}: what was pulled is not right", failed, used)

    def check_prune(self, ws, state, about, failed, again):
        rebuilt = ws.lade(*self.build(ws), state=state, code=None)
        if rebuilt.code != 0 or rebuilt.digest != self.digest:
            self.fault(f"{about}: a build afterwards: {rebuilt.digest} for {self.digest}", failed, rebuilt)

    def check_save(self, ws, state, about, failed, again):
        if Image.read(ws.out / "saved.tar").tree()["both"].text != "a\ntool\n":
            self.fault(f"{about}: what was saved is not right", failed)

    def check_local(self, ws, state, about, failed, again):
        if (ws.out / "tree/few/both").read_text() != "a\ntool\n":
            self.fault(f"{about}: the tree is not right", failed)
        if again.ran:
            self.lose(len(again.ran), f"{about}: lost {again.ran}", failed, again)


PART = Faults
