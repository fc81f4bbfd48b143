"""The workloads of docs/BENCHMARKS.md. Each makes its files once, and is asked before every build what to build."""

import os
import pathlib
import shutil
import subprocess

from tools import Build, Lade


def write(folder, dockerfile):
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(dockerfile)
    return folder


def add_files(folder, count, line="file {}\n", lines=20, per_directory=50):
    """`count` files of `lines` lines in directories of `per_directory` below `folder`/src."""
    for number in range(count):
        directory = folder / "src" / f"d{number // per_directory}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_text(line.format(number) * lines)


class Workload:
    """`what` describes it; `goal` is the ratio over BuildKit that it is built for. `bench` has `work`, a directory,
    and `registry`. `all_tools` tells whether buildx and buildah take part."""

    name = what = ""
    goal = 0.0
    rounds = 0  # 0: as many as asked for
    all_tools = False
    alone = False  # only lade: what is looked at is its memory
    output = False  # whether it writes an archive, which is looked at afterwards
    memory = False
    needs = ""  # a program in build/peers that it cannot do without

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.work / self.name

    def setup(self):
        pass

    def warm_up(self, tool):
        """Before the first round: what the rounds find in place."""
        tool.run(self.build(tool, 0))

    def prepare(self, tool, number):
        """Before each build; not measured."""

    def build(self, tool, number):
        raise NotImplementedError


class Cached(Workload):
    name, goal = "cached", 10
    what = "everything cached: 12 steps, 2,000-file context, no output"
    all_tools = True

    def setup(self):
        steps = "".join(f"RUN echo {n} > /s{n}\n" for n in range(10))
        add_files(write(self.folder, f"FROM busybox\n{steps}COPY src /src\n"), 2000)

    def build(self, tool, number):
        return Build(self.folder)


class DaemonCached(Cached):
    name, goal = "daemon-cached", 3
    what = "the same as `cached`, `buildctl build` against `lade daemon` and `buildkitd`"
    all_tools = False
    needs = "buildctl"

    def build(self, tool, number):
        return Build(self.folder, by_daemon=True)


class Start(Workload):
    name = "start"
    what = "the client's start: `lade --version`, `buildctl --version`"

    def build(self, tool, number):
        return Build(self.folder, version=True)


class Run30(Workload):
    name, goal = "run30", 15
    what = "30 sequential `RUN true`, uncached"
    all_tools = True

    def setup(self):
        write(self.folder, "FROM busybox\n" + "RUN true\n" * 30)

    def build(self, tool, number):
        return Build(self.folder, no_cache=True)


class Sleep16(Workload):
    name, goal = "sleep16", 4
    what = "16 stages of `sleep 0.3`, joined by COPY"

    def setup(self):
        stages = "".join(f"FROM busybox AS s{n}\nRUN sleep 0.3 && echo {n} > /o\n" for n in range(16))
        copies = "".join(f"COPY --from=s{n} /o /o{n}\n" for n in range(16))
        write(self.folder, stages + "FROM scratch\n" + copies)

    def build(self, tool, number):
        return Build(self.folder, no_cache=True)


class CopyChanged(Workload):
    name, goal = "copy-changed", 8
    what = "COPY of 30,000 files (60 MB), one changed since"
    all_tools = True

    def setup(self):
        write(self.folder, "FROM busybox\nCOPY src /src\n")
        add_files(self.folder, 30000, line="line {} of a source file, of usual length\n", lines=45, per_directory=200)

    def prepare(self, tool, number):
        (self.folder / "src/d7/f1400").write_text(f"changed in round {number} for {tool.name}\n")

    def build(self, tool, number):
        return Build(self.folder)


class CopyCold(Workload):
    name, goal = "copy-cold", 3
    what = "COPY of 30,000 files (60 MB) that were never seen before"

    def warm_up(self, tool):
        folder = write(self.folder / f"warm-{tool.name}", "FROM busybox\nCOPY src /src\n")
        add_files(folder, 10)
        tool.run(Build(folder))

    def context(self, number):
        return self.folder / f"round-{number}"

    def prepare(self, tool, number):
        folder = self.context(number)
        if folder.exists():
            return
        if number > 1:
            shutil.rmtree(self.context(number - 1))
        write(folder, "FROM busybox\nCOPY src /src\n")
        line = f"round {number}, line {{}} of a file of usual length\n"
        add_files(folder, 30000, line=line, lines=45, per_directory=200)
        subprocess.run(["sync"], check=True)

    def build(self, tool, number):
        return Build(self.context(number))


class Copy20(Workload):
    name, goal = "copy20", 8
    what = "20 COPY steps over a 170 MB base, uncached"
    all_tools = True

    def setup(self):
        copies = "".join(f"COPY src/d{n} /c{n}\n" for n in range(20))
        add_files(write(self.folder, "FROM debian\n" + copies), 400, per_directory=20)

    def build(self, tool, number):
        return Build(self.folder, no_cache=True)


class ExportGzip(Workload):
    """The RUN copies files that a bind mount shows: what makes them otherwise (dd of /dev/urandom takes 2 s) is the
    same for all builders and would hide the export."""

    name, goal = "export-gzip", 5
    what = "512 MiB of distinct half-compressible files from a RUN -> OCI tar, gzip"
    compression = "gzip"
    count, half = 512, 512 << 10  # files, and the bytes of a file's halves
    output = memory = True

    def setup(self):
        folder = write(self.folder, "FROM busybox\nRUN --mount=type=bind,source=data,target=/data cp /data/* /\n")
        (folder / "data").mkdir()
        for number in range(self.count):
            (folder / f"data/f{number}").write_bytes(os.urandom(self.half) + bytes(self.half))
        subprocess.run(["sync"], check=True)

    def warm_up(self, tool):
        tool.run(Build(self.folder))  # BuildKit gets the context

    def build(self, tool, number):
        return Build(self.folder, no_cache=True, output=self.bench.archive(tool), compression=self.compression)


class ExportZstd(ExportGzip):
    name, goal = "export-zstd", 3
    what = "the same, zstd"
    compression = "zstd"


class Layer4G(ExportGzip):
    name, goal = "layer-4g", 0
    what = "a layer of 4 GiB -> OCI tar, gzip: is memory flat in the layer's size?"
    count, half = 1024, 2 << 20
    rounds = 1
    alone, output = True, False


class Apt(Workload):
    name, goal = "apt", 1.3
    what = "`apt-get install` of 30 packages from debs on a Debian base"
    PACKAGES = ("bc bison bzip2 cpio curl dc ed file flex gawk gettext-base git gperf groff-base jq less libxml2-utils "
                "m4 make nano patch perl pkg-config psmisc rsync sqlite3 tree unzip wget xz-utils").split()

    def setup(self):
        fetch = write(self.bench.work / "apt-fetch", "FROM debian AS fetch\nRUN apt-get update && apt-get install -y "
                      f"--no-install-recommends --download-only {' '.join(self.PACKAGES)}\nFROM scratch\n"
                      "COPY --from=fetch /var/cache/apt/archives/*.deb /debs/\n")
        write(self.folder, "FROM debian\nENV DEBIAN_FRONTEND=noninteractive\nCOPY debs /debs\n"
              "RUN apt-get install -y --no-install-recommends /debs/*.deb\n")
        lade = next(tool for tool in self.bench.tools if isinstance(tool, Lade))
        command = lade.command(Build(fetch))
        subprocess.run([*map(str, command[:-1]), "-o", f"type=local,dest={self.folder}", str(fetch)], check=True,
                       capture_output=True)

    def build(self, tool, number):
        return Build(self.folder, no_cache=True)


class BaseExport(Workload):
    name, goal = "base-export", 8
    what = "170 MB cached base + a small RUN -> OCI tar"
    output = True

    def setup(self):
        write(self.folder, "FROM debian\nRUN echo hello > /hello\n")

    def build(self, tool, number):
        return Build(self.folder, no_cache=True, output=self.bench.archive(tool))


class Pull(Workload):
    name, goal = "pull", 2
    what = "pull and extract a 170 MB base from a loopback registry, then a RUN"

    def setup(self):
        self.bench.push_base("debian")
        write(self.folder, f"FROM {self.bench.registry.host}/debian\nRUN echo hello > /hello\n")

    def prepare(self, tool, number):
        tool.forget()

    def build(self, tool, number):
        return Build(self.folder)


class RemoteCache(Workload):
    name, goal = "remote-cache", 3
    what = "warm remote cache, empty local one: 12 steps, push"

    def setup(self):
        self.bench.push_base("debian")
        steps = "".join(f"RUN echo {n} > /s{n}\n" for n in range(10))
        add_files(write(self.folder, f"FROM {self.bench.registry.host}/debian\n{steps}COPY src /src\n"), 2000)

    def image(self, tool):
        return f"{self.bench.registry.host}/app-{tool.name.lower()}"

    def warm_up(self, tool):
        tool.run(Build(self.folder, push=self.image(tool), cache_to=f"{self.bench.registry.host}/cache"))

    def prepare(self, tool, number):
        tool.forget()

    def build(self, tool, number):
        return Build(self.folder, push=self.image(tool), cache_from=f"{self.bench.registry.host}/cache")


class Parse(Workload):
    name, goal = "parse", 10
    what = "parse and lower a Dockerfile of 1,000 instructions (`--call=outline`)"

    def setup(self):
        lines = "".join(f"ARG a{n}=value-{n}\nENV E{n}=$a{n}\nLABEL l{n}=$E{n}\nRUN echo $E{n} > /f{n}\n"
                        for n in range(250))
        write(self.folder, f"FROM busybox\n{lines}")

    def build(self, tool, number):
        return Build(self.folder, outline=True)


ALL = [Start, Cached, DaemonCached, Run30, Sleep16, CopyChanged, CopyCold, Copy20, ExportGzip, ExportZstd, Layer4G, Apt,
       BaseExport, Pull, RemoteCache, Parse]


class Growth:
    """How the time of a cached build grows with the context's files and with the graph's vertices."""

    @staticmethod
    def of_files(work, count):
        folder = work / f"files-{count}"
        add_files(write(folder, "FROM busybox\nCOPY src /src\n"), count, lines=1, per_directory=100)
        return Build(folder)

    @staticmethod
    def of_vertices(work, count):
        """Stages of one step each; each fifty of them are joined by a stage that copies from them, and those by the
        last. The steps write files, nothing runs."""
        leaves = range(count // 2)
        text = "".join(f"FROM scratch AS s{n}\nCOPY <<EOF /f{n}\n{n}\nEOF\n" for n in leaves)
        joins = [leaves[at:at + 50] for at in range(0, len(leaves), 50)]
        for number, join in enumerate(joins):
            text += f"FROM scratch AS j{number}\n" + "".join(f"COPY --from=s{n} /f{n} /\n" for n in join)
        text += "FROM scratch\n" + "".join(f"COPY --from=j{number} / /\n" for number in range(len(joins)))
        return Build(write(work / f"vertices-{count}", text))


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
    pathlib.Path(path).unlink(missing_ok=True)
