"""Builds and steps at the same time, and builds that are ended."""

import pathlib
import re
import signal
import time
import uuid

from support import LadeTest


def wait_for(process, text, seconds=60):
    """Reads a build's progress until `text` comes in a step's output."""
    deadline = time.monotonic() + seconds
    read = b""
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        read += line
        if re.match(rb"#\d+ \d+\.\d+ .*" + re.escape(text.encode()), line):
            return
        if not line:
            break
    raise AssertionError(f"{text!r} did not come:\n{read.decode(errors='replace')}")


def wait_until_caught(process, number, seconds=60):
    """Until a process no longer ends by a signal as any program does that has just been started."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        masks = {line.split(":")[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Sig") and
                 not line.startswith("SigQ")}
        if (masks["SigBlk"] | masks["SigCgt"]) >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError(f"signal {number} is not caught")


class TwoBuilds(LadeTest):
    def test_each_step_runs_once_for_two_builds_of_the_same_dockerfile(self):
        marker = uuid.uuid4().hex
        self.write({"f": "f", "Dockerfile": "FROM busybox\n" + "".join(
            f"RUN --mount=type=cache,id=log,target=/log echo step-{i} >> /log/{marker}; sleep 0.2; echo {i} > /{i}\n"
            for i in range(4)) + "COPY f /\n"})
        processes = [self.ws.spawn("build", "-t", f"app{i}", self.ws.context) for i in range(2)]
        results = [self.ws.finish(process) for process in processes]
        self.assertEqual([result.code for result in results], [0, 0], "\n".join(map(str, results)))
        log = self.build(f"FROM busybox\nRUN --mount=type=cache,id=log,target=/log cat /log/{marker}\n").log("RUN")
        self.assertEqual(log, [f"step-{i}" for i in range(4)])
        self.assertEqual(sum(len([name for name in result.ran if "RUN" in name]) for result in results), 4)
        self.assertEqual(results[0].digest, results[1].digest)

    def test_different_builds_share_a_state_directory(self):
        processes = []
        for i in range(6):
            context = self.ws.dir / f"c{i}"
            self.write({"f": str(i), "Dockerfile": f"FROM busybox\nRUN echo {i} > /r\nCOPY f /\nRUN cat /r /f\n"}, context)
            processes.append(self.ws.spawn("build", "-t", f"app{i}", context))
        for i, process in enumerate(processes):
            result = self.ws.finish(process)
            self.assertEqual((result.code, result.log("RUN cat")), (0, [str(i), str(i)]), str(result))

    def test_a_waiter_takes_over_when_the_owner_is_killed(self):
        self.write({"Dockerfile": "FROM busybox\nRUN echo running; sleep 3; echo finished > /f\n"})
        owner = self.ws.spawn("build", self.ws.context)
        wait_for(owner, "running")
        waiter = self.ws.spawn("build", self.ws.context)
        time.sleep(0.7)
        owner.send_signal(signal.SIGKILL)
        killed = self.ws.finish(owner)
        self.assertEqual(killed.code, -signal.SIGKILL)
        result = self.ws.finish(waiter)
        self.assertEqual((result.code, len(result.ran)), (0, 1), str(result))
        self.assertEqual(self.tree(None)["f"].text, "finished\n")
        self.assertEqual(self.build().ran, [])

    def test_a_waiter_gets_the_owners_error(self):
        self.write({"Dockerfile": "FROM busybox\nRUN --mount=type=cache,id=runs,target=/runs echo x >> /runs/n; "
                                  "echo running; sleep 2; echo the reason >&2; exit 42\n"})
        owner = self.ws.spawn("build", self.ws.context)
        wait_for(owner, "running")
        waiter = self.ws.spawn("build", self.ws.context)
        results = [self.ws.finish(process) for process in (owner, waiter)]
        for result in results:
            self.assertEqual(result.code, 1, str(result))
            self.assertIn("exit code: 42", result.stderr)
            self.assertIn("Dockerfile:2", results[1].stderr)
        count = self.build("FROM busybox\nRUN --mount=type=cache,id=runs,target=/runs wc -l < /runs/n\n").log("RUN")
        self.assertEqual(count, ["1"])

    def test_a_failed_step_is_tried_again_by_the_next_build(self):
        dockerfile = "FROM busybox\nRUN --mount=type=cache,id=c,target=/c test -e /c/f || { touch /c/f; exit 1; }\n"
        self.assert_fails(dockerfile, "exit code: 1")
        self.assertEqual(len(self.build().ran), 1)


class Parallel(LadeTest):
    def test_sixteen_independent_stages_overlap(self):
        stages = 16
        # Each waits until all have begun, however long starting them takes.
        wait = ("touch /begun/{i}; n=0; while [ $(ls /begun | wc -l) -lt %d ]; do n=$((n+1)); [ $n -lt 600 ] || exit 1; "
                "sleep 0.1; done; echo {i} > /o{i}" % stages)
        text = "".join(f"FROM busybox AS s{i}\nRUN --mount=type=cache,id=begun,target=/begun {wait.format(i=i)}\n"
                       for i in range(stages))
        text += "FROM scratch\n" + "".join(f"COPY --from=s{i} /o{i} /\n" for i in range(stages))
        self.assertEqual(len(self.build(text).ran), 2 * stages)

    def test_max_parallelism_bounds_running_steps(self):
        text = "".join(f"FROM busybox AS s{i}\nRUN --mount=type=cache,id=c,target=/c test ! -e /c/busy && touch /c/busy && "
                       f"sleep 0.2 && rm /c/busy && echo {i} > /o{i}\n" for i in range(4))
        self.build(text + "FROM scratch\n" + "".join(f"COPY --from=s{i} /o{i} /\n" for i in range(4)),
                   "--max-parallelism", "1")

    def test_a_failing_stage_ends_the_others_soon(self):
        result = self.assert_fails("FROM busybox AS a\nRUN sleep 60; echo > /x\nFROM busybox AS b\nRUN sleep 0.5; exit 9\n"
                                   "FROM scratch\nCOPY --from=a /x /\nCOPY --from=b /x /\n", "exit code: 9", "Dockerfile:4")
        self.assertLess(result.seconds, 20)
        self.assertIn("CANCELED", [step.status for step in result.steps()])

    def test_a_stage_that_the_target_does_not_need_is_not_run(self):
        result = self.build("FROM busybox AS unused\nRUN exit 1\nFROM busybox AS wanted\nRUN echo yes\n"
                            "FROM unused\nRUN exit 2\n", "--target", "wanted")
        self.assertEqual(result.log("RUN"), ["yes"])


class Interrupted(LadeTest):
    def interrupt(self, number):
        self.write({"Dockerfile": "FROM busybox\nRUN echo first > /1\nRUN echo running; (sleep 100 &) ; sleep 100\n"})
        process = self.ws.spawn("build", "-o", f"type=oci,dest={self.ws.out}/x.tar", self.ws.context)
        wait_for(process, "running")
        sent = time.monotonic()
        process.send_signal(number)
        result = self.ws.finish(process, 30)
        self.assertLess(time.monotonic() - sent, 5)
        return result

    def assert_cache_usable(self):
        self.assertEqual(self.ws.leftovers(), [])
        self.assertEqual(list(self.ws.out.iterdir()), [])
        result = self.build("FROM busybox\nRUN echo first > /1\nRUN echo second\n")
        self.assertEqual((len(result.cached), len(result.ran)), (1, 1), str(result))

    def test_sigint_ends_the_build_quickly_and_leaves_nothing(self):
        result = self.interrupt(signal.SIGINT)
        self.assertEqual(result.code, 130, str(result))
        self.assertRegex(result.stderr, "(?i)cancel|interrupt")
        self.assert_cache_usable()

    def test_sigterm_does_the_same(self):
        self.assertEqual(self.interrupt(signal.SIGTERM).code, 143)
        self.assert_cache_usable()

    def test_after_sigkill_no_process_or_mount_is_left_and_the_next_build_tidies_up(self):
        result = self.interrupt(signal.SIGKILL)
        self.assertEqual(result.code, -signal.SIGKILL)
        self.build("FROM busybox\nRUN true\n")
        self.assert_cache_usable()

    def test_sigint_during_an_export_leaves_nothing_beside_the_output(self):
        self.write({"Dockerfile": "FROM busybox\nRUN truncate -s 700M /big\n"})
        self.build()
        for kind in ("tar", "oci", "docker"):
            with self.subTest(kind=kind):
                process = self.ws.spawn("build", "-o", f"type={kind},compression=uncompressed,dest={self.ws.out}/x",
                                        self.ws.context)
                while b"exporting" not in (line := process.stderr.readline()):
                    self.assertTrue(line, "lade ended early")
                while not list(self.ws.out.iterdir()) and process.poll() is None:
                    time.sleep(0.001)
                process.send_signal(signal.SIGINT)
                result = self.ws.finish(process, 30)
                self.assertEqual(result.code, 130, str(result))
                self.assertEqual([path.name for path in self.ws.out.iterdir()], [])
                self.assertEqual(self.ws.leftovers(), [])

    def test_interrupting_a_waiter_leaves_the_owner_alone(self):
        self.write({"Dockerfile": "FROM busybox\nRUN echo running; sleep 6; echo done\n"})
        owner = self.ws.spawn("build", self.ws.context)
        wait_for(owner, "running")
        waiter = self.ws.spawn("build", self.ws.context)
        wait_until_caught(waiter, signal.SIGINT)
        time.sleep(0.7)
        waiter.send_signal(signal.SIGINT)
        self.assertEqual(self.ws.finish(waiter, 30).code, 130)
        self.assertEqual(self.ws.finish(owner).code, 0)
        self.assertEqual(self.build().ran, [])
