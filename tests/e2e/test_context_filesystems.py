"""Contexts on filesystems whose times say less than ext4's: whole seconds, an image's own, the future."""

import os
import shutil
import subprocess

from support import LadeTest

DOCKERFILE = "FROM busybox\nCOPY f /f\nCOPY d /d\n"


class Mounted(LadeTest):
    """A build context on a filesystem of its own, in a file that is mounted through a loop device."""

    def tearDown(self):
        if os.path.ismount(self.ws.context):
            self.unmount()
        super().tearDown()

    def mount(self, image, *options):
        done = subprocess.run(["mount", "-o", ",".join(("loop", *options)), image, self.ws.context],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            self.skipTest(f"needs a kernel with loop devices and that filesystem: {done.stdout.strip()[-80:]}")

    def unmount(self):
        self.ws.run("umount", self.ws.context)

    def make(self, *command, size=8 << 20):
        image = self.ws.dir / "context.img"
        with open(image, "wb") as file:
            file.truncate(size)
        self.ws.run(*command, image)
        return image

    def content(self):
        tree = self.image(None).tree()
        return tree["f"].text, tree["d/g"].text


class WholeSeconds(Mounted):
    def check(self, *command):
        self.mount(self.make(*command))
        self.write({"Dockerfile": DOCKERFILE, "f": "--", "d/g": "--"})
        for number in range(20):
            text = f"{number:02}"
            # A file that is replaced, and one that is written again.
            (self.ws.context / "f").unlink()
            self.write({"f": text, "d/g": text})
            self.assertEqual(self.content(), (text, text))

    def test_changes_within_a_second_are_seen_on_ext4_with_small_inodes(self):
        self.check("mke2fs", "-q", "-t", "ext4", "-I", "128")

    def test_changes_within_a_second_are_seen_on_ext2(self):
        self.check("mke2fs", "-q", "-t", "ext2", "-I", "128")

    def test_changes_within_a_second_are_seen_on_fat(self):
        self.check("mkfs.vfat")

    def test_on_fat_a_change_that_puts_the_time_back_is_seen(self):
        # There a file has no other time than the one that anybody can set.
        self.mount(self.make("mkfs.vfat"))
        self.write({"Dockerfile": DOCKERFILE, "f": "one", "d/g": ""})
        past = (1600000000, 1600000000)
        for name in ("Dockerfile", "f", "d/g", "d", "."):
            os.utime(self.ws.context / name, past)
        self.assertEqual(self.content(), ("one", ""))
        self.write({"f": "two"})
        os.utime(self.ws.context / "f", past)
        self.assertEqual(self.content(), ("two", ""))


class ReadOnlyImages(Mounted):
    """Two images that differ in nothing but what is in one file, one after the other at the same place."""

    def need(self, program):
        if not shutil.which(program):
            self.skipTest(f"{program} is not installed")

    def check(self, make):
        images = []
        for text in ("one", "two"):
            source = self.ws.dir / f"source-{text}"
            self.write({"Dockerfile": DOCKERFILE, "f": text, "d/g": "g"}, source)
            for name in ("Dockerfile", "f", "d/g", "d", "."):
                os.utime(source / name, (1600000000, 1600000000))
            images.append((text, make(source, self.ws.dir / f"{text}.img")))
        for text, image in images + images:
            self.mount(image, "ro")
            for _ in range(2):
                self.assertEqual(self.content(), (text, "g"))
            self.unmount()

    def test_of_squashfs(self):
        self.need("mksquashfs")

        def make(source, image):
            self.ws.run("mksquashfs", source, image, "-quiet", "-mkfs-time", "1600000000")
            return image
        self.check(make)

    def test_of_erofs(self):
        self.need("mkfs.erofs")

        def make(source, image):
            self.ws.run("mkfs.erofs", "-T1600000000", "-U00000000-0000-4000-8000-000000000000", image, source)
            return image
        self.check(make)

    def test_of_ext4(self):
        def make(source, image):
            with open(image, "wb") as file:
                file.truncate(8 << 20)
            self.ws.run("mke2fs", "-q", "-t", "ext4", "-I", "256", "-U", "00000000-0000-4000-8000-000000000000",
                         "-d", source, image)
            for name in ("/", "Dockerfile", "f", "d", "d/g"):
                self.ws.run("debugfs", "-w", "-R", f"set_inode_field {name} ctime 20200913122640", image)
            return image
        self.check(make)
