"""Cache documents that are genuine but for one thing: every field of the document, the manifest and the index in turn, in a directory and in a
registry, then random changes until the time is over.

A build that reads one ends with 0 or with 1 and an error, in bounded time and memory. A build on the same machine that does not read it comes
out as it should, and takes no hit from it.
"""

import copy as copies
import json
import random
import re
import shutil
import subprocess
import threading
import time

from caches import STAGES, CacheDirectory, sha256
from common import Part, copy, spread
from part_registries import Liar
from part_tars import MEMORY, bounded

SECONDS = 30
VALUES = [None, True, -1, 0, 1, 3, 1 << 31, (1 << 63) - 1, 1 << 64, 1.5, "", "x", "../../../../tmp/x", "/etc/passwd", "sha256:" + "0" * 64, "sha256:",
          "x" * 100000, [], [0], {}, {"a": 1}, [[[[]]]]]


class Deleted:
    def __repr__(self):
        return "nothing"


class Twice:
    def __repr__(self):
        return "itself twice"


VALUES += [Deleted(), Twice()]


def paths(document, prefix=()):
    """Of every value in it."""
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        yield (*prefix, key)
        yield from paths(value, (*prefix, key))


def changed(document, path, value):
    out = copies.deepcopy(document)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    last = path[-1]
    if isinstance(value, Deleted):
        del inner[last]
    elif isinstance(value, Twice):
        if isinstance(inner, list):
            inner.append(inner[last])
        else:
            inner[last] = [inner[last], inner[last]]
    else:
        inner[last] = value
    return out


class Lane:
    def __init__(self, part, number):
        self.ws = part.workspace(f"caches-{number}")
        self.liar = Liar()
        self.ws.defer(self.liar.stop)
        self.ws.write({"Dockerfile": STAGES, "a.txt": "a\n"})

    def clean(self, part):
        subprocess.run(["rm", "-rf", self.ws.state, self.ws.out, self.ws.dir / "cache"], check=True)
        self.ws.out.mkdir()
        copy(part.fresh, self.ws.state)
        shutil.copytree(part.genuine.path, self.ws.dir / "cache")
        del self.ws.transcript[:]


class Caches(Part):
    name = "caches"
    breaks = ("victim",)

    def run(self):
        main = self.workspace("caches-main")
        main.write({"Dockerfile": STAGES, "a.txt": "a\n"})
        self.fresh = copy(main.state, main.dir / "prepared")
        main.lade("build", f"--cache-to=type=local,dest={main.dir}/genuine,mode=max", main.context)
        self.genuine = CacheDirectory(main.dir / "genuine")
        self.lanes = [Lane(self, number) for number in range(2)]
        self.free, self.lock = list(self.lanes), threading.Lock()
        self.expected = self.victim(self.lanes[0], "without a cache")
        todo = []
        for part in ("document", "manifest", "index"):
            for path in paths(getattr(self.genuine, part)):
                todo += [(part, path, value) for value in VALUES]
        with self.part_of_time(0.7):
            done = self.each([(*todo[number - 1], ("local", "registry")[number % 2]) for number in spread(len(todo))], self.field)
        self.count(f"of {len(todo)} changed fields", done)
        seed = 0
        while not self.over():
            self.count("random changes", self.each(range(seed, seed + 100), self.random))
            seed += 100

    def field(self, item):
        part, path, value, kind = item
        shown = str(value)[:30]

        def change(cache):
            setattr(cache, part, changed(getattr(cache, part), path, value))
            self.save(cache, part)

        self.in_lane(f"{part} {'/'.join(map(str, path))} is {shown!r} ({kind})", kind, change)

    @staticmethod
    def save(cache, part):
        """So that digests are right but for what is changed."""
        if part == "document":
            cache.save()
            return
        if part == "manifest":
            data = json.dumps(cache.manifest).encode()
            cache.index["manifests"][0].update(cache.put(data, cache.index["manifests"][0]["mediaType"]))
        (cache.path / "index.json").write_text(json.dumps(cache.index))

    def random(self, seed):
        rng = random.Random(seed)
        kind = rng.choice(["local", "registry"])

        def change(cache):
            files = sorted(path for path in cache.path.rglob("*") if path.is_file())
            config = cache.blob(cache.manifest["config"]["digest"])
            chosen = config if rng.random() < 0.6 else rng.choice(files)
            data = bytearray(chosen.read_bytes())
            for _ in range(rng.randint(1, 8)):
                at = rng.randrange(len(data))
                what = rng.randrange(4)
                if what == 0:
                    data[at] = rng.randrange(256)
                elif what == 1:
                    data[at:at] = data[at:at + rng.randint(1, 200)]
                elif what == 2 and len(data) > 50:
                    del data[at:at + rng.randint(1, 40)]
                else:
                    data[at:at + 1] = rng.choice([b"{", b"}", b"[", b"]", b",", b'"', b":", b"9" * 30, b"\\u0000", b"\xff", b"-", b"0", b"1"])
            chosen.write_bytes(data)
            if chosen == config and rng.random() < 0.8:
                kind_of = cache.manifest["config"]["mediaType"]
                cache.manifest["config"].update(cache.put(bytes(data), kind_of))
                self.save(cache, "manifest")

        self.in_lane(f"random change {seed} ({kind})", kind, change)

    def in_lane(self, about, kind, change):
        with self.lock:
            lane = self.free.pop()
        try:
            lane.clean(self)
            change(CacheDirectory(lane.ws.dir / "cache"))
            self.read(lane, about, kind)
        finally:
            with self.lock:
                self.free.append(lane)

    def serve(self, lane):
        """The directory as a registry: the tag is the manifest that its index names."""
        cache = lane.ws.dir / "cache"
        answers = {f"sha256:{path.name}": (path.read_bytes(), "application/octet-stream") for path in (cache / "blobs/sha256").iterdir()}
        try:
            named = json.loads((cache / "index.json").read_bytes())["manifests"][0]
            answers["t"] = (answers[named["digest"]][0], named["mediaType"])
            answers[sha256(answers["t"][0])] = answers["t"]
        except (ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError):
            answers["t"] = ((cache / "index.json").read_bytes(), "application/vnd.oci.image.index.v1+json")
        if not isinstance(answers["t"][1], str) or "\n" in answers["t"][1]:
            answers["t"] = (answers["t"][0], "application/vnd.oci.image.manifest.v1+json")
        lane.liar.answers = answers

    def read(self, lane, about, kind):
        ws = lane.ws
        if kind == "registry":
            self.serve(lane)
        source = f"type=local,src={ws.dir}/cache" if kind == "local" else f"type=registry,ref={lane.liar.host}/x:t"
        result, memory = bounded(ws, ws.state, ["build", "-o", f"type=oci,dest={ws.out}/reader.tar", f"--cache-from={source}", ws.context], seconds=SECONDS)
        self.highest("MB at most", memory >> 20)
        self.count("readers with hits" if result.code == 0 and len(result.ran) < len(self.expected[1]) else "readers without")
        shown = result if len(result.stderr) < 4000 else result.stderr[:2000] + "\n[...]\n" + result.stderr[-2000:]
        if result.code not in (0, 1) or "terminate called" in result.stderr:
            self.fault(f"{about}: ended with {result.code} after {result.seconds:.0f} s", shown)
        elif result.code == 1 and not re.search(r"ERROR: \S", result.stderr):
            self.fault(f"{about}: no error is said", shown)
        if memory > MEMORY:
            self.fault(f"{about}: took {memory >> 20} MB", shown)
        victim, ran = self.victim(lane, about, reading=source if self.broken == "victim" else None)
        if victim != self.expected[0]:
            self.fault(f"{about}: a build that does not read it came out as {victim}, not {self.expected[0]}", shown)
        # What the reader ran itself is a hit for everybody.
        if taken := set(self.expected[1]) - set(result.ran) - set(ran):
            self.fault(f"{about}: a build that does not read it took hits from it: {sorted(taken)}", shown)
        self.verify_state(ws, ws.state, about)
        time.sleep(0.05)
        ws.lade("prune", "-f")
        if left := ws.leftovers():
            self.fault(f"{about}: left behind {left}", shown)

    def victim(self, lane, about, reading=None):
        """What comes out of a build without the cache: its digest, and the steps that ran."""
        ws = lane.ws
        result = ws.lade("build", "--build-arg=SOURCE_DATE_EPOCH=1700000000", "-o", f"type=oci,dest={ws.out}/x.tar,rewrite-timestamp=true",
                         *([f"--cache-from={reading}"] if reading else []), ws.context, code=None)
        if result.code != 0:
            self.fault(f"{about}: a build that does not read it fails", result)
        return result.digest, sorted(result.ran)


PART = Caches
