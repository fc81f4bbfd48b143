"""Calls of lade's own that fail (tests/support/fail_at.cpp): what it says then, and that nothing is lost. All of them are tried by
`./dev torture faults`."""

import contextlib
import errno
import pathlib
import shutil
import sqlite3
import subprocess

import support
from support import LadeTest, Result, environment

DOCKERFILE = "FROM busybox\nRUN echo a > /a\nCOPY f /dir/\n"


class Faults(LadeTest):
    def setUp(self):
        super().setUp()
        self.program = pathlib.Path(support.LADE).parent / "fail_at"
        if not self.program.exists():
            self.skipTest(f"{self.program} is not built")
        self.write({"Dockerfile": DOCKERFILE, "f": "f\n"})

    def failing(self, number, error, what, calls, *args, state=None):
        """Runs lade with its `number`th call failing: how many there were, which one failed on which path, the Result."""
        report = self.ws.dir / "report"
        command = self.ws.command(*args, state=state)
        done = subprocess.run([self.program, str(number), str(error), what, calls, report, *command],
                              stdin=subprocess.DEVNULL, capture_output=True, env=environment(), timeout=120)
        result = Result(command, done.returncode, done.stdout, done.stderr, 0)
        self.ws.transcript.append(result)
        count, failed = report.read_text().splitlines()
        call, path = failed.split(" ", 1)
        return int(count), call, path, result

    def copy_of(self, state):
        copy = self.ws.dir / "state-faulty"
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", state, copy], check=True)
        return copy

    def assert_whole(self, state, about=""):
        verify = self.ws.lade("du", "--verify", state=state, code=None)
        self.assertEqual(verify.code, 0, f"{about}\n{verify}")

    def every(self, error, what, calls, *args, on="", step=1):
        """Each of the calls (or each `step`th) fails once, on a copy of the state directory: (path, Result, state); with `on` only those on
        paths that have this in them."""
        total, *_ = self.failing(0, error, what, calls, *args, state=self.copy_of(self.ws.state))
        self.assertGreater(total, 0)
        seen = 0
        for number in range(1, total + 1, step):
            state = self.copy_of(self.ws.state)
            _, call, path, result = self.failing(number, error, what, calls, *args, state=state)
            del self.ws.transcript[3:]
            if call == "-" or on not in path:
                continue
            seen += 1
            yield path, result, state
        self.assertGreater(seen, 0, f"none of {total} calls was on {on}")

    def test_a_prune_whose_database_cannot_be_mapped_leaves_no_rows_that_refer_to_nothing(self):
        """The connection's settings were made by a statement, whose failure nobody saw: without foreign keys."""
        self.build()
        for path, result, state in self.every(errno.ENOMEM, "files", "mmap", "prune", "-f", "-a", on="lade.db-shm"):
            self.assertIn(result.code, (0, 1), str(result))
            self.assert_whole(state, path)
            with contextlib.closing(sqlite3.connect(state / "lade.db")) as database:
                self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [])

    def test_a_prune_that_cannot_read_an_image_removes_nothing_that_it_needs(self):
        for path, result, state in self.every(errno.EIO, "files", "read", "prune", "-f", "-a", on="/blobs/"):
            self.assert_fails(result, "Input/output error", path)
            self.ws.lade("build", "--pull=never", "--no-cache", self.ws.context, state=state)
            self.ws.lade("save", "busybox", "-o", self.ws.dir / "saved.tar", state=state)

    def test_an_image_that_cannot_be_read_is_not_said_to_be_missing(self):
        self.ws.lade("save", "busybox", "-o", self.ws.dir / "saved.tar")
        for path, result, _ in self.every(errno.EIO, "files", "read", "save", "busybox", "-o", self.ws.dir / "saved.tar", on="/blobs/"):
            self.assert_fails(result, "Input/output error", path)

    def test_a_database_that_cannot_be_written_or_read_is_named(self):
        for error, calls, said in ((errno.ENOSPC, "pwrite64", "No space left on device"), (errno.EIO, "pread64", "Input/output error")):
            for path, result, state in self.every(error, "files", calls, "tag", "busybox", "other", on="lade.db"):
                self.assert_fails(result, said, f"{state}/lade.db")
                self.assertNotIn("damaged", result.stderr)
                self.assert_whole(state)

    def test_what_cannot_be_written_or_removed_is_named(self):
        self.build()
        for path, result, _ in self.every(errno.ENOSPC, "files", "write", "build", self.ws.context, on="/builds/"):
            if result.code:  # or it can be done without
                self.assert_fails(result, "No space left on device", path)
        total, *_ = self.failing(0, errno.EIO, "files", "unlinkat", "prune", "-f", "-a", state=self.copy_of(self.ws.state))
        state = self.copy_of(self.ws.state)
        _, _, path, result = self.failing(total // 2, errno.EIO, "files", "unlinkat", "prune", "-f", "-a", state=state)
        self.assert_fails(result, "Input/output error", f"'{state}/")
        self.ws.lade("prune", "-f", state=state)

    def test_interrupted_calls_are_made_again(self):
        tar = self.ws.dir / "small.tar"
        subprocess.run(["tar", "-C", self.ws.context, "-cf", tar, "."], check=True)
        calls = "read,write,pread64,pwrite64,openat,openat2,getdents64,poll,ppoll,epoll_wait,wait4,sendmsg,recvmsg,recvfrom"
        for path, result, _ in self.every(errno.EINTR, "all", calls, "import", tar, "small", step=5):
            self.assertEqual(result.code, 0, f"{path}\n{result}")
