"""A daemon under floods and malformed bytes: what is no HTTP/2, frames that HTTP/2 forbids, gRPC messages that are none, sessions that speak
nonsense, thousands of connections, half-open ones, clients that do not read.

After each it answers; in the end it still builds, and its memory, threads and descriptors are bounded. The client is made by hand, since
no library would send most of this.
"""

import contextlib
import hashlib
import pathlib
import random
import re
import socket
import struct
import time
import uuid

from common import Part, Stopped
from part_tars import Blobs
from support import busybox_tar
from test_daemon import Daemon

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
MEMORY = 1000 << 20
THREADS = 1200  # the daemon's bound of calls under way, and what it has besides
PATIENCE = 30
METHODS = ([f"moby.buildkit.v1.Control/{name}" for name in ("DiskUsage", "Prune", "Solve", "Status", "Session", "ListWorkers", "Info", "ListenBuildHistory",
                                                          "UpdateBuildHistory")] +
           [f"moby.buildkit.v1.frontend.LLBBridge/{name}" for name in ("ResolveImageConfig", "ResolveSourceMeta", "Solve", "ReadFile", "ReadDir", "StatFile",
                                                                      "Evaluate", "Ping", "Return", "Inputs", "NewContainer", "ReleaseContainer", "ExecProcess", "Warn")] +
           [f"containerd.services.content.v1.Content/{name}" for name in ("Info", "Update", "List", "Delete", "Read", "Status", "ListStatuses", "Write", "Abort")] +
           ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "opentelemetry.proto.collector.trace.v1.TraceService/Export", "no.such/Method"])


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """HPACK's."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytes([first | limit]), value - limit
    while value >= 128:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def field(name, value):
    """A literal that is not indexed."""
    name, value = name.encode(), value if isinstance(value, bytes) else value.encode()
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def request(method, stream=1, end=False, extra=()):
    block = b"".join(field(*one) for one in ((":method", "POST"), (":scheme", "http"), (":path", "/" + method), (":authority", "x"),
                                             ("content-type", "application/grpc"), ("te", "trailers"), *extra))
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def grpc(data=b"", compressed=0, length=None):
    return struct.pack(">BI", compressed, len(data) if length is None else length) + data


# Protocol buffers.
def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value >= 128:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def pb(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class Client:
    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def send(self, *parts):
        """Until the other side hangs up."""
        with contextlib.suppress(OSError):
            self.socket.sendall(b"".join(parts))

    def begin(self):
        self.send(PREFACE, frame(SETTINGS, payload=struct.pack(">HI", 4, (1 << 31) - 1)), frame(WINDOW, payload=struct.pack(">I", 1 << 30)))
        return self

    def call(self, method, message, timeout=120):
        """Of a call on its own connection: the first answer, or None if it failed."""
        self.begin().send(request(method), frame(DATA, END_STREAM, 1, grpc(message)))
        got, answer, deadline = b"", b"", time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                more = self.socket.recv(65536)
            except OSError:
                return None
            if not more:
                return None
            got += more
            while len(got) >= 9 and len(got) >= 9 + int.from_bytes(got[:3], "big"):
                size, kind, flags = int.from_bytes(got[:3], "big"), got[3], got[4]
                stream, payload, got = int.from_bytes(got[5:9], "big"), got[9:9 + size], got[9 + size:]
                if kind == SETTINGS and not flags & ACK:
                    self.send(frame(SETTINGS, ACK))
                elif kind == PING and not flags & ACK:
                    self.send(frame(PING, ACK, payload=payload))
                elif kind == DATA and stream == 1:
                    answer += payload
                elif kind == HEADERS and stream == 1 and flags & END_STREAM:
                    return answer[5:] if len(answer) >= 5 else None
                elif kind == RST or kind == GOAWAY:
                    return None
        return None

    def drain(self, seconds=0.5):
        with contextlib.suppress(OSError):
            self.socket.settimeout(seconds)
            while self.socket.recv(1 << 16):
                pass

    def close(self):
        self.socket.close()


def build_of(image, command):
    """The bytes of a SolveRequest: the command run on the image."""
    source = pb(3, pb(1, f"docker-image://{image}"))
    digest = "sha256:" + hashlib.sha256(source).hexdigest()
    args = b"".join(pb(1, arg) for arg in ("/bin/busybox", "sh", "-c", command))
    mount = pb(1, 0) + pb(3, "/") + pb(4, 0)
    step = pb(1, pb(1, digest) + pb(2, 0)) + pb(2, pb(1, args + pb(3, "/")) + pb(2, mount))
    last = pb(1, pb(1, "sha256:" + hashlib.sha256(step).hexdigest()) + pb(2, 0))
    return pb(1, uuid.uuid4().hex) + pb(2, b"".join(pb(1, op) for op in (source, step, last)))


class DaemonPart(Part):
    name = "daemon"
    breaks = ("build",)

    def run(self):
        self.ws = self.workspace("daemon")
        self.blobs = Blobs()
        self.ws.defer(self.blobs.stop)
        self.blobs.put("t", busybox_tar().read_bytes())
        self.image = f"{self.blobs.host}/x:t"
        self.daemon = Daemon(self.ws)
        self.pid = self.daemon.process.pid
        self.builds("before")
        idle = self.numbers()
        seed = 0
        attacks = list(self.attacks())
        while True:
            for name, attack in attacks:
                self.count("attacks")
                connections = []
                try:
                    attack(random.Random(seed), connections)
                finally:
                    self.measure(name)
                    for client in connections:
                        client.close()
                self.answers(name)
                seed += 1
                if self.over() and seed >= len(attacks):
                    break
            if self.over():
                break
        self.builds("after")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            now = self.numbers()
            if now["threads"] <= idle["threads"] + 20 and now["descriptors"] <= idle["descriptors"] + 20:
                break
            time.sleep(0.5)
        else:
            self.fault(f"what floods took is not given back: {now}, before them {idle}")
        if self.figures["MB at most"] << 20 > MEMORY:
            self.fault(f"it took {self.figures['MB at most']} MB")
        if self.figures["threads at most"] > THREADS:
            self.fault(f"it had {self.figures['threads at most']} threads")
        if code := self.daemon.stop():
            self.fault(f"the daemon ended with {code}", self.log())

    def log(self):
        return pathlib.Path(self.daemon.log.name).read_text(errors="replace")[-5000:]

    def numbers(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return {"threads": int(re.search(r"Threads:\s+(\d+)", status)[1]), "memory": int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10,
                "descriptors": len(list(pathlib.Path(f"/proc/{self.pid}/fd").iterdir()))}

    def measure(self, about):
        if self.daemon.process.poll() is not None:
            return
        now = self.numbers()
        if now["memory"] >> 20 > self.figures.get("MB at most", 0) + 50:
            print(f"daemon: {now['memory'] >> 20} MB, {now['threads']} threads after {about}", flush=True)
        self.highest("MB at most", now["memory"] >> 20)
        self.highest("threads at most", now["threads"])
        self.highest("descriptors at most", now["descriptors"])

    def answers(self, about):
        if self.daemon.process.poll() is not None:
            self.fault(f"{about}: the daemon ended with {self.daemon.process.returncode}", self.log())
            raise Stopped("there is no daemon any more")
        # What a flood occupies is given back soon; until then others may be turned away.
        started = time.monotonic()
        while True:
            client = self.connect()
            answer = client.call("moby.buildkit.v1.Control/ListWorkers", b"", 60)
            client.close()
            waited = time.monotonic() - started
            if answer is not None:
                self.highest("s at most until it answered", round(waited))
                return
            if waited > PATIENCE:
                self.fault(f"{about}: it does not answer any more")
                return
            time.sleep(0.2)

    def connect(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return Client(self.daemon.socket)
            except OSError:  # its backlog is full
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def builds(self, when):
        command = f"test -x /bin/busybox # {uuid.uuid4()}"
        for line, works in ((command, True), ("exit 3", False)):
            client = self.connect()
            got = client.call("moby.buildkit.v1.Control/Solve", build_of(self.image, line if self.broken != "build" or when == "before" else "exit 4"), 180)
            client.close()
            if (got is not None) != works:
                self.fault(f"{when} the floods a build of {line!r} {'failed' if works else 'did not fail'}", self.log())
        self.count("builds", 2)

    # ------------------------------------------------------------------------------------- attacks

    def open(self, connections, begin=True):
        client = self.connect()
        connections.append(client)
        return client.begin() if begin else client

    def attacks(self):
        """(name, attack(rng, connections))."""
        def of_bytes(make, number=20, begin=True):
            def attack(rng, connections):
                for _ in range(number):
                    client = self.open(connections, begin)
                    client.socket.settimeout(5)
                    client.send(make(rng))
                    client.drain(0.02)
            return attack

        yield "no HTTP/2", of_bytes(lambda rng: rng.randbytes(rng.randint(1, 5000)), begin=False)
        yield "HTTP/1", of_bytes(lambda rng: b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10000 + b"\r\n", begin=False)
        yield "half a preface", of_bytes(lambda rng: PREFACE[:rng.randint(1, 23)], begin=False)
        yield "frames at random", of_bytes(lambda rng: b"".join(
            frame(rng.randrange(12), rng.randrange(256), rng.choice([0, 1, 3, 2, 1 << 31, rng.randrange(1 << 32)]), rng.randbytes(rng.randint(0, 60)))
            for _ in range(200)), 50)
        yield "frames of 16 MB", of_bytes(lambda rng: frame(rng.randrange(10), 0, 1, b"x" * 1000, length=(1 << 24) - 1))
        yield "settings at random", of_bytes(lambda rng: frame(SETTINGS, payload=b"".join(
            struct.pack(">HI", rng.randrange(8), rng.choice([0, 1, (1 << 32) - 1, rng.randrange(1 << 32)])) for _ in range(100))) * 20)
        yield "a flood of settings", of_bytes(lambda rng: frame(SETTINGS, payload=struct.pack(">HI", 1, 4096)) * 20000, 3)
        yield "a flood of pings", of_bytes(lambda rng: frame(PING, payload=b"12345678") * 50000, 3)
        yield "a flood of resets", of_bytes(lambda rng: b"".join(request(METHODS[5], n) + frame(RST, 0, n, b"\0\0\0\x08") for n in range(1, 20001, 2)), 3)
        yield "a flood of empty data", of_bytes(lambda rng: request(METHODS[2]) + frame(DATA, 0, 1) * 50000, 3)
        yield "a flood of priorities", of_bytes(lambda rng: b"".join(frame(PRIORITY, 0, n, b"\0\0\0\0\x10") for n in range(1, 60001, 2)), 3)
        yield "headers without an end", of_bytes(lambda rng: frame(HEADERS, 0, 1, field("a", "b" * 10000)) + frame(CONTINUATION, 0, 1, field("c", "d" * 16000)) * 300, 3)
        yield "empty continuations", of_bytes(lambda rng: frame(HEADERS, 0, 1, field("a", "b")) + frame(CONTINUATION, 0, 1) * 50000, 3)
        # One entry of 4 KB in the dynamic table, and 16,000 references to it in each block.
        yield "an HPACK bomb", of_bytes(lambda rng: frame(HEADERS, END_HEADERS, 1, b"\x40\x01a" + integer(4000, 7) + b"b" * 4000 + b"\xbe" * 12000), 10)
        yield "HPACK at random", of_bytes(lambda rng: frame(HEADERS, END_HEADERS, 1, rng.randbytes(300)), 50)
        yield "huge integers of HPACK", of_bytes(lambda rng: frame(HEADERS, END_HEADERS, 1, b"\0\x7f" + b"\xff" * 500 + b"\x01"))
        yield "windows that overflow", of_bytes(lambda rng: frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 3 + frame(WINDOW, 0, 1, b"\0\0\0\0"))
        yield "data on stream 0, and on none", of_bytes(lambda rng: frame(DATA, 0, 0, b"x") + frame(DATA, 0, 7, b"x") + frame(HEADERS, 4, 2, b""))
        yield "padding longer than the frame", of_bytes(lambda rng: request(METHODS[0]) + frame(DATA, PADDED, 1, b"\xff" + b"x" * 10))
        yield "every method with junk", self.every_method
        yield "messages of 4 GB", of_bytes(lambda rng: request(rng.choice(METHODS)) + frame(DATA, 0, 1, grpc(b"x" * 1000, length=(1 << 32) - 1)))
        yield "messages that say they are compressed", of_bytes(lambda rng: request(rng.choice(METHODS)) + frame(DATA, END_STREAM, 1, grpc(b"x" * 100, 1)))
        yield "a message in pieces of a byte", of_bytes(lambda rng: request(METHODS[2]) + b"".join(
            frame(DATA, 0, 1, bytes([byte])) for byte in grpc(build_of("x", "y"))), 5)
        yield "graphs at random", of_bytes(lambda rng: request(METHODS[2]) + frame(DATA, END_STREAM, 1, grpc(self.mutated_build(rng))), 50)
        yield "graphs that are deep", of_bytes(lambda rng: self.deep_message(rng), 5)
        yield "10,000 streams that do not end", of_bytes(lambda rng: b"".join(request(METHODS[rng.choice([2, 3, 4])], n) for n in range(1, 20001, 2)), 2)
        yield "sessions of junk", self.sessions
        yield "1,500 connections that say nothing", self.silent(1500, b"")
        yield "1,000 connections after the preface", self.silent(1000, PREFACE + frame(SETTINGS))
        yield "500 connections with half a call", self.silent(500, PREFACE + frame(SETTINGS) + request(METHODS[2]))
        yield "3,000 connections that go at once", self.hasty
        yield "clients that do not read", of_bytes(lambda rng: b"".join(request(METHODS[5], n) + frame(DATA, END_STREAM, n, grpc()) for n in range(1, 4001, 2)) +
                                                   frame(PING, payload=b"12345678") * 20000, 10)
        yield "windows of nothing", self.no_window

    def every_method(self, rng, connections):
        for method in METHODS:
            client = self.open(connections)
            client.socket.settimeout(5)
            for number in range(6):
                body = [rng.randbytes(rng.randint(0, 300)), b"", pb(1, "x" * 100000), pb(1, pb(1, pb(1, rng.randbytes(50)))), pb(3, b"\xff" * 30), varint(7) * 50][number]
                client.send(request(method, 2 * number + 1), frame(DATA, END_STREAM, 2 * number + 1, grpc(body[:16000])))
            client.drain(0.05)

    def mutated_build(self, rng):
        data = bytearray(build_of(self.image, "true"))
        for _ in range(rng.randint(1, 10)):
            at = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            elif rng.random() < 0.5:
                data[at:at] = data[at:at + 50]
            else:
                del data[at:at + rng.randint(1, 5)]
        return bytes(data)[:16000]

    @staticmethod
    def deep_message(rng):
        data = b""
        while len(data) < 200000:
            data = pb(rng.choice([1, 2, 3]), data)
            if len(data) > 100 and rng.random() < 0.0001:
                break
        pieces = [grpc(data)[at:at + 16000] for at in range(0, len(data) + 5, 16000)]
        return request(METHODS[2]) + b"".join(frame(DATA, 0, 1, piece) for piece in pieces) + frame(DATA, END_STREAM, 1)

    def sessions(self, rng, connections):
        """What the daemon, as a client, gets back through the stream of a session."""
        for number in range(30):
            client = self.open(connections)
            client.socket.settimeout(5)
            client.send(request("moby.buildkit.v1.Control/Session", 1, extra=(
                ("x-docker-expose-session-uuid", uuid.uuid4().hex), ("x-docker-expose-session-name", "n"), ("x-docker-expose-session-sharedkey", "k"),
                *((("x-docker-expose-session-grpc-method", f"/moby.filesync.v1.FileSync/{name}")) for name in ("DiffCopy", "TarStream")))))
            inner = [rng.randbytes(500), PREFACE, frame(SETTINGS) + rng.randbytes(500), b"".join(
                frame(rng.randrange(10), rng.randrange(256), rng.choice([0, 1, 2, 3]), rng.randbytes(rng.randint(0, 50))) for _ in range(50)),
                frame(SETTINGS) * 3000, frame(PING, payload=b"12345678") * 3000][number % 6]
            client.send(*(frame(DATA, 0, 1, grpc(pb(1, inner[at:at + 10000]))) for at in range(0, len(inner), 10000)))
            client.drain(0.05)

    def silent(self, number, data):
        def attack(_, connections):
            for _ in range(number):
                try:
                    client = Client(self.daemon.socket, 5)
                except OSError:
                    time.sleep(0.01)
                    continue
                client.send(data)
                connections.append(client)
            self.count("connections", len(connections))
            # While they are there, others are served.
            self.answers(f"beside {number} connections")
        return attack

    def hasty(self, _, connections):
        for _ in range(3000):
            with contextlib.suppress(OSError):
                client = Client(self.daemon.socket, 5)
                client.close()
        self.count("connections", 3000)

    def no_window(self, _, connections):
        for _ in range(50):
            client = self.open(connections, False)
            client.socket.settimeout(5)
            client.send(PREFACE, frame(SETTINGS, payload=struct.pack(">HI", 4, 0)),
                        *(request(METHODS[5], n) + frame(DATA, END_STREAM, n, grpc()) for n in range(1, 101, 2)))
        time.sleep(1)


PART = DaemonPart
