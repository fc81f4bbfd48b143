"""A build that is killed at any of its renames, commits and mounts loses nothing that it finished, and leaves nothing.

The kills are counted out by tests/support/kill_at.cpp: at the Nth call of a kind, whichever process of the build makes
it. Every point is tried by LADE_STRESS_SECONDS=600 (or more); in less time a sample that is spread over all of them.
"""

import os
import pathlib
import shutil
import subprocess
import time

import support
from support import LadeTest, environment

CALLS = {
    "rename": "rename,renameat,renameat2,link,linkat",
    # What SQLite does to its files, and what makes them durable.
    "commit": "pwrite64,ftruncate,fsync,fdatasync,syncfs",
    "mount": "mount,umount2,fsopen,fsconfig,fsmount,move_mount,open_tree,pivot_root,mount_setattr",
}
DOCKERFILE = """FROM busybox AS tool
RUN echo tool > /tool
RUN --mount=type=cache,target=/cache echo more > /more
FROM busybox
COPY --from=tool /tool /more /bin/
COPY --link a.txt /dst/
RUN cat /dst/a.txt /bin/tool > /both
"""
SHORT = 7.0  # seconds for each kind in CI


class Kills(LadeTest):
    def setUp(self):
        super().setUp()
        self.program = pathlib.Path(support.LADE).parent / "kill_at"
        if not self.program.exists():
            self.skipTest(f"{self.program} is not built")
        self.write({"Dockerfile": DOCKERFILE, "a.txt": "a\n"})
        self.fresh = self.ws.state
        self.seconds = max(float(os.environ.get("LADE_STRESS_SECONDS", "0")), SHORT)

    def build_args(self):
        return ["build", "-t", "app", "--build-arg=SOURCE_DATE_EPOCH=1700000000", "-o",
                f"type=oci,dest={self.ws.out}/x.tar,rewrite-timestamp=true", self.ws.context]

    def run_until(self, number, calls, state, args=None):
        """Runs a build that is killed at its `number`th call; how many there were, which one it was, its progress."""
        report = self.ws.dir / "report"
        done = subprocess.run([self.program, str(number), calls, report, *self.ws.command(*(args or self.build_args()), state=state)],
                              stdin=subprocess.DEVNULL, capture_output=True, env=environment(), timeout=120)
        count, how, call = report.read_text().split()
        self.assertEqual((done.returncode, how) if number else (done.returncode, "ended"),
                         (137, "killed") if how == "killed" else (0, "ended"), done.stderr.decode())
        return int(count), call, done.stderr.decode()

    def copy_of_fresh(self):
        state = self.ws.dir / "state-killed"
        shutil.rmtree(state, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.fresh, state], check=True)
        return state

    def mounts_and_processes(self):
        """What a kill left of them after a moment; temporary files may be there until a prune."""
        deadline = time.monotonic() + 5
        while True:
            left = [line for line in self.ws._leftovers_now() if line.startswith(("mount", "process"))]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.02)

    def check_after(self, state, point, progress, digest):
        self.assertEqual(self.mounts_and_processes(), [], point)
        verify = self.ws.lade("du", "--verify", state=state, code=None)
        self.assertEqual(verify.code, 0, f"{point}\n{verify}")
        self.assertIn(" 0 damaged", verify.stdout, point)
        result = self.ws.lade(*self.build_args(), state=state)
        self.assertEqual(result.digest, digest, f"{point}\n{result}")
        # No lost record: what the killed build said it had done is there.
        finished = [name for name in support.Result([], 0, b"", progress.encode(), 0).ran if "RUN" in name or "COPY" in name]
        self.assertEqual([name for name in finished if name in result.ran], [], f"{point}\n{progress}{result}")
        time.sleep(0.15)  # what is younger than the oldest process at work stays
        self.ws.lade("prune", "-f", state=state)
        self.assertEqual(list((state / "tmp").iterdir()), [], point)
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify", state=state).stdout, point)
        for path in self.ws.out.iterdir():
            if path.name != "x.tar":
                path.unlink()  # an output's own unfinished file: the directory is the user's

    def kill_everywhere(self, kind, args=None, built=False):
        calls = CALLS[kind]
        state = self.copy_of_fresh()
        digest = self.ws.lade(*self.build_args(), state=state).digest
        if built:
            self.fresh = state.rename(self.ws.dir / "state-built")
        total, _, _ = self.run_until(0, calls, self.copy_of_fresh(), args)
        self.assertGreater(total, 5)
        deadline = time.monotonic() + self.seconds
        tried, names = set(), set()
        # Spread over all points first, denser and denser.
        step = 1 << total.bit_length()
        while step >= 1:
            for number in range(step, total + 1, 2 * step):
                if time.monotonic() > deadline and len(tried) > 2:
                    break
                state = self.copy_of_fresh()
                count, call, progress = self.run_until(number, calls, state, args)
                if call == "-":
                    # Threads do not come to the same number of calls each time: near the end there may be none.
                    self.assertGreater(number, total * 3 // 4, f"only {count} calls of {total}")
                    continue
                tried.add(number)
                names.add(call)
                del self.ws.transcript[1:]
                self.check_after(state, f"{kind} {number} of {total}: {call}", progress, digest)
            step //= 2
        print(f"{self._testMethodName}: killed at {len(tried)} of {total} points ({', '.join(sorted(names))})", flush=True)
        self.assertGreater(len(tried), 2)
        if self.seconds >= 600:
            self.assertGreater(len(tried), total * 0.9)

    def test_at_every_rename(self):
        self.kill_everywhere("rename")

    def test_at_every_commit(self):
        self.kill_everywhere("commit")

    def test_at_every_mount(self):
        self.kill_everywhere("mount")

    def test_at_every_rename_of_a_prune(self):
        self.kill_everywhere("rename", ["prune", "-f", "-a"], built=True)

    def test_at_every_commit_of_a_prune(self):
        self.kill_everywhere("commit", ["prune", "-f", "-a"], built=True)
