"""SIGKILL at every system call of a build, pull, prune and export that changes anything outside the process.

Between two of them a kill leaves what it leaves at the second, so that these are all the places there are. tests/support/kill_at.cpp
counts the calls, whichever process of the command makes them. After each kill the same command has to succeed with the right result, what the
killed build said was done has to be there, and everything has to be whole.
"""

import itertools
import shutil
import threading
import time

from common import Part, copy, spread, traced
from image import Image

CALLS = ("creat,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,ftruncate,truncate,fallocate,rename,renameat,"
         "renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat,chmod,fchmod,fchmodat,"
         "chown,fchown,lchown,fchownat,utimensat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,fsync,"
         "fdatasync,syncfs,msync,mount,umount2,fsopen,fsconfig,fsmount,move_mount,open_tree,pivot_root,mount_setattr,chroot,"
         "unshare,setns,clone,clone3,fork,vfork,execve,execveat,kill,tgkill,pidfd_send_signal,sendto,sendmsg,sendmmsg,connect,"
         "bind,listen,flock,bpf,exit_group")
DOCKERFILE = """FROM busybox AS tool
RUN echo tool > /tool
RUN --mount=type=cache,target=/cache echo more > /more
FROM busybox AS app
COPY --from=tool /tool /more /bin/
COPY --link a.txt /dst/
RUN cat /dst/a.txt /bin/tool > /both
FROM scratch AS few
COPY --from=app /both /dst /few/
"""
SMALL = "FROM busybox\nRUN mkdir /d && echo 1 > /d/1 && ln /d/1 /d/2 && ln -s 1 /d/3\n"


class Lane:
    """Directories of one thread."""

    def __init__(self, part, number):
        self.ws = part.workspace(f"kills-{number}", None)
        self.state = self.ws.dir / "state"


class Kills(Part):
    name = "kills"
    breaks = ("damage",)

    def run(self):
        self.main = self.workspace("kills-main")
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
        empty = self.main.dir / "prepared-empty"
        self.main.lade("images", state=empty)
        self.lanes = [Lane(self, number) for number in range(2)]
        self.free = list(self.lanes)
        scenes = [
            ("save", built, lambda ws: ["save", "app", "-o", ws.out / "saved.tar"], self.check_save),
            ("local", built, lambda ws: ["build", "-o", f"type=local,dest={ws.out}/tree", "--target=few", self.main.context],
             self.check_local),
            ("push", built, lambda ws: ["build", "-t", f"{registry.host}/app:1", "--push", "--target=app", self.main.context],
             self.check_push),
            ("prune", built, lambda ws: ["prune", "-f", "-a"], self.check_prune),
            ("pull", empty, lambda ws: ["pull", self.name_there], self.check_pull),
            ("build", fresh, self.build, self.check_build),
        ]
        # The short ones first: what time they leave goes to the others.
        for number, scene in enumerate(scenes):
            with self.part_of_time(1 / (len(scenes) - number)):
                self.scene(*scene)

    def build(self, ws):
        return ["build", "-t", "app", "--target=app", "--build-arg=SOURCE_DATE_EPOCH=1700000000", "-o",
                f"type=oci,dest={ws.out}/x.tar,rewrite-timestamp=true", self.main.context]

    def scene(self, name, start, arguments, check):
        lane = self.lanes[0]
        copy(start, lane.state)
        lines, result = traced("kill_at", [0, CALLS], lane.ws.dir / "report", lane.ws.command(*arguments(lane.ws)))
        total = int(lines[0].split()[0])
        if result.code != 0:
            self.fault(f"{name} without a kill", result)
            return
        self.clean(lane)
        calls, lock = set(), threading.Lock()
        tried = itertools.count()

        def at(number):
            with lock:
                lane = self.free.pop()
            try:
                call = self.point(lane, name, number, total, start, arguments, check)
                if call:
                    next(tried)
                    calls.add(call)
            finally:
                self.clean(lane)
                with lock:
                    self.free.append(lane)

        self.each(spread(total), at)
        self.count(f"of {total} places of {name} ({len(calls)} calls)", next(tried))

    def clean(self, lane):
        del lane.ws.transcript[:]
        for path in (lane.ws.out, lane.state):
            shutil.rmtree(path, ignore_errors=True)
        lane.ws.out.mkdir()

    def point(self, lane, name, number, total, start, arguments, check):
        copy(start, lane.state)
        ws = lane.ws
        lines, killed = traced("kill_at", [number, CALLS], ws.dir / "report", ws.command(*arguments(ws)))
        _, how, call = lines[0].split()
        if how == "ended":
            # Threads do not come to the same number of calls each time: near the end there may be none.
            self.count("too late")
            if killed.code != 0:
                self.fault(f"{name}, unkilled", killed)
            return None
        about = f"{name}: killed at {number} of {total}: {call}"
        if self.broken == "damage":
            for path in sorted((lane.state / "layers").glob("*/bin/busybox")) + sorted(lane.state.glob("blobs/sha256/*")):
                path.write_bytes(b"not what it was")
                break
        self.check_left(ws, about)
        self.verify_state(ws, lane.state, about)
        again = ws.lade(*arguments(ws), state=lane.state, code=None)
        if again.code != 0:
            self.fault(f"{about}: the same again fails", again)
            return call
        check(ws, lane.state, about, killed, again)
        time.sleep(0.15)  # what is younger than the oldest process at work stays
        ws.lade("prune", "-f", state=lane.state)
        left = list((lane.state / "tmp").iterdir())
        if left:
            self.fault(f"{about}: after a prune there is {left}")
        verify = self.verify_state(ws, lane.state, about)
        if " 0 orphans" not in verify.stdout:
            self.fault(f"{about}: orphans", verify)
        return call

    def check_left(self, ws, about):
        """Mounts and processes; temporary files may be there until a prune."""
        deadline = time.monotonic() + 5
        while True:
            left = [line for line in ws._leftovers_now() if line.startswith(("mount", "process"))]
            if not left:
                return
            if time.monotonic() > deadline:
                self.fault(f"{about}: {left}")
                return
            time.sleep(0.02)

    def check_build(self, ws, state, about, killed, again):
        if again.digest != self.digest:
            self.fault(f"{about}: another result, {again.digest} for {self.digest}", again)
        finished = [name for name in killed.ran if "RUN" in name or "COPY" in name]
        if lost := [name for name in finished if name in again.ran]:
            self.lose(len(lost), f"{about}: lost {lost}", killed, again)

    def check_pull(self, ws, state, about, killed, again):
        ws.write({"Dockerfile": f"FROM {self.name_there}\nRUN test -s /d/1 && test /d/1 -ef /d/2 && test -L /d/3\n"})
        used = ws.lade("build", "--pull=never", ws.context, state=state, code=None)
        if used.code != 0:
            self.fault(f"{about}: what was pulled is not right", used)

    def check_prune(self, ws, state, about, killed, again):
        rebuilt = ws.lade(*self.build(ws), state=state, code=None)
        if rebuilt.code != 0 or rebuilt.digest != self.digest:
            self.fault(f"{about}: a build afterwards: {rebuilt.digest} for {self.digest}", rebuilt)

    def check_save(self, ws, state, about, killed, again):
        image = Image.read(ws.out / "saved.tar")
        if image.tree()["both"].text != "a\ntool\n":
            self.fault(f"{about}: what was saved is not right")

    def check_local(self, ws, state, about, killed, again):
        if (ws.out / "tree/few/both").read_text() != "a\ntool\n":
            self.fault(f"{about}: the tree is not right")
        if again.ran:
            self.lose(len(again.ran), f"{about}: lost {again.ran}", again)

    def check_push(self, ws, state, about, killed, again):
        if again.ran:
            self.lose(len(again.ran), f"{about}: lost {again.ran}", again)


PART = Kills
