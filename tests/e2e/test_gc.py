"""Garbage collection: what goes, what stays, and that kills at any moment leave a whole state directory."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import tarfile
import time
import unittest

import support
from support import LadeTest
from test_kills import CALLS

STEPS = """FROM busybox
COPY number /number
RUN head -c 2000000 /dev/urandom > /blob && cat /number
RUN --mount=type=cache,target=/cache date >> /cache/log && echo done > /done
"""


class Collection(LadeTest):
    def build_number(self, number, *args, **kwargs):
        return self.build(STEPS, *args, files={"number": f"{number}\n"}, **kwargs)

    def du(self, *args):
        return [json.loads(line) for line in self.ws.lade("du", "--format", "json", *args).stdout.splitlines()]

    def sizes(self):
        return {row["Type"]: int(row["Bytes"]) for row in self.du()}

    def prune(self, *args):
        return self.ws.lade("prune", "-f", *args)

    def verify(self):
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify").stdout)

    def real_bytes(self):
        return int(self.ws.run("du", "-s", "--block-size=1", self.ws.state).split()[0])

    def age_layers(self, days):
        """Makes everything look unused for so long."""
        with sqlite3.connect(self.ws.state / "lade.db") as database:
            database.execute("INSERT OR REPLACE INTO layer_use SELECT id, unixepoch() - ? FROM layers",
                             (days * 86400,))

    def test_du_says_what_takes_how_much(self):
        self.build_number(1, "-t", "app")
        sizes = self.sizes()
        self.assertGreater(sizes["layer"], 2_000_000)
        self.assertGreater(sizes["image"], 2_000_000)
        self.assertGreater(sizes["cache-mount"], 0)
        self.assertAlmostEqual(sizes["total"], self.real_bytes(), delta=400_000)
        rows = self.du("-v")
        self.assertTrue(any("head -c 2000000" in row["Description"] for row in rows))
        self.assertIn("RECLAIMABLE", self.ws.lade("du").stdout)

    def promised(self):
        """What `lade prune` frees, and what `lade prune -a`: in bytes, and as the summary's last line has it."""
        total = next(row for row in self.du() if row["Type"] == "total")
        line = re.fullmatch(r"lade prune frees (\S+), lade prune -a (\S+)", self.ws.lade("du").stdout.splitlines()[-1])
        return int(total["UnneededBytes"]), int(total["ReclaimableBytes"]), *line.groups()

    def make_everything(self):
        """Named, untagged and re-tagged images, unneeded layers, cache mounts, what killed processes left."""
        self.build_number(1, "-t", "app")
        self.build_number(1, "--no-cache", "-t", "app")
        self.build_number(2, "-t", "old")
        self.load_unnamed("unnamed")
        self.build_number(3)  # an untagged image, made of the cache's layers
        self.ws.lade("rmi", "old")
        (self.ws.state / "layers/zzzz").mkdir()
        (self.ws.state / "layers/zzzz/file").write_text("x" * 10_000)

    def test_du_promises_what_prune_takes(self):
        self.make_everything()
        unneeded, _, shown, _ = self.promised()
        self.assertGreater(unneeded, 2_000_000)
        self.assertEqual(self.ws.lade("prune", "--dry-run").stdout.splitlines()[-1], f"Would reclaim: {shown}")
        before = self.real_bytes()
        self.assertEqual(self.prune().stdout.splitlines()[-1], f"Total reclaimed space: {shown}")
        self.assertAlmostEqual(before - self.real_bytes(), unneeded, delta=100_000)
        unneeded, reclaimable, _, shown = self.promised()
        self.assertEqual(unneeded, 0)
        self.assertGreater(reclaimable, 4_000_000)
        before = self.real_bytes()
        self.assertEqual(self.prune("-a").stdout.splitlines()[-1], f"Total reclaimed space: {shown}")
        self.assertAlmostEqual(before - self.real_bytes(), reclaimable, delta=100_000)
        self.assertEqual(self.promised()[:2], (0, 0))
        self.verify()

    def test_a_dry_run_says_what_goes_and_removes_nothing(self):
        self.make_everything()
        for options in ((), ("-a",), ("-a", "--filter", "type=cache-mount"), ("--keep-storage", "3m"), ("--filter", "until=24h"),
                        ("--filter", "label=stage=unnamed")):
            with self.subTest(options):
                state = self.ws.dir / "copy"
                subprocess.run(["cp", "-a", self.ws.state, state], check=True)
                said = self.ws.lade("prune", "--dry-run", *options, state=state).stdout.splitlines()
                again = self.ws.lade("prune", "--dry-run", *options, state=state).stdout.splitlines()
                self.assertEqual(said, again)
                done = self.ws.lade("prune", "-f", *options, state=state).stdout.splitlines()
                self.assertEqual(sorted(said[:-1]), sorted(done[:-1]))
                self.assertEqual(said[-1].split()[-1], done[-1].split()[-1])
                subprocess.run(["rm", "-rf", state], check=True)

    def test_du_counts_images(self):
        self.build_number(1, "-t", "app", "-t", "other")
        self.build_number(2, "-t", "two")
        self.load_unnamed("test")
        rows = {row["Type"]: row for row in self.du()}
        self.assertEqual(rows["image"]["TotalCount"], "4")  # busybox, app, two, <none>
        images = [row for row in self.du("-v") if row["Type"] == "image"]
        self.assertEqual(sorted(row["Description"] for row in images),
                         ["<none>", "docker.io/library/app:latest, docker.io/library/other:latest",
                          "docker.io/library/busybox:latest", "docker.io/library/two:latest"])
        self.assertEqual(sum(int(row["Bytes"]) for row in images), int(rows["image"]["Bytes"]))

    def test_the_size_of_an_image_is_the_same_after_a_prune(self):
        self.build_number(1, "-t", "app")
        shown = ("images", "--format", "{{.Repository}} {{.Size}}")
        before = self.ws.lade(*shown).stdout
        self.prune("-a")
        self.assertNotIn("layer", self.sizes())
        self.assertEqual(self.ws.lade(*shown).stdout, before)
        self.assertEqual(self.ws.lade("run", "app", "cat", "/number").stdout, "1\n")
        self.assertEqual(self.ws.lade(*shown).stdout, before)

    @contextlib.contextmanager
    def small_disk(self, size):
        """The state directory on a filesystem of its own."""
        state = self.ws.dir / "small"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", state], check=True)
        try:
            subprocess.run(["cp", "-a", f"{self.ws.state}/.", state], check=True)
            yield state
        finally:
            subprocess.run(["umount", "-l", state], check=True)

    def disk_share(self, state):
        info = os.statvfs(state)
        return 1 - info.f_bfree / info.f_blocks

    def test_build_cache_keeps_to_a_share_of_the_disk(self):
        with self.small_disk("40m") as state:
            self.build_number("named", "-t", "named", state=state)
            acted = []
            for number in range(24):
                result = self.build_number(number, state=state)
                if found := re.search(r"keep build cache within (\S+)\n#\d+ it took (\S+): (\S+) that were not used for longest", result.stderr):
                    acted.append(found)
                self.assertLess(self.disk_share(state), 0.86, number)
                self.assertEqual(self.build_number(number, state=state).ran, [], "a build's own result stays")
            self.assertGreater(len(acted), 1)
            self.assertEqual(self.ws.lade("run", "named", "cat", "/number", state=state).stdout, "named\n")
            self.assertIn("used least recently", self.ws.lade("du", "--why", state=state).stdout)
            self.assertIn(" 0 damaged", self.ws.lade("du", "--verify", state=state).stdout)

    def test_the_share_can_be_chosen_or_none(self):
        with self.small_disk("40m") as state:
            for number in range(8):
                self.build_number(number, "--keep-storage", "20%", state=state)
            self.assertLess(self.disk_share(state), 0.36)  # base image and what the last build used beside it
            for number in range(8, 16):
                self.build_number(number, env={"LADE_KEEP_STORAGE": "6m"}, state=state)
            self.assertLess(self.disk_share(state), 0.36)
            full = self.ws.lade("du", "--format", "json", state=state).stdout
            for number in range(20, 36):
                result = self.build_number(number, env={"LADE_KEEP_STORAGE": "off"}, state=state, code=None)
                self.assertNotIn("keep build cache", result.stderr)
            self.assertGreater(self.disk_share(state), 0.88, full)
            for bad in ("0%", "101%", "x"):
                self.assert_fails(self.build_number(1, "--keep-storage", bad, code=None), "--keep-storage", code=2)
            self.prune("--keep-storage", "50%")
            self.assertEqual(self.build_number(99, "--keep-storage", "1%", "-q").stderr, "")

    def test_a_cap_below_what_images_need_says_so(self):
        self.build_number(1, "-t", "app")
        result = self.build_number(2, "-t", "two", "--max-storage", "2m")
        self.assertRegex(result.stderr, r"WARNING: the state directory takes \S+, more than the 2.1MB of --max-storage: "
                                        r"its images need \S+ \(lade rmi removes them\)")
        result = self.prune("--max-storage", "2m")
        self.assertIn("of --max-storage: its images need", result.stderr)
        self.assertEqual(self.ws.lade("run", "app", "cat", "/number").stdout, "1\n")
        self.assertNotIn("WARNING", self.build_number(3, "--max-storage", "1g").stderr)

    def test_without_all_only_what_nothing_needs_goes(self):
        self.build_number(1, "-t", "app")
        self.build_number(1, "--no-cache", "-t", "app")
        self.prune()
        self.verify()
        self.assertEqual(self.build_number(1).ran, [], "the cache is still there")
        self.assertEqual(self.ws.lade("run", "app", "cat", "/number").stdout, "1\n")

    def test_all_takes_the_cache_and_leaves_images(self):
        self.build_number(1, "-t", "app")
        result = self.prune("-a")
        self.assertIn("Total reclaimed space: ", result.stdout)
        self.verify()
        sizes = self.sizes()
        self.assertNotIn("layer", sizes)
        self.assertNotIn("blob", sizes)
        self.assertNotIn("cache-mount", sizes)
        self.assertEqual(self.ws.lade("run", "app", "cat", "/number").stdout, "1\n")
        self.assertEqual(len(self.build_number(1).ran), 3, "the cache is gone")
        self.verify()

    def test_all_takes_a_base_below_what_was_used_later_without_it(self):
        self.build("FROM busybox\nCOPY --link a /\n", files={"a": "1", "b": "2"})
        self.build("FROM scratch\nCOPY --link a /\nCOPY --link b /\n")
        with sqlite3.connect(self.ws.state / "lade.db") as database:
            database.execute("INSERT OR REPLACE INTO layer_use SELECT id, unixepoch() - 1000 FROM layers")
            database.execute("UPDATE layer_use SET last_used = unixepoch() WHERE layer = (SELECT max(id) FROM layers)")
        self.prune("-a")
        sizes = self.sizes()
        self.assertNotIn("layer", sizes)
        self.assertNotIn("blob", sizes)

    def test_removed_images_free_their_room(self):
        self.build_number(1, "-t", "app")
        self.ws.lade("rmi", "app")
        self.prune("-a")
        self.verify()
        self.assertLess(self.real_bytes(), 2_500_000)
        self.assertEqual(self.ws.lade("run", "busybox", "echo", "fine").stdout, "fine\n")

    def test_least_recently_used_goes_first(self):
        self.build_number(1)
        self.age_layers(2)
        self.build_number(2)
        keep = self.sizes()["layer"] - 1_000_000
        result = self.prune("--keep-storage", str(keep), "-v")
        self.assertIn("used least recently", result.stdout)
        self.verify()
        self.assertEqual(self.build_number(2).ran, [])
        self.assertIn("[3/4] RUN head -c 2000000 /dev/urandom > /blob && cat /number", self.build_number(1).ran)

    def test_a_hit_counts_as_use(self):
        self.build_number(1)
        self.build_number(2)
        self.age_layers(2)
        self.assertEqual(self.build_number(1).ran, [])
        self.prune("--filter", "until=24h")
        self.assertEqual(self.build_number(1).ran, [])
        self.assertEqual(len(self.build_number(2).ran), 3)

    def test_a_full_disk_can_be_pruned(self):
        state = self.ws.dir / "small"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", state], check=True)
        try:
            subprocess.run(["cp", "-a", f"{self.ws.state}/.", state], check=True)
            for number in range(3):
                self.build_number(number, state=state)
            filler = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=4k\n"  # until there is no room left
            self.assert_fails(self.build(filler, state=state, code=None), "No space left")
            with open(state / "fill", "wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            self.ws.lade("prune", "-af", state=state)
            (state / "fill").unlink()
            self.assertEqual(len(self.build_number(0, state=state).ran), 3)
        finally:
            subprocess.run(["umount", "-l", state], check=True)

    def test_what_cannot_be_removed_is_reported_and_keeps_nothing_else(self):
        self.build_number(1)
        before = self.sizes()["layer"]
        top = max((path for path in (self.ws.state / "layers").iterdir() if path.name not in ("0", "00")),
                  key=lambda path: path.stat().st_mtime)
        inside = top / "mounted"
        inside.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inside], check=True)
        try:
            result = self.ws.lade("prune", "-af", code=1)
            self.assertIn("ERROR: ", result.stderr)
            self.assertLess(self.sizes().get("layer", 0), before / 2)
        finally:
            # The layer was moved to tmp/ before it could not be removed.
            for place in (inside, *(self.ws.state / "tmp").glob("*/mounted")):
                if os.path.ismount(place):
                    subprocess.run(["umount", "-l", place], check=True)
        self.prune("-a")
        self.verify()

    def test_trees_deeper_than_descriptors_are_measured_and_removed(self):
        archive = self.ws.dir / "deep.tar"
        with tarfile.open(archive, "w") as tar:
            for depth in range(1, 1501):
                member = tarfile.TarInfo("/".join(["d"] * depth))
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
        self.ws.lade("import", archive, "deep")
        self.build("FROM deep\nCOPY --from=deep / /again\n")
        self.assertGreater(self.sizes()["layer"], 0)
        self.ws.lade("rmi", "deep")
        self.prune("-a")
        self.verify()
        self.assertNotIn("layer", self.sizes())

    def test_types_are_removed_by_themselves(self):
        self.build_number(1)
        self.prune("-a", "--filter", "type=cache-mount")
        self.assertNotIn("cache-mount", self.sizes())
        self.assertEqual(self.build_number(1).ran, [])
        self.assert_fails(self.ws.lade("prune", "-f", "--filter", "type=x", code=None), "no type 'x'", code=2)

    def load_unnamed(self, label):
        self.build(f"FROM scratch\nCOPY number /{label}\nLABEL stage={label}\n", "-o", f"type=oci,dest={self.ws.out}/x.tar",
                   files={"number": "1\n"})
        self.ws.lade("load", "-i", self.ws.out / "x.tar")

    def unnamed_labels(self):
        ids = self.ws.lade("images", "-q", "--filter", "dangling=true").stdout.split()
        return sorted(json.loads(self.ws.lade("inspect", "-f", "{{json .Config.Labels}}", name).stdout)["stage"] for name in ids)

    def test_images_without_a_name_are_chosen_by_label(self):
        for label in ("test", "release", "other"):
            self.load_unnamed(label)
        self.assertEqual(self.unnamed_labels(), ["other", "release", "test"])
        self.prune("-a", "--filter", "label=stage=test")
        self.assertEqual(self.unnamed_labels(), ["other", "release"])
        self.assertEqual(self.build(None).ran, [], "cache has no labels")
        self.prune("--filter", "label!=stage=other")
        self.assertEqual(self.unnamed_labels(), ["other"])
        self.prune("--filter", "label!=stage")
        self.assertEqual(self.unnamed_labels(), ["other"])
        self.prune("--filter", "label=stage")
        self.assertEqual(self.unnamed_labels(), [])

    def test_cache_is_chosen_by_id_and_description(self):
        self.build_number(1)
        rows = [row for row in self.du("-v") if "echo done" in row["Description"]]
        self.assertEqual(len(rows), 1, rows)
        self.prune("-a", "--filter", "description=echo done", "--filter", "type=layer")
        self.assertEqual([name.partition("] ")[2][:29] for name in self.build_number(1).ran],
                         ["RUN --mount=type=cache,target"])
        row = next(row for row in self.du("-v") if "echo done" in row["Description"])
        self.prune("-a", "--filter", "id=no-such", "--filter", "type=layer")
        self.assertEqual(self.build_number(1).ran, [])
        self.prune("-a", "--filter", f"id={row['ID']}", "--filter", "type=layer")
        self.assertEqual(len(self.build_number(1).ran), 1)

    def test_until_may_be_a_time(self):
        self.build_number(1)
        self.prune("--filter", "until=2020-01-31")
        self.prune("--filter", "until=2020-01-31T08:00:00+01:00")
        self.prune("--filter", "until=1600000000")
        self.assertEqual(self.build_number(1).ran, [])
        self.prune("--filter", "until=2100-01-01")
        self.assertEqual(len(self.build_number(1).ran), 3)
        for bad, text in (("until=soon", "soon"), ("label", "not of the form"), ("color=red", "there are: until, type, id")):
            self.assert_fails(self.ws.lade("prune", "-f", "--filter", bad, code=None), text, code=2)

    def test_a_cap_on_real_bytes_holds_after_each_build(self):
        cap = 12_000_000  # room for four or five of them
        for number in range(6):
            self.build_number(number, "--max-storage", str(cap))
            self.assertLess(self.real_bytes(), cap + 100_000, number)
            self.assertEqual(self.build_number(number).ran, [], "a build's own result stays")
        self.verify()
        why = self.ws.lade("du", "--why").stdout
        self.assertIn("of at most 12000000", why)
        self.build_number(7, env={"LADE_MAX_STORAGE": "8m"})
        self.assertLess(self.real_bytes(), 8 << 20)

    def test_what_a_running_build_holds_stays(self):
        self.build_number(1)
        running = self.ws.spawn("run", "busybox", "sleep", "5")
        deadline = time.monotonic() + 10
        while "true" not in [row["InUse"] for row in self.du("-v")] and time.monotonic() < deadline:
            time.sleep(0.05)
        self.prune("-a")
        self.assertIsNone(running.poll())
        self.assertTrue([row for row in self.du("-v") if row["Type"] == "layer" and row["InUse"] == "true"])
        self.assertEqual(self.ws.finish(running).code, 0)
        self.prune("-a")
        self.assertNotIn("layer", self.sizes())

    def test_damage_is_found(self):
        self.build_number(1, "-t", "app")
        layers = self.ws.state / "layers"
        victim = next(path for path in layers.glob("*/blob"))
        data = bytearray(victim.read_bytes())
        data[1000] ^= 1
        times = victim.stat()
        victim.write_bytes(data)
        os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
        blob = max((self.ws.state / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        with open(blob, "r+b") as file:
            file.seek(100)
            file.write(b"\0\1\2\3")
        result = self.ws.lade("du", "--verify", code=None)
        self.assertEqual(result.code, 1)
        self.assertIn(f"DAMAGED blob sha256:{blob.name}", result.stdout)
        (victim.parent / "new-file").write_text("x")
        self.assertIn("'new-file': it is not in the index", self.ws.lade("du", "--verify", code=None).stdout)

    def test_damaged_blobs_are_noticed_on_every_way_out(self):
        registry = self.ws.registry()
        self.build_number(1, "-t", "app")
        blobs = sorted((self.ws.state / "blobs/sha256").iterdir(), key=lambda path: -path.stat().st_size)
        times = blobs[0].stat()
        with open(blobs[0], "r+b") as blob:
            blob.seek(1_000_000)
            byte = blob.read(1)
            blob.seek(1_000_000)
            blob.write(bytes([byte[0] ^ 1]))
        os.utime(blobs[0], ns=(times.st_atime_ns, times.st_mtime_ns))
        dest = self.ws.out / "x"
        for words in (("build", "-o", f"type=oci,dest={dest}", self.ws.context),
                      ("build", "-o", f"type=oci,tar=false,dest={dest}", self.ws.context),
                      ("build", "-o", f"type=docker,dest={dest}", self.ws.context),
                      ("build", "-o", "type=oci,dest=-", self.ws.context),
                      ("build", "-o", f"type=image,name={registry.host}/app,push=true", self.ws.context),
                      ("build", "--cache-to", f"type=local,dest={dest}", self.ws.context),
                      ("save", "-o", dest, "app")):
            result = self.ws.lade(*words, code=1)
            self.assertRegex(result.stderr, f"{blobs[0].name}.* (is damaged|other bytes than|digest)", str(words))
            self.assertFalse(dest.exists() and not dest.is_dir(), words)
            subprocess.run(["rm", "-rf", dest], check=True)

    def test_layers_whose_directories_somebody_removed_are_made_again(self):
        self.build_number(1, "-t", "app")
        def lose():
            for path in (self.ws.state / "layers").iterdir():
                if path.name not in ("0", "00"):
                    subprocess.run(["rm", "-rf", path], check=True)
        lose()
        self.assertEqual(self.ws.lade("run", "app", "cat", "/number", timeout=60).stdout, "1\n")
        lose()
        self.ws.lade("save", "-o", self.ws.out / "app.tar", "app", timeout=60)
        lose()
        self.build("FROM app\nRUN cat /number\n", timeout=60)
        lose()
        again = self.build_number(1, timeout=60)
        self.assertEqual(again.code, 0)
        self.prune("-a")  # what is lost for good
        self.verify()

    def test_what_a_new_name_left_is_unneeded_and_of_no_killed_process(self):
        self.build_number(1, "-t", "app")
        self.build_number(1, "--no-cache", "-t", "app")
        result = self.ws.lade("du", "--verify")
        self.assertRegex(result.stdout, r"unneeded blob sha256:[0-9a-f]{64}: no image or layer needs it\n")
        self.assertRegex(result.stdout, r" 0 damaged, 0 orphans, [1-9]\d* unneeded\n")
        self.prune()
        self.verify()

    def test_the_daemon_keeps_to_it_too(self):
        with self.small_disk("30m") as state:
            for number in range(12):
                self.build_number(number, env={"LADE_KEEP_STORAGE": "off"}, state=state)
            full = self.disk_share(state)
            self.assertGreater(full, 0.85)

            def serve(*options):
                socket = self.ws.dir / f"d{len(options)}"
                process = self.ws.spawn("daemon", "--addr", f"unix://{socket}", *options, state=state)
                deadline = time.monotonic() + 30
                while not socket.exists() or (not options and self.disk_share(state) > 0.82):
                    self.assertIsNone(process.poll())
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
                process.terminate()
                return self.ws.finish(process).stderr

            self.assertNotIn("garbage collection", serve("--oci-worker-gc=false"))
            self.assertGreater(self.disk_share(state), 0.85)
            self.assertRegex(serve(), r"garbage collection: build cache took \d+ bytes of at most \d+: \d+ that were not used")
            self.assertIn(" 0 damaged", self.ws.lade("du", "--verify", state=state).stdout)

    def test_build_cache_leaves_loaded_images(self):
        self.load_unnamed("loaded")
        with self.small_disk("30m") as state:
            for number in range(12):
                self.build_number(number, state=state)
            ids = self.ws.lade("images", "-q", "--filter", "dangling=true", state=state).stdout.split()
            stages = [self.ws.lade("inspect", "-f", '{{index .Config.Labels "stage"}}', name, state=state).stdout for name in ids]
            self.assertIn("loaded\n", stages)
            self.assertLess(len(ids), 12)

    def test_what_a_kill_left_is_swept(self):
        self.build_number(1)
        (self.ws.state / "layers/zzzz").mkdir()
        (self.ws.state / "layers/zzzz/file").write_text("x")
        (self.ws.state / "index/zzzz").write_text("x")
        result = self.ws.lade("du", "--verify")
        self.assertIn("orphan layers/zzzz", result.stdout)
        self.prune()
        self.verify()


class Stress(LadeTest):
    """Builds, kills and collections at once. LADE_STRESS_SECONDS sets the length (600 by hand). A third of the builds is
    killed by kill_at in the middle of a rename, commit or mount, others whenever it comes."""

    def command_to_be_killed(self, chance, number, command):
        """The command, and where kill_at says what it did."""
        program = pathlib.Path(support.LADE).parent / "kill_at"
        if chance.random() > 0.33 or not program.exists():
            return command, None
        kind, most = chance.choice((("rename", 14), ("commit", 70), ("mount", 90)))
        report = self.ws.dir / f"report-{number}-{time.monotonic_ns()}"
        return [program, str(chance.randint(1, most)), CALLS[kind], report, *command], report

    def test_kills_and_collections_leave_the_state_whole(self):
        seconds = float(os.environ.get("LADE_STRESS_SECONDS", "12"))
        chance = random.Random(int(os.environ.get("LADE_STRESS_SEED", "1")))
        contexts = []
        for number in range(8):
            context = self.ws.dir / f"context-{number}"
            context.mkdir()
            contexts.append(context)
        running, reports, killed, ended, collections = {}, [], 0, 0, 0
        fates = (0, -signal.SIGKILL, 128 + signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for number, context in enumerate(contexts):
                process = running.get(number)
                if process and process.poll() is None:
                    continue
                if process:
                    ended += process.returncode == 0
                    self.assertIn(process.returncode, fates, process.stderr.read())
                    process.stderr.close()
                (context / "number").write_text(f"{chance.randrange(6)}\n")
                (context / "Dockerfile").write_text(
                    STEPS.replace("2000000", str(chance.choice((1000, 300000)))))
                command, report = self.command_to_be_killed(chance, number, self.ws.command(
                    "build", "-q", "-t", f"app{number}:{chance.randrange(3)}", context))
                reports.append(report)
                running[number] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                    env=support.environment())
                self.ws.defer(running[number].kill)
            time.sleep(chance.random() * 0.1)
            if chance.random() < 0.4:
                victim = running[chance.randrange(8)]
                if victim.poll() is None:
                    victim.kill()
                    victim.wait()
                    killed += 1
            if chance.random() < 0.3:
                option = chance.choice((["-a"], [], ["--keep-storage", "2m"], ["--max-storage", "6m"]))
                self.ws.lade("prune", "-f", *option)
                collections += 1
        for process in running.values():
            process.wait(120)
            self.assertIn(process.returncode, fates, process.stderr.read())
        points = [report.read_text().split()[2] for report in reports if report and report.exists()
                  and " killed " in report.read_text()]
        print(f"storm: {ended} builds ended, {killed} were killed, {collections} collections; killed at "
              + ", ".join(f"{call} {points.count(call)}x" for call in sorted(set(points))), flush=True)
        self.assertGreater(killed, 3)
        if any(reports):  # kill_at is there
            self.assertGreater(len(points), 3)
        self.assertGreater(ended, 3)
        self.assertGreater(collections, 3)
        self.assertEqual(self.ws.lade("du", "--verify", code=None).code, 0)
        time.sleep(0.15)
        self.ws.lade("prune", "-f")
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify").stdout)
        # The sweep of what the last killed one left.
        self.ws.lade("run", "busybox", "true")


if __name__ == "__main__":
    unittest.main()
