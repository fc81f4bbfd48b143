"""Same inputs, same digests."""

import os
import shutil

from image import Image, open_tar
from support import LadeTest

EPOCH = 1500000000
DOCKERFILE = """FROM busybox
WORKDIR /work/dir
RUN mkdir a && echo text > a/f && ln a/f a/hard && ln -s f a/link && chmod 4755 a/f && chown -R 5:6 a
COPY tree /tree/
COPY --chmod=755 <<one <<two /scripts/
#!/bin/sh
one
second
two
RUN rm /tree/1 && date > /dev/null
ENV A=b
CMD ["/scripts/one"]
"""
FILES = {"tree/1": "1", "tree/2": "2" * 100000, "tree/sub/3": "3"}


class Reproducible(LadeTest):
    def build_in(self, number, options=",rewrite-timestamp=true", args=(), env=None):
        """Builds the same from a fresh copy of the context, in an empty state directory."""
        state = self.ws.new_state(name=f"state-{number}")
        context = self.ws.dir / f"context-{number}"
        # Made in another order, with other times and owners.
        for name in sorted(FILES, reverse=number % 2 == 1):
            self.write({name: FILES[name]}, context)
            os.utime(context / name, (EPOCH + 100 + number, EPOCH + 100 + number))
            os.chown(context / name, number, number)
        self.write({"Dockerfile": DOCKERFILE}, context)
        archive = self.ws.out / f"{number}.tar"
        self.ws.lade("build", "-t", "app", "-o", f"type=oci,dest={archive}{options}", *args, context, state=state,
                     env={"SOURCE_DATE_EPOCH": str(EPOCH)} if env is None else env)
        shutil.rmtree(state)
        return archive

    def test_two_builds_from_empty_state_have_the_same_manifest_and_archive(self):
        first, second = (self.build_in(number) for number in range(2))
        self.assertEqual(Image.read(first).manifest, Image.read(second).manifest)
        self.assertEqual(Image.read(first).digest, Image.read(second).digest)
        self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_zstd_and_docker_archives_are_reproducible_too(self):
        first, second = (self.build_in(number, ",rewrite-timestamp=true,compression=zstd") for number in range(2))
        self.assertEqual(Image.read(first).digest, Image.read(second).digest)

    def test_the_number_of_threads_does_not_change_the_digest(self):
        first = self.build_in(0)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.addCleanup(os.sched_setaffinity, 0, range(os.cpu_count()))
        self.assertEqual(Image.read(self.build_in(1)).digest, Image.read(first).digest)

    def test_no_time_is_after_the_epoch(self):
        image = Image.read(self.build_in(0))
        self.assertEqual(image.config["created"], "2017-07-14T02:40:00Z")
        for entry in image.config["history"][1:]:
            self.assertEqual(entry["created"], "2017-07-14T02:40:00Z")
        for number in range(1, len(image.layers)):
            with open_tar(image.layer_tar(number)) as tar:
                for member in tar:
                    self.assertLessEqual(member.mtime, EPOCH, member.name)

    def test_layer_entries_are_sorted_and_without_names_of_users(self):
        image = Image.read(self.build_in(0))
        for number in range(len(image.layers)):
            with open_tar(image.layer_tar(number)) as tar:
                members = tar.getmembers()
            names = [member.name.split("/") for member in members]
            self.assertEqual(names, sorted(names))
            self.assertEqual({(member.uname, member.gname) for member in members} - {("", "")}, set())

    def test_the_build_arg_sets_the_epoch_as_well(self):
        by_env = self.build_in(0)
        by_arg = self.build_in(1, args=("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}"), env={})
        self.assertEqual(Image.read(by_env).digest, Image.read(by_arg).digest)

    def test_a_cached_build_from_scratch_gives_the_same_image_again_without_an_epoch(self):
        dockerfile = "FROM scratch\nARG A=b\nLABEL c=$A\nCOPY f /\nENV D=e\n"
        first = self.image(dockerfile, name="first.tar", files={"f": "f"})
        self.assertEqual(self.image(dockerfile, name="second.tar").digest, first.digest)
        self.assertEqual(len({entry["created"] for entry in first.config["history"]}), 1)

    def test_rewriting_without_an_epoch_is_an_error(self):
        self.write({"Dockerfile": "FROM busybox\n"})
        result = self.build(None, "-o", f"type=oci,dest={self.ws.out}/x.tar,rewrite-timestamp=true", code=None)
        self.assert_fails(result, "SOURCE_DATE_EPOCH", code=2)

    def test_rootfs_outputs_honour_the_epoch(self):
        self.build("FROM busybox\nRUN echo f > /f\n", "-o", f"type=tar,dest={self.ws.out}/x.tar",
                   env={"SOURCE_DATE_EPOCH": str(EPOCH)})
        with open_tar((self.ws.out / "x.tar").read_bytes()) as tar:
            self.assertEqual(tar.getmember("f").mtime, EPOCH)
