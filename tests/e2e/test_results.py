"""What a build leaves behind: images without a name, files that tell of them, and nothing of what failed."""

import json
import os
import re
import signal
import time

from support import LadeTest

STEPS = "FROM busybox\nRUN echo hi > /hi && head -c 300000 /dev/urandom > /random\nCOPY f /f\nCMD [\"cat\", \"/hi\", \"/f\"]\n"
FILES = {"f": "file\n"}


class Unnamed(LadeTest):
    def rows(self, *args):
        return [line.split() for line in self.ws.lade("images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}", "--no-trunc",
                                                      *args).stdout.splitlines()]

    def unnamed(self):
        return [row[2] for row in self.rows() if row[0] == "<none>"]

    def blobs(self):
        return sorted(path.stat().st_size for path in (self.ws.state / "blobs/sha256").iterdir())

    def verify(self):
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify").stdout)

    def test_a_build_without_a_name_is_an_image_by_its_id(self):
        result = self.build(STEPS, files=FILES)
        self.assertNotIn("WARNING", result.stderr)
        image = re.search(r"writing image (sha256:\w{64})", result.stderr)[1]
        self.assertEqual(self.rows(), [["<none>", "<none>", image], self.rows()[1]])
        self.assertEqual(self.build(None, "-q").stdout, image + "\n")
        self.assertEqual(self.unnamed(), [image], "the same build is the same image")
        for name in (image, image[7:19], image[7:]):
            self.assertEqual(self.ws.lade("run", "--rm", name).stdout, "hi\nfile\n")
        inspected = json.loads(self.ws.lade("inspect", image).stdout)[0]
        self.assertEqual((inspected["Id"], inspected["RepoTags"]), (image, []))
        self.assertEqual(len(inspected["RootFS"]["Layers"]), 3)
        self.verify()
        # It is the image that a name would have been given to.
        self.assertEqual(self.build(None, "-q", "-t", "app").stdout, image + "\n")
        self.assertEqual(self.unnamed(), [])
        self.assertEqual(self.build(None, "-q").stdout, image + "\n")
        self.assertEqual(self.unnamed(), [], "it has a name")

    def test_layers_are_not_compressed_until_somebody_wants_them(self):
        before = self.blobs()
        image = self.build(STEPS, "-q", files=FILES).stdout.strip()
        new = self.blobs()
        self.assertEqual(len(new), len(before) + 2, "config and manifest")
        self.assertLess(sum(new) - sum(before), 5000)
        self.ws.lade("tag", image, "named:1")
        self.assertGreater(sum(self.blobs()), sum(new) + 300000)
        self.assertEqual([row for row in self.rows() if row[0] != "busybox"], [["named", "1", image]])
        self.verify()
        registry = self.ws.registry()
        self.ws.lade("push", "named:1", f"{registry.host}/named:1")
        self.ws.lade("rmi", "named:1")
        self.ws.lade("prune", "-af")
        self.assertEqual(self.ws.lade("run", "--rm", f"{registry.host}/named:1").stdout, "hi\nfile\n")

    def test_it_can_be_saved_and_put_into_an_index(self):
        image = self.build(STEPS, "-q", files=FILES).stdout.strip()
        self.ws.lade("save", "-o", self.ws.out / "saved.tar", image)
        other = self.ws.new_state(name="other")
        self.ws.lade("load", "-i", self.ws.out / "saved.tar", state=other)
        self.assertEqual(self.ws.lade("run", image, state=other).stdout, "hi\nfile\n")
        self.verify()
        self.ws.lade("prune", "-af")
        second = self.build(STEPS, "-q").stdout.strip()
        self.ws.lade("manifest", "create", "index:1", second)
        self.ws.lade("prune", "-af")
        self.assertEqual(self.ws.lade("run", "index:1").stdout, "hi\nfile\n")
        self.verify()

    def test_prune_takes_it_and_nothing_takes_its_layers_before(self):
        image = self.build(STEPS, "-q", files=FILES).stdout.strip()
        for narrowed in (["--filter", "type=layer"], ["--filter", "type=layer", "--filter", "type=blob", "--keep-storage", "0"]):
            self.ws.lade("prune", "-af", *narrowed)
            self.assertEqual(self.ws.lade("run", image).stdout, "hi\nfile\n")
        self.verify()
        self.assertIn(image[:19], self.ws.lade("du", "-v").stdout)
        self.ws.lade("prune", "-f")
        self.assertEqual(self.unnamed(), [])
        self.assert_fails(self.ws.lade("run", "--pull=never", image, code=None), "", code=125)
        self.ws.lade("prune", "-af")
        self.assertNotIn("layer", [json.loads(line)["Type"] for line in
                                   self.ws.lade("du", "--format", "json").stdout.splitlines()])
        self.verify()

    def test_rmi_takes_it(self):
        image = self.build(STEPS, "-q", files=FILES).stdout.strip()
        self.assertEqual(self.ws.lade("rmi", image[7:20]).stdout, f"Deleted: {image}\n")
        self.assertEqual(self.unnamed(), [])
        self.verify()

    def test_several_platforms_are_one_image(self):
        image = self.build("FROM scratch\nCOPY f /f\n", "-q", "--platform=linux/amd64,linux/arm64", files=FILES).stdout.strip()
        self.assertEqual(self.unnamed(), [image])
        self.ws.lade("tag", image, "both")
        self.assertEqual(len(json.loads(self.ws.lade("manifest", "inspect", "both").stdout)["manifests"]), 2)
        self.verify()

    def test_a_cap_keeps_the_image_that_was_just_built(self):
        for number in range(3):
            image = self.build(STEPS, "-q", "--max-storage", "2m", files={"f": f"{number}\n"}).stdout.strip()
            self.assertEqual(self.unnamed(), [image])
            self.assertEqual(self.ws.lade("run", image).stdout, f"hi\n{number}\n")

    def test_other_outputs_make_no_image(self):
        self.build(STEPS, "-o", f"type=local,dest={self.ws.out}/tree", files=FILES)
        self.build(None, "-o", f"type=oci,dest={self.ws.out}/image.tar")
        self.build(None, "-o", "type=cacheonly")
        self.assertEqual(self.unnamed(), [])


class Pushed(LadeTest):
    def setUp(self):
        super().setUp()
        self.registry = self.ws.registry()
        self.name = f"{self.registry.host}/app:1"

    def test_what_is_pushed_keeps_its_name_here(self):
        self.build(STEPS, "-t", self.name, "--push", files=FILES)
        self.assertIn(self.name, self.ws.lade("images", "--format", "{{.Repository}}:{{.Tag}}").stdout)
        self.assertEqual(self.ws.lade("run", "--pull=never", self.name).stdout, "hi\nfile\n")
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify").stdout)

    def test_a_base_that_need_not_come_here_does_not_and_can_be_had_later(self):
        base = f"{self.registry.host}/base:1"
        self.build("FROM busybox\nRUN head -c 1000000 /dev/urandom > /big\n", "-t", base, "--push")
        other = self.ws.new_state(base=None, name="other")
        self.build(f"FROM {base}\nCMD [\"wc\", \"-c\", \"/big\"]\n", "-t", self.name, "--push", state=other)
        here = sum(path.stat().st_size for path in (other / "blobs/sha256").iterdir())
        self.assertLess(here, 100000, "the base's layers were left where they are")
        self.assertIn(" 0 damaged, 0 orphans, 0 unneeded", self.ws.lade("du", "--verify", state=other).stdout)
        # Another repository gets them from there.
        self.ws.lade("tag", self.name, f"{self.registry.host}/second:1", state=other)
        self.ws.lade("push", f"{self.registry.host}/second:1", state=other)
        self.assertEqual(self.build(f"FROM {self.name}\nRUN wc -c < /big\n", state=other).log(), ["1000000"])
        self.ws.lade("prune", "-af", state=other)
        self.assertEqual(self.ws.lade("run", self.name, state=other).stdout, "1000000 /big\n")
        third = self.ws.new_state(base=None, name="third")
        self.assertEqual(self.ws.lade("run", f"{self.registry.host}/second:1", state=third).stdout, "1000000 /big\n")


class Reports(LadeTest):
    def paths(self):
        return self.ws.dir / "iid", self.ws.dir / "metadata.json"

    def test_a_build_that_fails_leaves_no_older_reports(self):
        iid, metadata = self.paths()
        args = ("--iidfile", iid, "--metadata-file", metadata)
        self.build("FROM busybox\nRUN true\n", "-t", "app", *args)
        self.assertTrue(iid.read_text().startswith("sha256:"))
        self.build("FROM busybox\nRUN false\n", *args, code=1)
        self.assertEqual((iid.exists(), metadata.exists()), (False, False))
        iid.write_text("old")
        self.build("FROM no-such-image-at-all.example/x\n", *args, code=1)
        self.assertFalse(iid.exists())

    def test_they_are_written_whatever_the_outputs_are(self):
        iid, metadata = self.paths()
        args = ("--iidfile", iid, "--metadata-file", metadata)
        for output in ("type=local,dest=%s/tree", "type=tar,dest=%s/tree.tar", "type=cacheonly"):
            with self.subTest(output=output):
                self.build("FROM busybox\nRUN true\n", "-o", output.replace("%s", str(self.ws.out)), *args)
                self.assertEqual(json.loads(metadata.read_text()), {})
                self.assertEqual(iid.read_text(), "")
        self.build(None, *args)
        described = json.loads(metadata.read_text())
        self.assertEqual(described["containerimage.config.digest"], iid.read_text())
        # What it describes is whole: nobody knows better what is done with it.
        self.assertIn(described["containerimage.digest"], self.ws.lade("inspect", iid.read_text()).stdout)

    def test_what_is_no_file_is_written_to_and_stays(self):
        pipe = self.ws.dir / "pipe"
        os.mkfifo(pipe)
        # Somebody reads from the start, and waits for nobody: a build that fails never opens it.
        with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
            self.build("FROM busybox\nRUN true\n", "--iidfile", pipe, "-t", "app")
            self.assertTrue(reader.read().startswith(b"sha256:"))
        self.assertTrue(pipe.is_fifo())


class Interrupted(LadeTest):
    """While a layer is compressed."""

    STEPS = "FROM busybox\nRUN head -c 400000000 /dev/urandom > /random\n"

    def interrupt(self, number):
        self.write({"Dockerfile": self.STEPS})
        build = self.ws.spawn("build", "-t", "app", self.ws.context)
        deadline = time.monotonic() + 120
        ingests = []
        while not ingests and time.monotonic() < deadline and build.poll() is None:
            time.sleep(0.01)
            ingests = [path for path in (self.ws.state / "tmp").glob("ingest-*") if path.stat().st_size > 1000000]
        self.assertTrue(ingests, "nothing is being compressed")
        build.send_signal(number)
        build.wait()
        return ingests

    def temporary(self):
        return [row for row in map(json.loads, self.ws.lade("du", "-v", "--format", "json").stdout.splitlines())
                if row["Type"] == "temporary"]

    def test_control_c_leaves_nothing(self):
        for path in self.interrupt(signal.SIGINT):
            self.assertFalse(path.exists())

    def test_what_a_kill_leaves_is_reclaimable(self):
        self.interrupt(signal.SIGKILL)
        left = self.temporary()
        self.assertTrue(left)
        self.assertEqual({row["Reclaimable"] for row in left}, {"true"})
        result = self.ws.lade("prune", "-f")
        self.assertRegex(result.stdout, "temporary ingest-")
        self.assertEqual(self.temporary(), [])
