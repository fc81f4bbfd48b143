"""The builders that are measured: each turns a workload's wishes into a command of its own."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

PEERS = pathlib.Path(__file__).parent.parent / "build/peers"  # made by `./dev peers`


@dataclasses.dataclass
class Build:
    """What to build. `args` are build arguments; `output` is "" or "oci", with `compression`; `push` a name."""

    context: pathlib.Path
    args: dict = dataclasses.field(default_factory=dict)
    no_cache: bool = False
    output: pathlib.Path | None = None
    compression: str = "gzip"
    push: str = ""
    cache_from: str = ""
    cache_to: str = ""
    outline: bool = False
    by_daemon: bool = False  # through buildctl and a daemon, whoever builds
    version: bool = False  # nothing: the program's version is asked for


@dataclasses.dataclass
class Cost:
    seconds: float
    written: int = 0  # bytes, as the kernel counts them
    rss: int = 0  # peak of the builder's own processes; 0 if it was not watched


def call(command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def written_by(pid):
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


class RssWatch(threading.Thread):
    """The peak of the summed resident memory of processes that run one of `programs`."""

    def __init__(self, programs):
        super().__init__(daemon=True)
        self.programs = {str(pathlib.Path(program).resolve()) for program in programs}
        self.peak = 0
        self.ended = threading.Event()

    def run(self):
        page = os.sysconf("SC_PAGE_SIZE")
        while not self.ended.wait(0.005):
            total = 0
            for entry in os.scandir("/proc"):
                if not entry.name.isdigit():
                    continue
                try:
                    if os.readlink(f"/proc/{entry.name}/exe") in self.programs:
                        total += int(pathlib.Path(f"/proc/{entry.name}/statm").read_text().split()[1]) * page
                except OSError:
                    continue  # it has ended
            self.peak = max(self.peak, total)

    def stop(self):
        self.ended.set()
        self.join()
        return self.peak


def built_version(module):
    """`./dev peers` builds the Go-made ones as dependencies of tests/peers/go.mod, of which they do not know."""
    for line in (pathlib.Path(__file__).parent.parent / "tests/peers/go.mod").read_text().splitlines():
        if f"{module} " in line:
            return line.split()[-1]
    raise SystemExit(f"tests/peers/go.mod does not name {module}")


def docker_flags(build, bases):
    """What `lade build` and `docker buildx build` are told alike; `bases` are OCI layouts by name."""
    flags = [f"--build-context={name}=oci-layout://{layout}" for name, layout in bases.items()]
    flags += [f"--build-arg={key}={value}" for key, value in build.args.items()]
    return [*flags, "--no-cache"] if build.no_cache else flags


class Tool:
    """A builder. `run()` measures one build; `forget()` drops its cache, images and all."""

    name = ""
    everywhere = True  # False: it takes part where a workload wants it

    def programs(self):
        raise NotImplementedError

    def run(self, build, watch=False):
        command = [str(part) for part in self.command(build)]
        watcher = RssWatch(self.programs()) if watch else None
        if watcher:
            watcher.start()
        before = self.daemon_written()
        started = time.perf_counter()
        log = open(self.log_path, "w+b")  # noqa: SIM115
        with log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                log.seek(0)
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')[-4000:]}")
        written = usage.ru_oublock * 512 + self.daemon_written() - before
        return Cost(seconds, written, watcher.stop() if watcher else 0)

    def daemon_written(self):
        return 0

    def close(self):
        pass


class Lade(Tool):
    name = "lade"

    def __init__(self, binary, work, bases):
        self.binary, self.bases = binary, bases
        self.root = work / "lade"
        self.log_path = work / "lade.log"
        self.version = call([binary, "--version"]).split()[-1]
        self.work, self._daemon = work, None

    @property
    def daemon(self):
        if self._daemon is None:
            self._daemon = LadeDaemon(PEERS, self.work, self.bases, self.binary)
        return self._daemon

    def close(self):
        if self._daemon is not None:
            self._daemon.close()

    def daemon_written(self):
        return self._daemon.daemon_written() if self._daemon is not None else 0

    def programs(self):
        return [self.binary]

    def command(self, build):
        if build.version:
            return [self.binary, "--version"]
        if build.by_daemon:
            return self.daemon.command(build)
        command = [self.binary, "--root", self.root, "build", "-q"]
        if build.outline:
            command[-1:] = ["--call=outline"]
        command += docker_flags(build, self.bases)
        if build.output:
            command += ["-o", f"type=oci,dest={build.output},compression={build.compression}"]
        if build.push:
            command += ["-o", f"type=registry,name={build.push}"]
        if not (build.output or build.push or build.outline):
            # As without --output in buildctl; lade alone would make an image without a name.
            command += ["-o", "type=cacheonly"]
        if build.cache_from:
            command += ["--cache-from", f"type=registry,ref={build.cache_from}-lade"]
        if build.cache_to:
            command += ["--cache-to", f"type=registry,ref={build.cache_to}-lade,mode=max"]
        return [*command, build.context]

    def forget(self):
        shutil.rmtree(self.root, ignore_errors=True)


class BuildKit(Tool):
    name = "BuildKit"

    def __init__(self, folder, work, bases):
        self.buildctl, self.buildkitd, self.bases = folder / "buildctl", folder / "buildkitd", bases
        self.root = work / "buildkit"
        self.log_path = work / "buildctl.log"
        self.version = built_version("github.com/moby/buildkit")
        self.start(work, "buildkitd", [self.buildkitd, "--root", self.root, "--containerd-worker=false",
                                       "--oci-worker-binary", shutil.which("runc") or "runc"])

    def start(self, work, name, command):
        self.address = f"unix://{work}/{name}.sock"
        self.log = open(work / f"{name}.log", "w")  # noqa: SIM115
        self.process = subprocess.Popen([*command, "--addr", self.address], stdout=self.log, stderr=self.log)
        for _ in range(300):
            ready = subprocess.run([self.buildctl, "--addr", self.address, "debug", "workers"], capture_output=True,
                                   check=False)
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit(f"{name} did not start, see {self.log.name}")

    def programs(self):
        return [self.buildctl, self.buildkitd]

    def daemon_written(self):
        return written_by(self.process.pid)

    def command(self, build):
        if build.version:
            return [self.buildctl, "--version"]
        command = [self.buildctl, "--addr", self.address, "build", "--progress", "quiet", "--frontend",
                   "dockerfile.v0", "--local", f"context={build.context}", "--local", f"dockerfile={build.context}"]
        options = {f"build-arg:{key}": value for key, value in build.args.items()}
        for name, layout in self.bases.items():
            digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
            command += ["--oci-layout", f"{name}={layout}"]
            options[f"context:{name}"] = f"oci-layout://{name}@{digest}"
        if build.outline:
            options["requestid"] = "frontend.outline"
        for key, value in options.items():
            command += ["--opt", f"{key}={value}"]
        if build.no_cache:
            command += ["--no-cache"]
        if build.output:
            command += ["--output", f"type=oci,dest={build.output},compression={build.compression}"]
        if build.push:
            command += ["--output", f"type=image,name={build.push},push=true,registry.insecure=true"]
        if build.cache_from:
            command += ["--import-cache", f"type=registry,ref={build.cache_from}-buildkit,registry.insecure=true"]
        if build.cache_to:
            command += ["--export-cache",
                        f"type=registry,ref={build.cache_to}-buildkit,mode=max,registry.insecure=true"]
        return command

    def forget(self):
        call([self.buildctl, "--addr", self.address, "prune", "--all"])

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


class LadeDaemon(BuildKit):
    """`lade daemon`, with the same client."""

    name = "lade"

    def __init__(self, folder, work, bases, binary):
        self.buildctl, self.bases = folder / "buildctl", bases
        self.start(work, "lade-daemon",
                   [binary, "daemon", "--root", work / "lade-daemon-state", "--config", "/dev/null"])


class Buildx(Tool):
    """`docker buildx` on BuildKit's own buildkitd: what another client of it costs."""

    name = "buildx"
    everywhere = False

    def __init__(self, folder, work, buildkit):
        self.program, self.buildkit, self.bases = folder / "docker-buildx", buildkit, buildkit.bases
        self.log_path = work / "buildx.log"
        self.prefix = ["env", f"BUILDX_CONFIG={work / 'buildx-config'}", self.program]
        self.version = built_version("github.com/docker/buildx")
        call([*self.prefix, "create", "--name", "bench", "--driver", "remote", buildkit.address])

    def programs(self):
        return [self.program, *self.buildkit.programs()]

    def daemon_written(self):
        return self.buildkit.daemon_written()

    def command(self, build):
        command = [*self.prefix, "build", "--builder", "bench", "--progress", "quiet"]
        command += docker_flags(build, self.bases)
        if build.output:
            command += ["--provenance=false", "-o", f"type=oci,dest={build.output},compression={build.compression}"]
        return [*command, build.context]

    def forget(self):
        self.buildkit.forget()


class Buildah(Tool):
    """Builds without a daemon too. It takes part in a few cases only: it is the slowest by far."""

    name = "buildah"
    everywhere = False

    def __init__(self, work, bases):
        self.root = work / "buildah"
        # crun refuses hosts with both versions of cgroups.
        self.storage = ["buildah", "--root", self.root, "--runroot", work / "buildah-run", "--storage-driver",
                        "overlay"]
        self.log_path = work / "buildah.log"
        self.names = bases
        self.version = call(["buildah", "--version"]).split()[2]
        self.load()

    def load(self):
        for name, layout in self.names.items():
            call([*self.storage, "pull", "-q", f"oci:{layout}"])
            image = call([*self.storage, "images", "-q", "--no-trunc"]).split()[0]
            call([*self.storage, "tag", image, f"localhost/{name}"])

    def programs(self):
        return [shutil.which("buildah")]

    def command(self, build):
        command = [*self.storage, "bud", "-q", "--layers", "--isolation", "oci", "--runtime", "runc",
                   "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--pull-never"]
        for key, value in build.args.items():
            command += ["--build-arg", f"{key}={value}"]
        if build.no_cache:
            command += ["--no-cache"]
        if build.output:
            command += ["-t", f"oci-archive:{build.output}"]
        return [*command, build.context]

    def forget(self):
        call([*self.storage, "rmi", "-a", "-f"])
        self.load()

    def close(self):
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.root)):
                call(["umount", "-l", line.split()[1]])
