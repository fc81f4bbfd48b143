"""Plays cases: does their steps in a workspace, and compares builds."""

import re

import case as cases
import disturbances
from comparison import Difference, compare_images


class Player:
    """Counts what it compared in `counts`."""

    def __init__(self, workspace, counts=None):
        self.workspace = workspace
        self.counts = counts if counts is not None else {}
        self.was_neutral = False  # since the last build only what no key contains has changed
        self.last = None  # the build before, if it succeeded
        self.failed_line = None  # of the Dockerfile, where the build before failed

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def play(self, step, compare=True):
        """Throws Difference. Without `compare` a build only leaves its results in the state."""
        workspace = self.workspace
        if isinstance(step, cases.Shell):
            workspace.shell(step.text)
            self.was_neutral &= step.neutral
        elif isinstance(step, cases.Build):
            workspace.show_image()
            self.build(step, compare)
        elif isinstance(step, cases.Disturb):
            workspace.show_image()
            disturbances.KINDS[step.name](workspace, step.number)
            self.was_neutral = False
        else:
            self.was_neutral = False
            if isinstance(step, cases.Dockerfile):
                workspace.write_dockerfile(step.text)
            elif isinstance(step, cases.Base):
                workspace.change_base(step.number)
            elif isinstance(step, cases.Place):
                workspace.enter(step.name)

    def build(self, step, compare):
        workspace = self.workspace
        state = "state" if step.machine == 1 else "state2"
        by_daemon = step.daemon and not step.epoch and workspace.peers and workspace.peers.has_daemon
        outputs = [workspace.dir / f"warm-{number}.tar" for number in range(2 if step.twice and not by_daemon else 1)]
        by_client = workspace.peers.build_by_daemon(workspace, step, state, outputs[0]) if by_daemon else None
        if by_client:
            self.count("by the daemon")
            results = [by_client]
        else:
            running = [workspace.spawn(*workspace.build_arguments(step, output), state=state, clock=step.clock)
                       for output in outputs]
            results = [workspace.finish(process) for process in running]
        neutral = not by_client and self.was_neutral and self.last == (step.machine, step.epoch, step.options, step.arguments)
        self.was_neutral = True
        line = re.search(r"Dockerfile:(\d+)", results[0].stderr) if results[0].code else None
        self.failed_line = int(line[1]) if line else None
        self.last = (step.machine, step.epoch, step.options, step.arguments) if results[0].code == 0 else None
        if not compare:
            return
        for result in results:
            self.check_end(result)
        if neutral and results[0].code == 0 and results[0].ran:
            raise Difference("reran", f"after an edit that no key contains: {results[0].ran}\n{results[0]}")
        self.compare_with_clean(step, outputs, results)
        if results[0].code == 0:
            again = workspace.lade(*workspace.build_arguments(step, None), state=state)
            self.count("built again")
            # To read a context again is no step. Of a named one the daemon takes only what is read, so that its copy is
            # another layer.
            ran = [name for name in again.ran if not name.endswith("] load from client")
                   and not (by_client and name.startswith("[context "))]
            if again.code != 0 or ran:
                raise Difference("reran", f"in the same build again: {ran}\n{again}")

    def check_end(self, result):
        if result.code not in (0, 1) or "[did not end]" in result.stderr:
            raise Difference("end", str(result))

    def compare_with_clean(self, step, outputs, results):
        workspace = self.workspace
        clean_output = workspace.dir / "clean.tar"
        clean_step = cases.Build(epoch=step.epoch, arguments=step.arguments)
        with workspace.clean_state() as state:
            clean = workspace.lade(*workspace.build_arguments(clean_step, clean_output), state=state)
        self.check_end(clean)
        self.count("compared" if clean.code == 0 else "failed alike")
        for result, output in zip(results, outputs):
            if result.code != clean.code:
                raise Difference("code", f"{result}\nwhere a clean state gives\n{clean}")
            if result.code == 0:
                try:
                    compare_images(output, clean_output, step.epoch)
                except Difference as error:
                    raise Difference(error.kind, f"{str(error).partition(': ')[2]}\n{result}") from None
        if step.buildkit and workspace.peers:
            defined = workspace.peers.compare_with_buildkit(workspace, clean_step, clean.code, clean_output)
            self.count("compared with BuildKit" if defined else "that BuildKit does not define")
