"""Hostile tars on every way that a tar comes in: ADD, import, load, pull, and a context on stdin.

Whatever is in them: nothing outside the root filesystem changes, lade ends by itself with 0 or with 1 and an error, in bounded time and
memory. What is taken has to be whole. After the written cases come mutations of an ordinary tar until the time is over.
"""

import contextlib
import hashlib
import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import threading
import time

import hostile_tars
import support
from common import Part, copy
from image import make_tar
from support import Result, environment

MEMORY = 700 << 20  # resident, of lade and what it starts
SECONDS = 60  # of computing
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_of(layer, diff=None, media=LAYER):
    """config and manifest of an image with this one layer."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
        "type": "layers", "diff_ids": [digest(layer if diff is None else diff)]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": media, "digest": digest(layer), "size": len(layer)}]}).encode()
    return config, manifest


class Blobs:
    """A registry of any image that is put into it."""

    def __init__(self):
        self.content = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                found = outer.content.get(self.path.rsplit("/", 1)[1], (b"", "text/plain"))
                self.send_response(200 if found[0] or "/v2/" == self.path else 404)
                self.send_header("Content-Type", found[1])
                self.send_header("Content-Length", str(len(found[0])))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(found[0])

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, name, layer):
        config, manifest = image_of(layer)
        for data in (config, layer):
            self.content[digest(data)] = (data, "application/octet-stream")
        self.content[digest(manifest)] = self.content[name] = (manifest, "application/vnd.oci.image.manifest.v1+json")

    def forget(self):
        self.content.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def archive_of(layer):
    """An OCI archive of it."""
    config, manifest = image_of(layer)
    index = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "hostile:latest", "io.containerd.image.name": "docker.io/library/hostile:latest"}}]}).encode()
    return make_tar([("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index),
                     *((f"blobs/sha256/{digest(data)[7:]}", data) for data in {config, manifest, layer})])


def bounded(ws, state, arguments, stdin=None, seconds=SECONDS, wait=10 * SECONDS):
    """Runs lade; its Result, and the most memory that it had."""
    # Far beyond what is allowed, and before the machine suffers. prlimit executes lade in its place.
    command = ["prlimit", f"--data={6 << 30}", f"--cpu={seconds}", "--", *ws.command(*arguments, state=state)]
    peak = 0
    with open(ws.dir / "log", "w+b") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment(), stdin=stdin or subprocess.DEVNULL, stdout=log, stderr=log)
        # getrusage() would count what this process has, which it is forked from.
        while process.poll() is None:
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                if (found := re.search(r"VmHWM:\s+(\d+)", status)) and "Name:\tlade" in status:
                    peak = max(peak, int(found[1]) << 10)
            time.sleep(0.01)
            if time.monotonic() - started > wait:
                process.kill()
        log.seek(0)
        return Result(command, process.returncode, b"", log.read(), time.monotonic() - started), peak


class Outside:
    """A directory that nothing may reach: its names, contents, modes and owners are compared."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir()
        self.make()
        self.before = self.look()

    def make(self):
        (self.path / "victim").write_text("as it was\n")
        (self.path / "sub").mkdir()
        (self.path / "sub/x").write_text("x\n")

    def look(self):
        return {str(path): (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_nlink, path.lstat().st_mtime_ns,
                            path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b"")
                for path in [self.path, *sorted(self.path.rglob("*"))]}

    def changed(self):
        now = self.look()
        if now == self.before:
            return []
        changes = [name for name in {*now, *self.before} if now.get(name) != self.before.get(name)]
        shutil.rmtree(self.path)
        self.path.mkdir()
        self.make()
        self.before = self.look()
        return changes


class Lane:
    def __init__(self, part, number):
        self.ws = part.workspace(f"tars-{number}")
        self.fresh = part.fresh
        # Not below the workspace, whose name is in each path that lade uses; as short as may be.
        self.outside = Outside(support.ROOT / f"out{number}")
        self.blobs = Blobs()
        self.ws.defer(self.blobs.stop)
        self.ways = {"ADD": self.add, "import": self.bring, "load": self.load, "pull": self.pull, "context": self.context}
        self.numbers = itertools.count()

    def add(self, tar):
        self.ws.write({"t.tar": tar, "Dockerfile": "FROM busybox\nADD t.tar /\nADD t.tar /sub/dir/\nRUN ls -laR / >/dev/null 2>&1; true\n"})
        return bounded(self.ws, self.ws.state, ["build", "-o", f"type=oci,dest={self.ws.out}/x.tar", self.ws.context])

    def bring(self, tar):
        (self.ws.dir / "t.tar").write_bytes(tar)
        return bounded(self.ws, self.ws.state, ["import", self.ws.dir / "t.tar", "hostile"])

    def used(self, name, result):
        """The image is used: its layer unpacked, and a step on it."""
        first, memory = result
        if first.code != 0:
            return result
        self.ws.write({"Dockerfile": f"FROM {name}\nCOPY --from=busybox /bin/busybox /bb\nRUN [\"/bb\", \"ls\", \"-laR\", \"/\"]\n"})
        second, more = bounded(self.ws, self.ws.state, ["build", "--pull=never", "-o", f"type=oci,dest={self.ws.out}/x.tar", self.ws.context])
        second.stderr = first.stderr + second.stderr
        return second, max(memory, more)

    def load(self, tar):
        (self.ws.dir / "t.tar").write_bytes(archive_of(tar))
        return self.used("hostile", bounded(self.ws, self.ws.state, ["load", "-i", self.ws.dir / "t.tar"]))

    def pull(self, tar):
        tag = f"t{next(self.numbers)}"
        self.blobs.put(tag, tar)
        try:
            return self.used(f"{self.blobs.host}/x:{tag}", bounded(self.ws, self.ws.state, ["pull", f"{self.blobs.host}/x:{tag}"]))
        finally:
            self.blobs.forget()

    def context(self, tar):
        # A Dockerfile before it, if it is not compressed; after it, the end may have come already.
        whole = hostile_tars.file("Dockerfile", "FROM busybox\nCOPY . /c/\nCOPY . /c/\n") + tar
        (self.ws.dir / "t.tar").write_bytes(tar if tar[:3] in (b"\x1f\x8b\x08", b"BZh", b"\xfd7z") or tar[:4] == b"\x28\xb5\x2f\xfd" else whole)
        with open(self.ws.dir / "t.tar", "rb") as stdin:
            return bounded(self.ws, self.ws.state, ["build", "-o", f"type=oci,dest={self.ws.out}/x.tar", "-"], stdin)

    def clean(self):
        for path in (self.ws.out, self.ws.context, self.ws.state):
            subprocess.run(["rm", "-rf", path], check=True)
        self.ws.out.mkdir()
        self.ws.context.mkdir()
        copy(self.fresh, self.ws.state)
        del self.ws.transcript[:]


class Tars(Part):
    name = "tars"
    breaks = ("outside", "memory")

    def run(self):
        main = self.workspace("tars-main")
        self.fresh = main.state.rename(main.dir / "prepared")
        self.lanes = [Lane(self, number) for number in range(2)]
        self.free = list(self.lanes)
        self.lock = threading.Lock()
        before = self.around()
        plain = hostile_tars.ordinary()
        # On disk, since together they are large; for each lane, since they name a path.
        for lane in self.lanes:
            lane.tars = lane.ws.dir / "tars"
            lane.tars.mkdir()
            for number, (name, tar) in enumerate(itertools.chain(hostile_tars.cases(str(lane.outside.path)), hostile_tars.compressed(plain))):
                (lane.tars / str(number)).write_bytes(tar)
        names = [*(name for name, _ in hostile_tars.cases("/x")), *(name for name, _ in hostile_tars.compressed(plain))]
        written = [(number, name, way) for number, name in enumerate(names) for way in self.lanes[0].ways]
        tried = self.each(written, lambda item: self.in_lane(
            f"{item[1]} by {item[2]}", item[2], lambda lane: (lane.tars / str(item[0])).read_bytes()))
        self.count(f"of {len(written)} written cases on their ways", tried)
        mutations = ((seed, way) for seed in range(1000000) for way in [list(self.lanes[0].ways)[seed % 5]])
        batch = 200
        while not self.over():
            some = list(itertools.islice(mutations, batch))
            done = self.each(some, lambda item: self.in_lane(f"mutation {item[0]} by {item[1]}", item[1],
                                                             lambda lane: hostile_tars.mutated(plain, item[0])))
            self.count("mutations", done)
        if self.around() != before:
            self.fault(f"beside the tests there is {self.around() ^ before}")

    def around(self):
        """Names in directories that mutations aim at."""
        return {f"{directory}{name}" for directory in ("/", "/etc/", "/bin/", "/tmp/") for name in os.listdir(directory)
                if name in ("x", "new", "y", "evil", "escape", "victim")}

    def in_lane(self, about, way, data):
        with self.lock:
            lane = self.free.pop()
        try:
            lane.clean()
            self.one(lane, about, lane.ways[way], data(lane))
        finally:
            with self.lock:
                self.free.append(lane)

    def one(self, lane, about, way, tar):
        result, memory = way(tar)
        self.highest("MB at most", memory >> 20)
        self.highest("s at most", round(result.seconds))
        self.count("taken" if result.code == 0 else "refused")
        if self.broken == "outside" and result.code == 0:
            (lane.outside.path / "victim").write_text("changed\n")
        shown = result if len(result.stderr) < 3000 else result.stderr[:1000] + "\n[...]\n" + result.stderr[-2000:]
        if changes := lane.outside.changed():
            self.fault(f"{about}: REACHED {changes}", shown)
        if result.code not in (0, 1) or "terminate called" in result.stderr:
            self.fault(f"{about}: ended with {result.code} after {result.seconds:.0f} s", shown)
        elif result.code == 1 and not re.search(r"ERROR: \S", result.stderr):
            self.fault(f"{about}: no error is said", shown)
        if memory > (MEMORY if self.broken != "memory" else 1 << 20):
            self.fault(f"{about}: took {memory >> 20} MB", shown)
        self.verify_state(lane.ws, lane.ws.state, about)
        time.sleep(0.05)
        lane.ws.lade("prune", "-f")
        if left := lane.ws.leftovers():
            self.fault(f"{about}: left behind {left}", shown)


PART = Tars
