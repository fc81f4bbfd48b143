"""--platform: foreign platforms, several at once, and the indexes they make."""

import json
import pathlib
import struct
import subprocess
import unittest

from support import LadeTest

EMULATOR = pathlib.Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")

CROSS = """FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETPLATFORM
RUN echo $TARGETPLATFORM > /platform
RUN echo once > /once
FROM scratch
COPY --from=build /platform /once /
"""
BOTH = "linux/amd64,linux/arm64"


def arm64_program(text):
    """A static executable for aarch64 that prints `text`: write(1, ...), then exit(0)."""
    code = struct.pack("<8I", 0x10000101,                  # adr x1, the text behind the code
                       0xd2800020,                         # mov x0, #1
                       0xd2800002 | len(text) << 5,        # mov x2, #size
                       0xd2800808, 0xd4000001,             # mov x8, #64; svc #0
                       0xd2800000, 0xd2800ba8, 0xd4000001)  # mov x0, #0; mov x8, #93; svc #0
    start, size = 0x400000, 64 + 56 + len(code) + len(text)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 183, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    return header + segment + code + text


class Platforms(LadeTest):
    def index_of(self, path):
        """The index that index.json of the archive names, and its descriptor."""
        top = json.loads(self.ws.run("tar", "xOf", path, "index.json"))["manifests"][0]
        algorithm, _, name = top["digest"].partition(":")
        return top, json.loads(self.ws.run("tar", "xOf", path, f"blobs/{algorithm}/{name}"))

    def test_several_platforms_make_an_index(self):
        path = self.ws.out / "image.tar"
        result = self.build(CROSS, "--platform", BOTH, "-o", f"type=oci,dest={path}", "-t", "app")
        top, index = self.index_of(path)
        self.assertEqual(top["mediaType"], "application/vnd.oci.image.index.v1+json")
        self.assertEqual(top["annotations"]["org.opencontainers.image.ref.name"], "latest")
        self.assertEqual([entry["platform"]["architecture"] for entry in index["manifests"]], ["amd64", "arm64"])
        # What does not depend on the platform ran once, and names say for which the rest ran.
        self.assertEqual(len([name for name in result.ran if "RUN echo $TARGETPLATFORM" in name
                              or "RUN echo linux" in name]), 2, str(result))
        self.assertTrue(any("[linux/amd64->arm64 build" in name for name in result.ran), str(result))

    def test_each_platform_is_what_a_build_of_its_own_makes(self):
        options = ",rewrite-timestamp=true"
        epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
        path = self.ws.out / "both.tar"
        self.build(CROSS, "--platform", BOTH, "-o", f"type=oci,dest={path}{options}", env=epoch)
        _, index = self.index_of(path)
        for entry in index["manifests"]:
            name = f"linux/{entry['platform']['architecture']}"
            self.image(None, "--platform", name, options=options, env=epoch)
            single, _ = self.index_of(self.ws.out / "image.tar")
            self.assertEqual(entry["digest"], single["digest"], name)

    def test_skopeo_finds_each_platform(self):
        path = self.ws.out / "image.tar"
        self.build(CROSS, "--platform", BOTH, "-o", f"type=oci,dest={path}")
        for arch in ("amd64", "arm64"):
            self.ws.run("skopeo", "--override-arch", arch, "copy", f"oci-archive:{path}",
                        f"oci:{self.ws.out}/{arch}:x")
            config = json.loads(self.ws.run("skopeo", "inspect", "--config", "--override-arch", arch,
                                            f"oci:{self.ws.out}/{arch}:x"))
            self.assertEqual(config["architecture"], arch)

    def test_a_named_index_is_a_base_for_each_platform(self):
        self.build(CROSS, "--platform", BOTH, "-t", "both")
        for arch in ("amd64", "arm64"):
            tree = self.tree("FROM both\n", "--platform", f"linux/{arch}")
            self.assertEqual(tree["platform"].data, f"linux/{arch}\n".encode())

    def test_local_and_tar_outputs_have_a_directory_per_platform(self):
        local, tar = self.ws.out / "local", self.ws.out / "root.tar"
        self.build(CROSS, "--platform", BOTH, "-o", f"type=local,dest={local}", "-o", f"type=tar,dest={tar}")
        self.assertEqual((local / "linux_arm64/platform").read_text(), "linux/arm64\n")
        self.assertEqual((local / "linux_amd64/platform").read_text(), "linux/amd64\n")
        names = self.ws.run("tar", "tf", tar).split()
        self.assertIn("linux_arm64/platform", names)
        self.assertEqual(self.ws.run("tar", "xOf", tar, "linux_amd64/platform"), "linux/amd64\n")

    def test_a_docker_tarball_cannot_hold_several(self):
        self.write({"Dockerfile": CROSS})
        result = self.build(None, "--platform", BOTH, "-o", f"type=docker,dest={self.ws.out}/x.tar", code=2)
        self.assertIn("use type=oci", result.stderr)

    def test_platforms_can_share_one_directory(self):
        local, tar = self.ws.out / "local", self.ws.out / "root.tar"
        steps = "FROM scratch\nARG TARGETARCH\nCOPY app /app-$TARGETARCH\n"
        self.build(steps, "--platform", BOTH, "-o", f"type=local,dest={local},platform-split=false", "-o",
                   f"type=tar,dest={tar},platform-split=false", files={"app": "x"})
        self.assertEqual(sorted(path.name for path in local.iterdir()), ["app-amd64", "app-arm64"])
        self.assertEqual(subprocess.run(["tar", "-tf", tar], check=True, capture_output=True, text=True).stdout.split(),
                         ["app-amd64", "app-arm64"])
        for kind in ("local", "tar"):
            self.assert_fails("FROM scratch\nCOPY app /app\n", "cannot overwrite app from linux/",
                              args=("--platform", BOTH, "-o", f"type={kind},dest={self.ws.out}/x,platform-split=false"),
                              files={"app": "x"})
            self.assertFalse((self.ws.out / "x").exists() and any((self.ws.out / "x").iterdir()))

    def test_one_platform_can_be_an_index_too(self):
        path = self.ws.out / "image.tar"
        self.build(CROSS, "--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "-o", f"type=oci,dest={path}")
        _, index = self.index_of(path)
        self.assertEqual(len(index["manifests"]), 1)

    def test_index_annotations(self):
        path = self.ws.out / "image.tar"
        self.build(CROSS, "--platform", BOTH, "-o", f"type=oci,dest={path}", "--annotation",
                   "index,manifest[linux/arm64]:k=v", "--annotation",
                   "index-descriptor:org.opencontainers.image.created=2022-01-23T12:34:56Z")
        top, index = self.index_of(path)
        self.assertEqual(top["annotations"]["org.opencontainers.image.created"], "2022-01-23T12:34:56Z")
        self.assertEqual(index["annotations"], {"k": "v"})

    def test_what_cannot_run_here_says_what_would_help(self):
        # An ELF header of a machine that no test host has an emulator for.
        header = bytes.fromhex("7f454c4602010100") + bytes(8) + bytes.fromhex("02000f00") + bytes(44)
        self.write({"sh": header})
        result = self.build("FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n",
                            "--platform", "linux/s390x", code=1)
        self.assertIn("qemu-user-static", result.stderr)
        self.assertIn("Dockerfile:3", result.stderr)

    @unittest.skipUnless(EMULATOR.exists(), "needs an emulator of aarch64 that the kernel knows (qemu-user-static)")
    def test_a_foreign_run_goes_through_the_emulator(self):
        (self.ws.context / "hello").write_bytes(arm64_program(b"hello from afar\n"))
        (self.ws.context / "hello").chmod(0o755)
        result = self.build('FROM scratch\nCOPY hello /\nRUN ["/hello"]\n', "--platform=linux/arm64")
        self.assertEqual(result.log("RUN"), ["hello from afar"])
