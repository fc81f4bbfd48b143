"""A daemon whose zygote dies, as the kernel may have it when memory is short, goes on with another."""

import os
import pathlib
import signal
import subprocess
import time

import support
from machines import OtherMachine
from test_daemon import BuildctlTest, Daemon


class LostZygote(BuildctlTest):
    def zygotes(self):
        """Numbers of the daemon's zygotes that live."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            name, rest = text[text.index("(") + 1: text.rindex(")")], text[text.rindex(")") + 2:].split()
            if name == "lade-zygote" and int(rest[1]) == self.daemon.process.pid and rest[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def kill_zygote(self):
        (zygote,) = self.zygotes()
        os.kill(zygote, signal.SIGKILL)
        return zygote

    def wait_until(self, done):
        deadline = time.monotonic() + 30
        while not done():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def log(self):
        return pathlib.Path(self.daemon.log.name).read_text()

    def test_the_next_build_has_another(self):
        self.solve("FROM busybox\nRUN echo first\n")
        for number in range(3):
            before = self.kill_zygote()
            self.wait_until(lambda: not os.path.exists(f"/proc/{before}") or before not in self.zygotes())
            self.assertIn("alive again", self.solve(f"FROM busybox\nRUN echo alive again {number}\n"))
            self.assertEqual(len(self.zygotes()), 1)
        self.assertEqual(self.log().count("the process that makes sandboxes had died; it is replaced"), 3)
        self.assertEqual(self.daemon.stop(), 0)

    def test_the_one_that_ran_fails_and_says_so(self):
        self.write({"Dockerfile": "FROM busybox\nRUN echo up; sleep 60\n"})
        build = subprocess.Popen(self.build_command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 env=support.environment())
        self.ws.defer(self.ws._end, build)
        shown = ""
        while " up\n" not in shown:
            line = build.stdout.readline()
            self.assertTrue(line, shown)
            shown += line
        self.kill_zygote()
        shown += build.communicate(timeout=60)[0]
        self.assertNotEqual(build.returncode, 0)
        self.assertIn("the process that makes sandboxes (lade-zygote) died", shown)
        self.assertIn("next", self.solve("FROM busybox\nRUN echo next\n"))

    def test_many_builds_that_meet_it_go_on(self):
        """Killed while builds come, none of them hangs, and those after it succeed."""
        self.solve("FROM busybox\nRUN true\n")
        for number in range(8):
            directory = self.ws.dir / f"context-{number}"
            directory.mkdir()
            self.write({"Dockerfile": f"FROM busybox\nRUN sleep 0.2; echo {number}\nRUN sleep 0.2; echo {number}\n"}, directory)
        builds = [subprocess.Popen(self.build_command(context=self.ws.dir / f"context-{number}"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=support.environment()) for number in range(8)]
        for build in builds:
            self.ws.defer(self.ws._end, build)
        killed = 0
        while killed < 3 and any(build.poll() is None for build in builds):
            for zygote in self.zygotes():  # none, until a step wants one
                os.kill(zygote, signal.SIGKILL)
                killed += 1
            time.sleep(0.05)
        self.assertGreater(killed, 0)
        for build in builds:
            build.wait(60)
        self.assertIn("done", self.solve("FROM busybox\nRUN echo done\n"))

    def test_the_other_denies_what_the_first_did(self):
        with OtherMachine() as other:
            self.daemon.stop()
            self.daemon = Daemon(self.ws, "--network-deny", "198.18.0.0/15", name="denying")
            script = f"nc -w 100 {other.address} {other.port} < /dev/null 2>&1; echo"
            self.assertIn("No route to host", self.solve(f"FROM busybox\nRUN {script} 1\n"))
            self.kill_zygote()
            self.assertIn("No route to host", self.solve(f"FROM busybox\nRUN {script} 2\n"))
            self.solve("FROM busybox\nRUN ping -c 1 -w 5 10.0.2.3\n")

    def test_it_is_not_run_by_hand(self):
        daemon = pathlib.Path(support.LADE).parent / "lade-daemon"
        done = subprocess.run(["lade-zygote"], executable=daemon, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not to be run by hand", done.stderr)
