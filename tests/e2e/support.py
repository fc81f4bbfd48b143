"""What the end-to-end tests share: running lade, base images, a registry, what must not be left behind."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = REPO / "examples"
MIRROR = "http://deb.debian.org/debian"

# Set once by configure(), before any test runs.
LADE = ""
ROOT = pathlib.Path()
USER = None  # whose files the workspaces are, if not root's (ordinary_user.py)


def configure(lade, root):
    """`lade` is the binary under test; `root` the one directory below which every test writes."""
    global LADE, ROOT
    LADE, ROOT = str(lade), pathlib.Path(root)


# ------------------------------------------------------------------------------------------- running


@dataclasses.dataclass
class Step:
    """One vertex of a build as its plain progress shows it."""

    name: str
    status: str = ""  # CACHED, DONE, ERROR, CANCELED; empty: never ended
    log: list = dataclasses.field(default_factory=list)


class Result:
    """What one run of lade printed and how it ended."""

    def __init__(self, command, code, stdout, stderr, seconds):
        self.command, self.code, self.seconds = command, code, seconds
        self.stdout_bytes = stdout
        self.stdout = stdout.decode("utf-8", "surrogateescape")
        self.stderr = stderr.decode("utf-8", "surrogateescape")

    def __str__(self):
        shown = self.stdout if len(self.stdout) < 10000 else f"({len(self.stdout)} bytes of stdout)"
        return (f"$ {' '.join(map(str, self.command))}\n{shown}{self.stderr}"
                f"[exit code {self.code} after {self.seconds:.1f} s]\n")

    def steps(self):
        """Every vertex that something happened to, by its number, in order."""
        steps = {}
        for line in self.stderr.splitlines():
            found = re.match(r"#(\d+) (.*)", line)
            if not found:
                continue
            number, text = int(found[1]), found[2]
            if number not in steps:
                steps[number] = Step(text)
            elif ended := re.match(r"(CACHED|DONE|ERROR|CANCELED)\b", text):
                steps[number].status = ended[1]
            elif log := re.match(r"\d+\.\d+ (.*)", text):
                steps[number].log.append(log[1])
        return list(steps.values())

    def instructions(self, status):
        """Names of the Dockerfile's own steps (no context, no FROM, no export) that ended so."""
        return [step.name for step in self.steps() if step.status == status
                and re.match(r"\[(?!internal)", step.name) and not re.match(r"\[[^]]*\] FROM ", step.name)]

    @property
    def ran(self):
        return self.instructions("DONE")

    @property
    def cached(self):
        return self.instructions("CACHED")

    def log(self, name=""):
        """The output lines of the steps whose name contains `name`."""
        return [line for step in self.steps() if name in step.name for line in step.log]

    @property
    def digest(self):
        found = re.search(r"^#\d+ manifest (sha256:[0-9a-f]{64})$", self.stderr, re.M)
        return found and found[1]


class Workspace:
    """A directory with a state directory, a context, outputs, and the processes started for one test."""

    def __init__(self, name, base="busybox"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=re.sub(r"\W+", "-", name)[:60] + "-", dir=ROOT))
        self.context = self.dir / "context"
        self.out = self.dir / "out"
        self.context.mkdir()
        self.out.mkdir()
        if USER is not None:
            for directory in (self.dir, self.context, self.out):
                os.chown(directory, USER, USER)
        self.state = self.new_state(base)
        self.transcript = []
        self._closing = contextlib.ExitStack()

    def new_state(self, base="busybox", name="state"):
        """Another state directory; `base` names the image that it starts with, None for none."""
        state = self.dir / name
        if base:
            subprocess.run(["cp", "-a", "--reflink=auto", template(base), state], check=True)
        return state

    def write(self, files, directory=None):
        """Makes files in the context: name -> text, bytes, or None for a directory."""
        for name, content in files.items():
            path = (directory or self.context) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def command(self, *args, state=None):
        return [LADE, "--root", str(state or self.state), *map(str, args)]

    def spawn(self, *args, state=None, env=None, **popen):
        """Starts lade; it is ended, if need be, when the workspace is closed."""
        process = subprocess.Popen(self.command(*args, state=state), env=environment(env),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   **popen)
        process.started = time.monotonic()
        self._closing.callback(self._end, process)
        return process

    def finish(self, process, timeout=120):
        """Waits for a spawned lade and returns its Result."""
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            stderr += b"[did not end within %d s]\n" % timeout
        result = Result(process.args, process.returncode, stdout, stderr, time.monotonic() - process.started)
        self.transcript.append(result)
        return result

    def lade(self, *args, code=0, state=None, env=None, stdin=None, cwd=None, timeout=240):
        """Runs lade to its end and requires the exit code (None: any)."""
        started = time.monotonic()
        command = self.command(*args, state=state)
        process = subprocess.Popen(command, env=environment(env), cwd=cwd, stdout=subprocess.PIPE,
                                   stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            stderr += b"[did not end within %d s]\n" % timeout
        result = Result(command, process.returncode, stdout, stderr, time.monotonic() - started)
        self.transcript.append(result)
        if code is not None and result.code != code:
            raise AssertionError(f"exit code {result.code}, expected {code}:\n{result}")
        return result

    def build(self, dockerfile=None, *args, files=None, context=None, **run):
        """Writes the Dockerfile (and files) to the context and builds it."""
        if dockerfile is not None:
            self.write({"Dockerfile": dockerfile}, context)
        self.write(files or {}, context)
        return self.lade("build", *args, context or self.context, **run)

    def image(self, dockerfile=None, *args, files=None, name="image.tar", options="", **run):
        """Builds to an OCI archive and reads that."""
        from image import Image

        path = self.out / name
        self.build(dockerfile, "-o", f"type=oci,dest={path}{options}", *args, files=files, **run)
        return Image.read(path)

    def tree(self, dockerfile, *args, **run):
        """The flattened files of what a Dockerfile makes: path -> image.Entry."""
        return self.image(dockerfile, *args, **run).tree()

    def run(self, *command, code=0, timeout=120, **popen):
        """Runs another program (a peer) and returns its standard output."""
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, **popen)
        if code is not None and done.returncode != code:
            raise AssertionError(f"$ {' '.join(map(str, command))}\n{done.stdout.decode(errors='replace')}"
                                 f"{done.stderr.decode(errors='replace')}[exit code {done.returncode}]")
        return done.stdout.decode("utf-8", "surrogateescape")

    def registry(self, name="registry", **options):
        registry = Registry(self.dir / name, **options)
        self._closing.callback(registry.stop)
        return registry

    def defer(self, callback, *args):
        self._closing.callback(callback, *args)

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def leftovers(self, wait=3.0):
        """Mounts, processes and temporary files that should be gone; empty when all is well."""
        deadline = time.monotonic() + wait
        while True:
            left = self._leftovers_now()
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def _leftovers_now(self):
        left = []
        needle = os.fsencode(self.dir)
        with open("/proc/self/mountinfo", "rb") as mounts:
            left += [f"mount: {os.fsdecode(line.split()[4])}" for line in mounts if needle in line]
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if needle in command and LADE.encode() in command.split(b"\0")[0]:
                    left.append(f"process {process.name}: {command!r}")
        for state in self.dir.glob("state*"):
            left += [f"temporary file: {path}" for path in sorted(state.glob("tmp/*"))]
        left += [f"beside the outputs: {path}" for path in self.out.glob("*")
                 if path.name.startswith(".") or "tmp" in path.name or ".part" in path.name]
        return left

    def close(self):
        self._closing.close()
        for mount in reversed(mounts_below(self.dir)):
            subprocess.run(["umount", "-l", mount], check=False)
        subprocess.run(["chattr", "-R", "-i", self.dir], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


def environment(extra=None):
    """Of lade and peers: nothing of the caller's that changes a build."""
    env = {name: value for name, value in os.environ.items()
           if not re.match(r"(?i)lade_|source_date_epoch|.*_proxy$|docker_|registry_auth|buildkit|xdg_|aws_", name)}
    env["HOME"] = str(ROOT)
    env.update(extra or {})
    return env


def mounts_below(directory):
    with open("/proc/self/mountinfo", "rb") as mounts:
        targets = [line.split()[4].decode("unicode_escape") for line in mounts]
    return [target for target in targets if target.startswith(f"{directory}/")]


class LadeTest(unittest.TestCase):
    """A test with a workspace of its own, whose end is checked for leftovers."""

    base = "busybox"
    maxDiff = None

    def setUp(self):
        self.ws = Workspace(self._testMethodName, self.base)
        self.addCleanup(self.ws.close)
        self.build, self.tree, self.image, self.write = (
            self.ws.build, self.ws.tree, self.ws.image, self.ws.write)

    def tearDown(self):
        self.assertEqual(self.ws.leftovers(), [])

    def assert_fails(self, result_or_dockerfile, *messages, code=1, args=(), files=None, **run):
        """The build must fail with the exit code and say each message; returns the Result."""
        result = result_or_dockerfile
        if not isinstance(result, Result):
            result = self.build(result, *args, files=files, code=None, **run)
        self.assertEqual(result.code, code, str(result))
        for message in messages:
            self.assertIn(message, result.stderr, str(result))
        return result


# ------------------------------------------------------------------------------------------- bases


@contextlib.contextmanager
def locked(name):
    """One test process at a time makes what all share."""
    with open(ROOT / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def template(name):
    """A state directory that holds one base image; made once, copied by tests."""
    state = ROOT / (f"template-{name}" if USER is None else f"template-{name}-{USER}")
    with locked(state.name):
        if not state.exists():
            making = state.with_name(f"{state.name}.making")
            if USER is not None:
                making.mkdir()
                os.chown(making, USER, USER)
            tar, reference = {"busybox": (busybox_tar, "busybox:latest"), "debian": (debian_tar, "debian:12")}[name]
            subprocess.run([LADE, "--root", making, "import", tar(), reference], check=True, env=environment(),
                           stdout=subprocess.DEVNULL)
            making.rename(state)
    return state


def busybox_tar():
    """A root filesystem of Debian's busybox-static."""
    tar = ROOT / "busybox.tar"
    with locked("busybox.tar"):
        if tar.exists():
            return tar
        root = ROOT / "busybox-root"
        (root / "bin").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        shutil.copy2("/bin/busybox", root / "bin/busybox")
        applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True)
        for applet in applets.stdout.split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        subprocess.run(["tar", "-C", root, "--sort=name", "--owner=0", "--group=0", "--numeric-owner",
                        "--mtime=@1600000000", "-cf", f"{tar}.part", "."], check=True)
        os.rename(f"{tar}.part", tar)
    return tar


def debian_tar():
    """A minimal Debian 12; $LADE_DEBIAN_TAR, else build/debian.tar, made if it is not there."""
    tar = pathlib.Path(os.environ.get("LADE_DEBIAN_TAR") or REPO / "build/debian.tar")
    with locked("debian.tar"):
        if not tar.exists():
            part = ROOT / "debian.tar"
            subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "bookworm", part, MIRROR],
                           check=True)
            tar.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(part, tar)
    return tar


# ---------------------------------------------------------------------------------------- registry


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """Debian's docker-registry on a loopback port, with storage of its own. `http` and `extra` are more
    YAML for its configuration, the first in the section of that name."""

    def __init__(self, directory, http="", extra=""):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.host = f"127.0.0.1:{free_port()}"
        self.log_path = self.directory / "log"
        config = self.directory / "config.yml"
        config.write_text("version: 0.1\nlog: {level: warn}\n"
                          f"storage:\n  filesystem: {{rootdirectory: {self.directory}/data}}\n"
                          f"http:\n  addr: {self.host}\n{http}{extra}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.host.split(":")[1])), timeout=5).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError("docker-registry: " + self.log_path.read_text()) from None
                time.sleep(0.05)

    def push(self, source, name):
        """Copies e.g. "oci-archive:x.tar" to NAME[:TAG] with skopeo; returns the manifest's digest."""
        digest_file = self.directory / "digest"
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "--digestfile",
                        digest_file, source, f"docker://{self.host}/{name}"], check=True, env=environment())
        return digest_file.read_text().strip()

    def requests(self):
        """Lines of the access log: 'GET /v2/x/manifests/latest'."""
        return re.findall(r'"((?:GET|HEAD|POST|PUT|PATCH|DELETE) \S+) HTTP', self.log_path.read_text())

    def blob_path(self, digest):
        algorithm, value = digest.split(":")
        return self.directory / "data/docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def read_json(path):
    return json.loads(pathlib.Path(path).read_text())


def needs_network():
    """Skips the test unless Debian's mirror answers."""
    try:
        urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=20).close()
    except OSError as error:
        raise unittest.SkipTest(f"{MIRROR} does not answer: {error}") from None
