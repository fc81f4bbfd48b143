"""The two builders: each builds a prepared case to an OCI archive and says how that ended."""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import support
from image import Image

TIMEOUT = 300  # seconds for one build


@dataclasses.dataclass
class Prepared:
    """A case on disk, with all that only this run knows filled in."""

    case: object
    directory: pathlib.Path  # holds dockerfile/, context/, secrets/, named/
    args: dict
    named: dict  # name -> directory or docker-image://...
    remote: object = None  # remote.Remote
    layouts: dict = dataclasses.field(default_factory=dict)  # name -> (directory of an image layout, digest)
    agents: dict = dataclasses.field(default_factory=dict)  # name -> socket

    @property
    def context(self):
        return self.directory / "context"

    @property
    def dockerfile(self):
        return self.directory / "dockerfile/Dockerfile"

    def secrets(self):
        return {name: self.directory / "secrets" / name for name in self.case.secret}


@dataclasses.dataclass
class Outcome:
    code: int
    log: str
    command: list
    path: pathlib.Path  # of the image
    answer: str = ""  # on standard output

    @property
    def built(self):
        return self.code == 0

    def images(self):
        return Image.read_platforms(self.path)

    def line(self):
        """The Dockerfile's line that the error names."""
        found = re.search(r"^(?:\S*/)?Dockerfile:(\d+)", self.log, re.M)
        return found and int(found[1])

    def message(self):
        """lade's error without the Dockerfile's lines that it shows."""
        return self.log.rpartition("\nERROR: ")[2]

    def __str__(self):
        return f"$ {' '.join(map(str, self.command))}\n{self.log[-8000:]}[exit code {self.code}]\n"


def _run(command, path, stdin=None):
    with open(stdin or os.devnull, "rb") as source:
        try:
            done = subprocess.run(list(map(str, command)), stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=support.environment(), timeout=TIMEOUT, check=False)
            code, output, answer = done.returncode, done.stderr, done.stdout
        except subprocess.TimeoutExpired as late:
            code, output, answer = -1, (late.stderr or b"") + b"\n[did not end within %d s]\n" % TIMEOUT, b""
    return Outcome(code, output.decode("utf-8", "replace"), command, path, answer.decode("utf-8", "replace"))


class Lade:
    name = "lade"

    def __init__(self, binary, work):
        # A copy: the run is one of this binary even if a new one is built meanwhile.
        self.binary = work / "bin/lade"
        self.binary.parent.mkdir()
        shutil.copy2(binary, self.binary)
        self.root = work / "lade-state"

    def build(self, prepared):
        case, path = prepared.case, prepared.directory / "lade.tar"
        command = [self.binary, "--root", self.root, "build", "--progress", "plain"]
        command += [f"--call={case.call}"] if case.call else ["-o", f"type=oci,dest={path},compression=uncompressed"]
        for name, (directory, digest) in prepared.layouts.items():
            command += ["--build-context", f"{name}=oci-layout://{directory}@{digest}"]
        for name, socket in prepared.agents.items():
            command += ["--ssh", f"{name}={socket}"]
        for option, values in (("--build-arg", prepared.args), ("--label", case.label), ("--ulimit", case.ulimit),
                               ("--annotation", case.annotation), ("--build-context", prepared.named)):
            for key, value in values.items():
                command += [option, f"{key}={value}"]
        for key, value in case.hosts.items():
            command += ["--add-host", f"{key}:{value}"]
        for key, value in prepared.secrets().items():
            command += ["--secret", f"id={key},src={value}"]
        for option, value in (("target", case.target), ("platform", case.platform), ("network", case.network),
                              ("shm-size", case.shm_size), ("allow", case.allow)):
            if value:
                command += [f"--{option}", value]
        if prepared.remote:
            return _run([*command, prepared.remote.context], path, prepared.remote.stdin)
        return _run([*command, "-f", prepared.dockerfile, prepared.context], path)


class BuildKit:
    name = "buildkit"

    def __init__(self, buildctl, address):
        self.buildctl, self.address = buildctl, address

    @staticmethod
    def _dockerfile(prepared):
        """The Dockerfile's directory. BuildKit would fetch the frontend that a syntax directive names, where lade is
        one itself: a directive without effect takes its place."""
        text, count = re.subn(rb"^(\xef\xbb\xbf)?#\s*syntax\s*=.*", rb"\1# check=skip=none", prepared.dockerfile.read_bytes())
        if not count:
            return prepared.dockerfile.parent
        other = shutil.copytree(prepared.dockerfile.parent, prepared.directory / "dockerfile-without-syntax")
        (other / "Dockerfile").write_bytes(text)
        return other

    def build(self, prepared):
        case, path = prepared.case, prepared.directory / "buildkit.tar"
        output = "".join(f",annotation.{key}={value}" for key, value in case.annotation.items())
        command = [self.buildctl, "--addr", self.address, "build", "--progress", "plain",
                   "--frontend", "dockerfile.v0"]
        options = {f"build-arg:{key}": value for key, value in prepared.args.items()}
        if prepared.remote:
            options["context"] = prepared.remote.url
        else:
            command += ["--local", f"context={prepared.context}", "--local", f"dockerfile={self._dockerfile(prepared)}"]
        if case.call:
            options["requestid"] = "frontend." + {"check": "lint"}.get(case.call, case.call)
        else:
            command += ["--output", f"type=oci,dest={path},compression=uncompressed{output}"]
        for name, (directory, digest) in prepared.layouts.items():
            command += ["--oci-layout", f"layout-{name}={directory}"]
            options[f"context:{name}"] = f"oci-layout://layout-{name}@{digest}"
        for name, socket in prepared.agents.items():
            command += ["--ssh", f"{name}={socket}"]
        options |= {f"label:{key}": value for key, value in case.label.items()}
        for key, value in prepared.named.items():
            if "://" not in value:
                command += ["--local", f"named-{key}={value}"]  # one may be called "context"
                value = f"local:named-{key}"
            options[f"context:{key}"] = value
        for option, values in (("add-hosts", case.hosts), ("ulimit", case.ulimit)):
            if values:
                options[option] = ",".join(f"{key}={value}" for key, value in values.items())
        for key, value in prepared.secrets().items():
            command += ["--secret", f"id={key},src={value}"]
        if case.allow:
            command += ["--allow", case.allow]
        for option, value in (("target", case.target), ("platform", case.platform),
                              ("force-network-mode", case.network), ("shm-size", case.shm_size)):
            if value:
                options[option] = value
        for key, value in options.items():
            command += ["--opt", f"{key}={value}"]
        return _run(command, path)


class Agent:
    """An SSH agent with a key of its own."""

    def __init__(self, work):
        self.socket, key = work / "agent.sock", work / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "conformance", "-f", key], check=True)
        self.process = subprocess.Popen(["ssh-agent", "-D", "-a", self.socket], stdout=subprocess.DEVNULL)
        while not self.socket.exists() and self.process.poll() is None:
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", key], check=True, env=support.environment({"SSH_AUTH_SOCK": str(self.socket)}))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class BuildKitDaemon:
    """A buildkitd of our own, below the run's directory."""

    def __init__(self, buildkitd, buildctl, work):
        self.address = f"unix://{work}/buildkitd.sock"
        self.log_path = work / "buildkitd.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [buildkitd, "--root", work / "buildkit", "--addr", self.address, "--containerd-worker=false",
                 "--oci-worker-binary", shutil.which("runc") or "runc", "--allow-insecure-entitlement",
                 "security.insecure", "--allow-insecure-entitlement", "network.host"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        probe = [buildctl, "--addr", self.address, "debug", "workers"]
        while subprocess.run(probe, capture_output=True, check=False).returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise SystemExit(f"buildkitd did not start:\n{self.log_path.read_text()}")
            time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
