"""Registries that lie: about digests, sizes, types and names, or that do not come to an end.

Each lie is told to `pull` and to a build's FROM. Neither may end otherwise than by 0 or 1 with an error, within a bounded time and memory, and
nothing that is false may be kept: afterwards the same name is served truthfully, and has to come out right.
"""

import contextlib
import gzip
import hashlib
import http.server
import json
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from common import Part, copy, spread
from image import make_tar
from part_tars import MEMORY, bounded

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SECONDS = 30  # of computing
# What a server that is slow or silent may cost: it has 10 minutes for an answer, and stalls for 1, each several times.
PATIENCE = 1300
TAG = "/manifests/t"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(document):
    return json.dumps(document).encode()


class World:
    """The truth: an image of one layer, in an index. Documents are made anew from parts that a lie may change."""

    def __init__(self, tar, **changes):
        self.layer = changes.get("layer", gzip.compress(tar, mtime=0))
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest(tar)]}}
        config.update(changes.get("config", {}))
        self.config = changes.get("raw_config", dump(config))
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.describe(self.config, CONFIG),
                    "layers": [self.describe(self.layer, LAYER)]}
        for change in changes.get("manifest", []):
            change(manifest)
        self.manifest = changes.get("raw_manifest", dump(manifest))
        index = {"schemaVersion": 2, "mediaType": INDEX,
                 "manifests": [{**self.describe(self.manifest, MANIFEST), "platform": {"os": "linux", "architecture": "amd64"}}]}
        for change in changes.get("index", []):
            change(index)
        self.index = changes.get("raw_index", dump(index))
        self.top = (self.index, INDEX)
        self.more = changes.get("more", {})

    @staticmethod
    def describe(data, kind):
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def answers(self):
        """path's end -> (bytes, type)"""
        out = {digest(data): (data, kind) for data, kind in (
            (self.layer, "application/octet-stream"), (self.config, "application/octet-stream"), (self.manifest, MANIFEST), (self.index, INDEX))}
        out.update(self.more)
        out["t"] = self.top
        return out


class Liar:
    """Serves a world; `lie(handler, body, kind)` may answer in its place (True: it did)."""

    def __init__(self):
        self.answers, self.lie, self.stop_all = {}, None, threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body, kind = outer.answers.get(self.path.rsplit("/", 1)[1], (None, "text/plain"))
                if self.path == "/v2/":
                    body = b"{}"
                try:
                    if self.path != "/v2/" and outer.lie and outer.lie(self, body, kind):
                        return
                    self.send(200 if body is not None else 404, body or b"", kind)
                except OSError:
                    self.close_connection = True

            do_HEAD = do_GET

            def send(self, code, body, kind="application/octet-stream", length=None, **headers):
                self.send_response(code)
                self.send_header("Content-Type", kind)
                if length is not False:
                    self.send_header("Content-Length", str(len(body) if length is None else length))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def endless(self, chunk=b"x" * 65536, pause=0.0, length=False, limit=20 << 30):
                """Never comes to its end."""
                self.send_response(200)
                self.send_header("Content-Type", "application/octet-stream")
                if length is not False:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                self.close_connection = True
                sent = 0
                while not outer.stop_all.is_set() and sent < limit and self.command == "GET":
                    self.wfile.write(chunk)
                    sent += len(chunk)
                    time.sleep(pause)
                return True

            def silent(self):
                """Says nothing more until the client goes."""
                self.close_connection = True
                self.connection.settimeout(0.5)
                while not outer.stop_all.is_set():
                    with contextlib.suppress(TimeoutError):
                        if not self.connection.recv(1024):
                            return True
                return True

            def raw(self, data):
                self.close_connection = True
                self.wfile.write(data)
                return True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stop_all.set()
        self.server.shutdown()
        self.server.server_close()


def is_blob(handler):
    return "/blobs/" in handler.path


def is_tag(handler):
    return handler.path.endswith(TAG)


def lies_of_transport(slow):
    """(name, lie): how answers go wrong on their way; `slow` ones, or those that are soon told."""
    def on(where, what):
        return lambda handler, body, kind: what(handler, body, kind) if body is not None and where(handler) else False

    def redirect(to):
        return lambda handler, body, kind: handler.send(307, b"", Location=to(handler)) or True

    anything = {"a blob": is_blob, "the tag": is_tag, "a manifest": lambda handler: "/manifests/sha256" in handler.path}
    for place, where in anything.items():
        if slow:
            yield f"{place} is never answered", on(where, lambda h, b, k: h.silent())
            yield f"{place} stops in the middle", on(where, lambda h, b, k: h.send(200, b[:5], k, length=len(b)) or h.silent())
            yield f"{place} comes a byte a second", on(where, lambda h, b, k: h.endless(b"x", 1.0, length=1 << 20))
            continue
        yield f"{place} is other bytes", on(where, lambda h, b, k: h.send(200, bytes(reversed(b)), k) or True)
        yield f"{place} has one bit changed", on(where, lambda h, b, k: h.send(200, bytes([b[0] ^ 1]) + b[1:], k) or True)
        yield f"{place} is cut", on(where, lambda h, b, k: h.send(200, b[:-1], k) or True)
        yield f"{place} is longer", on(where, lambda h, b, k: h.send(200, b + b"\n", k) or True)
        yield f"{place} is empty", on(where, lambda h, b, k: h.send(200, b"", k) or True)
        yield f"{place} ends before its length", on(where, lambda h, b, k: h.send(200, b[:len(b) // 2], k, length=len(b)) or h.raw(b""))
        yield f"{place} has a length of 8 EB", on(where, lambda h, b, k: h.send(200, b, k, length=(1 << 63) - 1) or h.raw(b""))
        yield f"{place} has a negative length", on(where, lambda h, b, k: h.send(200, b, k, length=-5) or h.raw(b""))
        yield f"{place} has junk as its length", on(where, lambda h, b, k: h.send(200, b, k, length="x") or h.raw(b""))
        yield f"{place} has no length", on(where, lambda h, b, k: h.send(200, b, k, length=False) or h.raw(b""))
        yield f"{place} never ends", on(where, lambda h, b, k: h.endless())
        yield f"{place} has a chunk of 8 EB", on(where, lambda h, b, k: h.raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nx"))
        yield f"{place} names another digest", on(where, lambda h, b, k: h.send(200, b, k, Docker_Content_Digest=digest(b"x")) or True)
        yield f"{place} names junk as its digest", on(where, lambda h, b, k: h.send(200, b, k, Docker_Content_Digest="sha256:../../x") or True)
        yield f"{place} is of an unknown type", on(where, lambda h, b, k: h.send(200, b, "image/gif") or True)
        yield f"{place} is of a type of 100 KB", on(where, lambda h, b, k: h.send(200, b, "x/" + "y" * 100000) or True)
        yield f"{place} is encoded", on(where, lambda h, b, k: h.send(200, gzip.compress(b), k, Content_Encoding="gzip") or True)
        yield f"{place} is a bomb of encodings", on(where, lambda h, b, k: h.send(
            200, gzip.compress(b"\0" * (200 << 20)), k, Content_Encoding="gzip") or True)
        yield f"{place} redirects to itself", on(where, redirect(lambda h: h.path))
        yield f"{place} redirects to ever more", on(where, redirect(lambda h: h.path + "x") if where is not is_tag else redirect(lambda h: "/v2/x" + h.path))
        yield f"{place} redirects to a file", on(where, redirect(lambda h: "file:///etc/passwd"))
        yield f"{place} redirects to another protocol", on(where, redirect(lambda h: "gopher://127.0.0.1:1/x"))
        yield f"{place} redirects to nothing", on(where, redirect(lambda h: "http://127.0.0.1:1/x"))
        yield f"{place} redirects to 1 MB", on(where, redirect(lambda h: "/" + "x" * (1 << 20)))
        for code in (100, 199, 204, 206, 304, 401, 403, 404, 416, 429, 500, 503, 599, 999):
            yield f"{place} answers {code}", on(where, lambda h, b, k, code=code: h.send(code, b"{}", k, Retry_After="0") or True)
        yield f"{place} wants a token of junk", on(where, lambda h, b, k: h.send(401, b"", WWW_Authenticate='Bearer realm="' + "x" * 50000 + '"') or True)
        yield f"{place} wants a token of nobody", on(where, lambda h, b, k: h.send(401, b"", WWW_Authenticate='Bearer realm="http://127.0.0.1:1/"') or True)
        yield f"{place} is no HTTP", on(where, lambda h, b, k: h.raw(random.Random(1).randbytes(5000)))
        yield f"{place} has 100,000 headers", on(where, lambda h, b, k: h.raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000 + b"\r\n" + b))
        yield f"{place} has a header without an end", on(where, lambda h, b, k: h.raw(b"HTTP/1.1 200 OK\r\nX: ") and h.endless())
        yield f"{place} is reset", on(where, lambda h, b, k: h.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0") or h.raw(b""))


def change(*path, to):
    def apply(document):
        for key in path[:-1]:
            document = document[key]
        if to is None:
            del document[path[-1]]
        else:
            document[path[-1]] = to
    return apply


def false_worlds(tar):
    """(name, World): documents that are not so, each well formed for its digest."""
    big = "x" * (16 << 20)
    for field in (("config",), ("layers", 0)):
        where = "the config" if field == ("config",) else "the layer"
        for size in (0, 1, -1, 1 << 40, (1 << 63) - 1, 1 << 63, 1 << 70, "5", 1.5, None, [], {}):
            yield f"{where}'s size is {size!r}", World(tar, manifest=[change(*field, "size", to=size)])
        for text in ("sha256:" + "0" * 64, "sha256:" + "0" * 63, "sha256:", "md5:abc", "sha512:" + "0" * 128, "../../../../etc/passwd", "", 5, None,
                     "sha256:" + "G" * 64, "sha256:" + "A" * 64, "sha256:../../../../../../../../../../../../../../../../../../../../../tmp"):
            yield f"{where}'s digest is {text!r}", World(tar, manifest=[change(*field, "digest", to=text)])
        for kind in ("", "x", "image/gif", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 5, None, "application/vnd.oci.image.layer.v1.tar",
                     "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.in-toto+json", INDEX, MANIFEST, "a" * 100000):
            yield f"{where}'s type is {str(kind)[:60]!r}", World(tar, manifest=[change(*field, "mediaType", to=kind)])
        yield f"{where} has URLs", World(tar, manifest=[change(*field, "urls", to=["file:///etc/passwd", "http://127.0.0.1:1/"])])
        yield f"{where} has data", World(tar, manifest=[change(*field, "data", to="aGVsbG8=")])
    yield "10,000 layers", World(tar, manifest=[lambda m: m.update(layers=m["layers"] * 10000)])
    yield "2,000 layers and diff IDs", World(tar, config={"rootfs": {"type": "layers", "diff_ids": [digest(tar)] * 2000}},
                                             manifest=[lambda m: m.update(layers=m["layers"] * 2000)])
    yield "no layers", World(tar, manifest=[change("layers", to=[])])
    yield "layers that are not a list", World(tar, manifest=[change("layers", to={"0": 1})])
    yield "annotations of 3 MB", World(tar, manifest=[change("annotations", to={"a": "x" * (3 << 20)})])
    for what in ("raw_manifest", "raw_index", "raw_config"):
        for name, raw in (("16 MB", dump({"x": big})), ("empty", b""), ("null", b"null"), ("a number", b"1e999"), ("a list", b"[]"), ("not JSON", b"{"),
                          ("nested 100,000 deep", b'{"a":' * 100000 + b"1" + b"}" * 100000), ("lists 1,000,000 deep", b"[" * 1000000),
                          ("not UTF-8", b'{"a":"\xff\xfe"}'), ("one key twice", b'{"schemaVersion":1,"schemaVersion":2}'),
                          ("a string without an end", b'{"a":"' + b"x" * 100000)):
            yield f"{what[4:]}: {name}", World(tar, **{what: raw})
    for number, diff_ids in enumerate(([], [digest(b"x")], [digest(tar)] * 2, ["x"], [5], None, ["sha256:../../x"])):
        yield f"diff IDs {number}", World(tar, config={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    for number, config in enumerate(({"config": {"Env": ["A=" + big]}}, {"config": {"Env": "A"}}, {"config": {"Cmd": [5]}}, {"config": {"User": "\n"}},
                                     {"config": {"WorkingDir": "../../.."}}, {"config": {"ExposedPorts": {"x" * 100000: {}}}}, {"history": [{}] * 100000},
                                     {"history": [{"empty_layer": True}] * 5}, {"history": "x"}, {"os": "windows"}, {"os": ""}, {"architecture": 5}, {"rootfs": None},
                                     {"created": "yesterday"}, {"config": None}, {"config": {"Volumes": {"/../../..": {}}}},
                                     {"config": {"OnBuild": ["FROM x", "RUN \0"]}}, {"config": {"OnBuild": ["RUN true"] * 100000}})):
        yield f"config {number}", World(tar, config=config)
    itself = World(tar)
    cycle = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": INDEX, "digest": digest(b"cycle"), "size": 10,
                                                                         "platform": {"os": "linux", "architecture": "amd64"}}]})
    itself.top, itself.more = (cycle, INDEX), {digest(b"cycle"): (cycle, INDEX)}
    yield "an index that refers to itself", itself
    deep, last = World(tar), World(tar).index
    deep.more = {}
    for _ in range(200):
        deep.more[digest(last)] = (last, INDEX)
        last = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**World.describe(last, INDEX), "platform": {"os": "linux", "architecture": "amd64"}}]})
    deep.top = (last, INDEX)
    yield "200 indexes in one another", deep
    wide = World(tar, index=[lambda i: i.update(manifests=i["manifests"] * 10000)])
    yield "an index of 10,000", wide
    other = World(tar, index=[lambda i: i.update(manifests=[{**World.describe(dump({"n": n}), INDEX)} for n in range(2000)])])
    yield "an index of 2,000 that are not there", other
    for text in ("s390x", "", 5, None, "amd64\n", "x" * 100000):
        yield f"an index for {str(text)[:20]!r}", World(tar, index=[change("manifests", 0, "platform", "architecture", to=text)])
    for number, schema in enumerate((1, 3, "2", None, -1)):
        yield f"schema {number}", World(tar, manifest=[change("schemaVersion", to=schema)])
    yield "a manifest of Docker's first schema", World(tar, raw_manifest=dump({"schemaVersion": 1, "name": "x", "fsLayers": [{"blobSum": digest(b"")}], "history": []}))
    for name, layer in (("not gzip", b"junk" * 1000), ("a bomb", gzip.compress(b"\0" * (500 << 20))), ("a bomb in a file", gzip.compress(
            make_tar([("zeros", b"")])[:512] + b"\0" * (300 << 20))), ("gzip cut", gzip.compress(tar)[:-9]), ("empty", b""), ("zstd without an end", b"\x28\xb5\x2f\xfd\x00\x58")):
        yield f"a layer that is {name}", World(tar, layer=layer)
    yield "a layer that is another tar", World(tar, layer=gzip.compress(make_tar([("bin/sh", b"evil")]), mtime=0))


class Lane:
    def __init__(self, part, number):
        self.ws = part.workspace(f"registries-{number}")
        self.liar = Liar()
        self.ws.defer(self.liar.stop)
        self.ws.write({"Dockerfile": f"FROM {self.liar.host}/x:t\nCOPY busybox /busybox\nRUN [\"/busybox\", \"cat\", \"/truth\"]\n"})
        shutil.copy("/bin/busybox", self.ws.context / "busybox")

    def clean(self, fresh):
        subprocess.run(["rm", "-rf", self.ws.state], check=True)
        copy(fresh, self.ws.state)
        del self.ws.transcript[:]


class Registries(Part):
    name = "registries"
    breaks = ("truth",)

    def run(self):
        self.tar = make_tar([("truth", b"the truth\n"), ("bin/x", b"x" * 5000)])
        main = self.workspace("registries-main")
        self.fresh = main.state.rename(main.dir / "prepared")
        self.lanes = [Lane(self, number) for number in range(2)]
        self.free, self.lock = list(self.lanes), threading.Lock()
        patient = threading.Thread(target=self.be_patient)
        patient.start()
        todo = [(name, way, world, None) for name, world in false_worlds(self.tar) for way in ("pull", "FROM")]
        todo += [(name, way, World(self.tar), lie) for name, lie in lies_of_transport(False) for way in ("pull", "FROM")]
        done = self.each([todo[number - 1] for number in spread(len(todo))], self.one)
        self.count(f"of {len(todo)} lies told", done)
        patient.join()

    def be_patient(self):
        """All at once: they only wait. Nothing else ends them, so that there has to be the time."""
        if self.deadline - time.monotonic() < PATIENCE / 2:
            return
        lies = [(name, way, lie) for name, lie in lies_of_transport(True) for way in ("pull", "FROM")]
        lanes = [Lane(self, 10 + number) for number in range(len(lies))]

        def told(number):
            name, way, lie = lies[number]
            lanes[number].clean(self.fresh)
            self.told(lanes[number], f"{name}, to {way}", way, World(self.tar), lie)
            self.count(f"of {len(lies)} slow lies told")

        with ThreadPoolExecutor(len(lies)) as pool:
            for future in [pool.submit(told, number) for number in range(len(lies))]:
                if error := future.exception():
                    self.fault(f"{type(error).__name__}: {error}")

    def one(self, item):
        name, way, world, lie = item
        with self.lock:
            lane = self.free.pop()
        try:
            lane.clean(self.fresh)
            self.told(lane, f"{name}, to {way}", way, world, lie)
        finally:
            with self.lock:
                self.free.append(lane)

    def ask(self, lane, way):
        return ["pull", f"{lane.liar.host}/x:t"] if way == "pull" else ["build", "--no-cache", lane.ws.context]

    def told(self, lane, about, way, world, lie):
        ws, liar = lane.ws, lane.liar
        liar.answers, liar.lie = world.answers(), lie
        result, memory = bounded(ws, ws.state, self.ask(lane, way), seconds=SECONDS, wait=PATIENCE)
        self.highest("MB at most", memory >> 20)
        self.highest("s at most", round(result.seconds))
        self.count("believed or seen through" if result.code == 0 else "refused")
        shown = result if len(result.stderr) < 3000 else result.stderr[:1000] + "\n[...]\n" + result.stderr[-2000:]
        if result.code not in (0, 1) or "terminate called" in result.stderr:
            self.fault(f"{about}: ended with {result.code} after {result.seconds:.0f} s", shown)
        elif result.code == 1 and not re.search(r"ERROR: \S", result.stderr):
            self.fault(f"{about}: no error is said", shown)
        elif len(result.stderr) > 100000:
            self.fault(f"{about}: says {len(result.stderr)} bytes", shown)
        if result.code == 0 and way == "FROM" and "the truth" not in result.stderr:
            self.fault(f"{about}: a build got another image", shown)
        if memory > MEMORY:
            self.fault(f"{about}: took {memory >> 20} MB", shown)
        self.verify_state(ws, ws.state, about)
        # The truth, under the same name.
        liar.answers, liar.lie = World(self.tar).answers(), None
        if self.broken == "truth":
            liar.answers = World(make_tar([("truth", b"a lie\n")])).answers()
        after = ws.lade("build", "--pull", "--no-cache", ws.context, code=None)
        if after.code != 0 or "the truth" not in after.stderr:
            self.fault(f"{about}: the truth does not come out afterwards", shown, after)
        time.sleep(0.05)
        ws.lade("prune", "-f")
        if left := ws.leftovers():
            self.fault(f"{about}: left behind {left}", shown)


PART = Registries
