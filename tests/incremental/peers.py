"""Other ways to build a step: BuildKit, from nothing, and BuildKit's client with lade's daemon, in the shared state.

The code that runs them is that of tests/conformance. Both are left out where ./dev peers has not built BuildKit.
"""

import contextlib
import dataclasses
import difflib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types

import support
from comparison import Difference
from image import Image

# Last, as both folders have a case.py.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))
import compare  # noqa: E402
import tools  # noqa: E402

# Differences that are meant (see tests/conformance/generate.py): what copies bring that is there already; what a step
# sees of the machine; the directories that are made for mounts; what git puts into .git; and links to files of earlier layers, which stay links
# in lade's layers only.
MEANT = re.compile(r"layer/|tree/machine |tree/(dev|proc|sys): |tree/\S* xattrs: |tree/\S*\.git/")
LINKING = ("ln {} {}.linked", "chown -R", "chmod -R", "rm -f /m/a")
# What BuildKit fails at by mistake.
MISTAKES = re.compile(r'error: failed to solve: (.*: "/": not found|.*open /\S+: no such file or directory|'
                      r'.*: not found)$', re.M)


class Prepared(tools.Prepared):
    """A step of a case, as tests/conformance has its cases."""

    def __init__(self, workspace, step, directory, context):
        options = {"--build-arg": {}, "--label": {}, "--add-host": {}, "--ulimit": {}}
        words = {"target": "", "shm_size": ""}
        arguments = list(step.arguments)
        while arguments:
            name, value = arguments.pop(0), arguments.pop(0)
            if name in options:
                key, _, options[name][key] = value.partition("=")
            else:
                words[name[2:].replace("-", "_")] = value
        hosts = dict(text.split(":", 1) for text in options["--add-host"])
        of_case = types.SimpleNamespace(call="", annotation={}, label=options["--label"], hosts=hosts,
                                        ulimit=options["--ulimit"], allow="", platform="", network="",
                                        secret={"s": ""}, **words)
        if of_case.shm_size:  # which BuildKit's client gives in bytes
            of_case.shm_size = str(int(of_case.shm_size.removesuffix("m")) << 20)
        super().__init__(of_case, directory, options["--build-arg"], {"other": str(workspace.dir / "other")},
                         agents={"default": workspace.root / "agent.sock"})
        self.context_path = context
        (directory / "dockerfile").mkdir()
        for name in ("Dockerfile", "Dockerfile.dockerignore"):
            if (workspace.dir / name).exists():
                shutil.copy2(workspace.dir / name, directory / "dockerfile")
        (directory / "secrets").mkdir()
        shutil.copy2(workspace.dir / "secret", directory / "secrets/s")

    @property
    def context(self):
        return self.context_path


class Peers:
    def __init__(self, directory, root):
        self.buildctl, self.buildkitd, self.root = directory / "buildctl", directory / "buildkitd", root

    @staticmethod
    def find(directory, root):
        there = all((directory / name).exists() for name in ("buildctl", "buildkitd")) and shutil.which("runc")
        return Peers(directory, root) if there else None

    @property
    def has_daemon(self):
        return pathlib.Path(support.LADE).with_name("lade-daemon").exists()

    def layout(self, number):
        """(directory, digest) of a base image."""
        directory = self.root / f"base-{number}.layout"
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=self.root) as making:
                os.mkdir(f"{making}/layout")
                subprocess.run(["tar", "-C", f"{making}/layout", "-xf", self.root / f"base-{number}.oci"], check=True)
                with contextlib.suppress(OSError):  # the other worker was quicker
                    os.rename(f"{making}/layout", directory)
        return directory, Image.read(directory).digest

    # ---------------------------------------------------------------------------------- BuildKit

    def compare_with_buildkit(self, workspace, step, code, output):
        """Of an image that lade made in a clean state. BuildKit gets a daemon that knows nothing: what it remembers of
        contexts it believes by size and time alone. False where it does not say what is right."""
        if has_access_lists(workspace.built):
            return False
        with tempfile.TemporaryDirectory(prefix="k", dir=workspace.dir) as directory:
            directory = pathlib.Path(directory)
            prepared = Prepared(workspace, step, directory, workspace.built)
            prepared.layouts = {"base": self.layout(workspace.base)}
            daemon = tools.BuildKitDaemon(self.buildkitd, self.buildctl, directory)
            try:
                outcome = tools.BuildKit(self.buildctl, daemon.address).build(prepared)
                return compare_outcomes(workspace, code, output, outcome)
            finally:
                daemon.stop()

    # ------------------------------------------------------------------------------ lade's daemon

    def build_by_daemon(self, workspace, step, state, output):
        """Returns a support.Result, or None of a context with devices, which the daemon takes from nobody. The context
        is sent anew as a whole: by this protocol a file of the same size and time is the same file."""
        with tempfile.TemporaryDirectory(prefix="d", dir=workspace.dir) as directory:
            directory = pathlib.Path(directory)
            context = directory / "context"
            subprocess.run(["cp", "-a", f"{workspace.built}/.", context], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["find", context, "-exec", "touch", "-h", "{}", "+"], check=True)
            prepared = Prepared(workspace, step, directory, context)
            with lade_daemon(workspace, directory / "s", state) as address:
                outcome = tools.BuildKit(self.buildctl, address).build(prepared)
            if "which is a device" in outcome.log:
                return None
            if outcome.built:
                outcome.path.rename(output)
            result = support.Result(outcome.command, outcome.code, b"", outcome.log.encode(), 0)
            workspace.log.append(result)
            return result


@contextlib.contextmanager
def lade_daemon(workspace, path, state):
    address = f"unix://{path}"
    log = workspace.dir / "daemon.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [support.LADE, "daemon", "--root", workspace.dir / state, "--addr", address, "--config", "/dev/null"],
            env=support.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise Difference("end", f"the daemon did not start: {log.read_text()}")
            time.sleep(0.02)
        yield address
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def has_access_lists(context):
    """BuildKit sets a copied file's POSIX ACL after its mode, which then is another; lade copies no ACLs."""
    def listed(path):
        with contextlib.suppress(OSError):
            return any(name.startswith("system.posix_acl") for name in os.listxattr(path, follow_symlinks=False))
        return False

    return any(listed(os.path.join(directory, name)) for directory, directories, names in os.walk(context)
               for name in (".", *directories, *names))


class Seen:
    """An image whose files that `look` wrote say nothing of what each builder may answer as it likes: how many links a
    directory has, the files that it mounts on /etc, and the sticky bit of a cache mount, which BuildKit loses; nor of other
    such files. Where there is --link they do not say how many links files have, as BuildKit's merged layers have more."""

    def __init__(self, image, has_merges):
        self.image, self.has_merges = image, has_merges

    def __getattr__(self, name):
        return getattr(self.image, name)

    def tree(self):
        return {path: self.without(entry) if re.search("look|env$", path) and entry.type == "file" else entry
                for path, entry in self.image.tree().items()
                if not (self.has_merges and re.search(r"links\d+$", path))}

    def without(self, entry):
        lines = [line for line in entry.data.split(b"\n")
                 if not re.search(rb"/etc/(hosts|resolv\.conf)|look|^OTEL_|^TRACEPARENT", line)]
        data = re.sub(rb"(\|directory\|\d+\|\d+:\d+\|)\d+", rb"\1-", b"\n".join(lines))
        if self.has_merges:
            data = re.sub(rb"(\|[a-z ]+\|\d+\|\d+:\d+\|)[\d-]+", rb"\1-", data)
        return dataclasses.replace(entry, data=re.sub(rb"(?m)^(/c\|directory\|)1777", rb"\g<1>777", data))


def lines_of(difference, ours, theirs):
    """What two texts differ in, instead of the texts."""
    found = re.match(r"tree/(.*) data: ", difference)
    if not found:
        return difference
    texts = [image.tree()[found[1]].data.decode("utf-8", "backslashreplace").splitlines() for image in (theirs, ours)]
    return "\n".join([difference[:60], *list(difflib.unified_diff(*texts, "buildkit", "lade", lineterm="", n=0))[:10]])


def compare_outcomes(workspace, code, output, outcome):
    if (code == 0) != outcome.built:
        if code == 0 and MISTAKES.search(outcome.log):
            return False
        raise Difference("buildkit-code", f"lade ends with {code} where BuildKit gives\n{outcome}")
    if not outcome.built:
        return True
    text = (workspace.dir / "Dockerfile").read_text()
    ours, theirs = (Seen(Image.read(path), "--link" in text) for path in (output, outcome.path))
    # BuildKit makes block devices of a context character devices.
    if any(entry.type == "block" for entry in ours.tree().values()):
        return False
    breaks_links = any(word in text for word in LINKING)
    found = [lines_of(line, ours, theirs) for line in compare.differences(ours, theirs)
             if not MEANT.match(line) and not (breaks_links and " links: " in line)]
    if found:
        raise Difference("buildkit", "\n".join(found[:20]) + f"\n{outcome}")
    return True
