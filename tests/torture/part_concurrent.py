"""Eight builds at a time on one state directory, beside prunes and kills, until the time is over; a second state directory is at work side
by side.

Every build that is not killed has to succeed with the right result. In the end everything is whole.
"""

import random
import signal
import subprocess
import threading
import time

import support
from common import Part
from image import Image

DOCKERFILE = """FROM busybox AS tool
RUN echo tool > /tool
RUN --mount=type=cache,target=/cache echo x >> /cache/count; echo more > /more
FROM busybox
ARG NUMBER
COPY --from=tool /tool /more /bin/
COPY --link a.txt /dst/
RUN echo $NUMBER > /number && cat /dst/a.txt /bin/tool > /both
RUN cp /both /again
"""
USER = 65534


class Concurrent(Part):
    name = "concurrent"
    breaks = ("result",)

    def run(self):
        self.ws = self.workspace("concurrent")
        self.ws.write({"Dockerfile": DOCKERFILE, "a.txt": "a\n"})
        self.killed = set()
        self.lock = threading.Lock()
        threads = [threading.Thread(target=self.guarded, args=(work, number))
                   for work, number in [(self.builder, n) for n in range(8)] + [(self.pruner, 0), (self.killer, 0), (self.other_state, 0)]]
        self.running = {}
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def guarded(self, work, number):
        try:
            work(number)
        except Exception as error:  # noqa: BLE001
            self.fault(f"{work.__name__} {number}: {type(error).__name__}: {error}")

    def builder(self, number):
        rng = random.Random(number)
        while not self.over():
            # Some want the same, some what nobody else wants.
            value = rng.choice([f"n{rng.randrange(4)}", f"n{rng.randrange(10**9)}"])
            kind = rng.choice(["oci", "local", "none"])
            dest = self.ws.out / f"{number}"
            output = {"oci": ["-o", f"type=oci,dest={dest}.tar"], "local": ["-o", f"type=local,dest={dest}"], "none": ["-t", f"x{number}"]}[kind]
            process = self.ws.spawn("build", f"--build-arg=NUMBER={value}", *output, self.ws.context)
            with self.lock:
                self.running[process.pid] = process
            result = self.ws.finish(process, timeout=300)
            with self.lock:
                del self.running[process.pid]
                killed = process.pid in self.killed
            del self.ws.transcript[:]
            if killed and result.code == -signal.SIGKILL:
                self.count("killed")
                continue
            self.count("builds")
            if result.code != 0:
                self.fault(f"a build of {value} failed", result)
            elif kind == "oci":
                self.check(Image.read(f"{dest}.tar").tree()["number"].text, value, result)
            elif kind == "local":
                self.check((dest / "number").read_text(), value, result)
            subprocess.run(["rm", "-rf", dest, f"{dest}.tar"], check=True)

    def check(self, found, value, result):
        if found != value + "\n" or self.broken == "result":
            self.fault(f"a build of {value} has {found!r}", result)

    def pruner(self, _):
        rng = random.Random(1)
        while not self.over():
            how = rng.choice([["-f"], ["-f", "-a"], ["-f", "--keep-storage", "1MB"]])
            result = self.ws.finish(self.ws.spawn("prune", *how), timeout=300)
            self.count("prunes")
            if result.code != 0:
                self.fault("a prune failed", result)
            if rng.random() < 0.1:
                self.ws.finish(self.ws.spawn("du"), timeout=300)
            time.sleep(rng.random())

    def killer(self, _):
        rng = random.Random(2)
        while not self.over():
            time.sleep(rng.random() * 2)
            with self.lock:
                living = [process for process in self.running.values() if process.poll() is None]
                if living:
                    process = rng.choice(living)
                    self.killed.add(process.pid)
                    process.kill()

    def other_state(self, _):
        """The same names and numbers on another state directory, whose builds must not meet these; and neither is for other users."""
        number = 0
        state = self.ws.new_state(name="state-other")
        while not self.over():
            result = self.ws.finish(self.ws.spawn("build", "-t", "x0", f"--build-arg=NUMBER=other{number}", "-o", f"type=local,dest={self.ws.out}/other",
                                                  self.ws.context, state=state), timeout=300)
            if result.code != 0:
                self.fault("a build on the other state directory failed", result)
                return
            self.check((self.ws.out / "other/number").read_text(), f"other{number}", result)
            self.count("builds on another state directory")
            subprocess.run(["rm", "-rf", self.ws.out / "other"], check=True)
            number += 1
            if number % 5 == 0:
                self.ws.finish(self.ws.spawn("prune", "-f", state=state), timeout=300)
            for place in (self.ws.state, state):
                probe = subprocess.run(["ls", place], user=USER, group=USER, extra_groups=[], capture_output=True)
                if probe.returncode == 0:
                    self.fault(f"another user may list {place}")
        names = subprocess.run(self.ws.command("images", state=state), env=support.environment(), capture_output=True, text=True).stdout
        if any(f"x{n}" in names for n in range(1, 8)):
            self.fault("the other state directory has names of this one", names)

    def verify(self):
        # What killed builds left is swept when the next one begins.
        self.ws.lade("build", "-t", "last", self.ws.context, code=None)
        if left := [path for path in self.ws.out.iterdir() if path.name.startswith(".") or "tmp" in path.name]:
            for path in left:
                path.unlink()  # an output's own unfinished file: the directory is the user's
        return super().verify()


PART = Concurrent
