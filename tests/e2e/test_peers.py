"""Other programs read what lade writes: skopeo, umoci and runc, podman, tar."""

import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import uuid
import zlib

import support
from image import Image, decompress, read_rootfs_tar
from support import LadeTest, environment

DOCKERFILE = """FROM busybox
RUN mkdir /data && echo from the image > /data/f && ln /data/f /data/hard && chown 5:6 /data/f && rm /bin/wget
WORKDIR /data
ENV GREETING=hello
COPY <<EOF /bin/entry
#!/bin/sh
echo "$GREETING, $1: $(cat f) as $(id -u) in $(pwd)"
EOF
RUN chmod 755 /bin/entry
USER 7
ENTRYPOINT ["/bin/entry"]
CMD ["world"]
"""
# The heredoc's $1, $GREETING and commands are the script's own.
DOCKERFILE = DOCKERFILE.replace("<<EOF", "<<'EOF'")
SAID = "hello, world: from the image as 7 in /data\n"


class Peers(LadeTest):
    def output(self, kind, name, options="", names=("-t", "example.org/app:v1")):
        path = self.ws.out / name
        self.build(DOCKERFILE, *names, "-o", f"type={kind},dest={path}{options}")
        return path

    def peer(self, *command, **options):
        return self.ws.run(*command, env=environment(), **options)

    def test_skopeo_inspects_an_oci_archive(self):
        archive = self.output("oci", "x.tar")
        shown = json.loads(self.peer("skopeo", "inspect", f"oci-archive:{archive}"))
        self.assertEqual((shown["Digest"], shown["Os"], shown["Architecture"]), (Image.read(archive).digest, "linux", "amd64"))
        self.assertIn("GREETING=hello", shown["Env"])
        config = json.loads(self.peer("skopeo", "inspect", "--config", f"oci-archive:{archive}"))
        self.assertEqual(config["config"]["Entrypoint"], ["/bin/entry"])

    def test_skopeo_copies_every_kind_and_checks_every_digest(self):
        for kind, options, source in (("oci", "", "oci-archive"), ("oci", ",compression=zstd", "oci-archive"),
                                      ("oci", ",compression=uncompressed", "oci-archive"),
                                      ("oci", ",tar=false", "oci"), ("docker", "", "docker-archive")):
            with self.subTest(kind=kind, options=options):
                path = self.output(kind, f"{kind}{options.replace(',', '-')}", options)
                copied = self.ws.dir / f"copied-{path.name}"
                self.peer("skopeo", "copy", "-q", "--insecure-policy", f"{source}:{path}", f"dir:{copied}")
                manifest = json.loads((copied / "manifest.json").read_text())
                self.assertEqual(len(manifest["layers"]), 5)

    def test_umoci_unpacks_and_runc_runs_what_the_image_says(self):
        layout = self.output("oci", "layout", ",tar=false")
        bundle = self.ws.dir / "bundle"
        self.peer("umoci", "unpack", "--image", f"{layout}:v1", bundle)
        config = json.loads((bundle / "config.json").read_text())
        self.assertEqual(config["process"]["args"], ["/bin/entry", "world"])
        config["process"]["terminal"] = False
        config["process"].pop("rlimits", None)
        # The host's network is enough for echo, and needs nothing set up.
        config["linux"]["namespaces"] = [space for space in config["linux"]["namespaces"] if space["type"] != "network"]
        (bundle / "config.json").write_text(json.dumps(config))
        name = f"lade-e2e-{uuid.uuid4().hex[:12]}"
        runtime = ("runc", "--root", self.ws.dir / "runc")
        self.ws.defer(lambda: subprocess.run([*runtime, "delete", "--force", name], stderr=subprocess.DEVNULL, check=False))
        self.assertEqual(self.peer(*runtime, "run", "--bundle", bundle, name), SAID)
        self.assertEqual((bundle / "rootfs/data/f").stat().st_ino, (bundle / "rootfs/data/hard").stat().st_ino)
        self.assertFalse((bundle / "rootfs/bin/wget").is_symlink())

    def podman(self, *command, **options):
        store = self.store
        flags = ("--root", store / "root", "--runroot", store / "run", "--tmpdir", store / "tmp", "--runtime", "runc",
                 "--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs")
        return self.peer("podman", *flags, *command, **options)

    def test_podman_loads_and_runs_docker_and_oci_archives(self):
        # podman refuses a run root whose path is longer than 50 bytes.
        self.store = pathlib.Path(tempfile.mkdtemp(prefix="p", dir=support.ROOT))
        self.ws.defer(shutil.rmtree, self.store, True)
        self.ws.defer(lambda: self.podman("rm", "--all", "--force", code=None))
        for kind in ("docker", "oci"):
            archive = self.output(kind, f"{kind}.tar")
            loaded = self.podman("load", "-q", "-i", archive)
            self.assertIn("example.org/app:v1", loaded)
            said = self.podman("run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit",
                               "nproc=4096:4096", "example.org/app:v1")
            self.assertEqual(said, SAID)
            self.podman("rmi", "--all", "--force")

    def test_a_rootfs_tar_extracts_to_the_flattened_tree(self):
        image = Image.read(self.output("oci", "x.tar")).tree()
        path = self.output("tar", "rootfs.tar")
        tree = read_rootfs_tar(path)
        self.assertEqual(set(tree), set(image))
        for name, entry in tree.items():
            self.assertEqual((entry.type, entry.mode, entry.owner, entry.data, entry.target),
                             (image[name].type, image[name].mode, image[name].owner, image[name].data, image[name].target))
        self.assertEqual(tree["data/f"].inode, tree["data/hard"].inode)
        listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True)
        self.assertFalse([name for name in listed.stdout.split() if ".wh." in name])

    def test_a_rootfs_tar_on_standard_output_is_the_same(self):
        path = self.output("tar", "rootfs.tar")
        for option in ("type=tar,dest=-", "-"):
            self.assertEqual(self.build(None, "-o", option).stdout_bytes, path.read_bytes())
        archive = self.output("oci", "x.tar")
        piped = self.build(None, "-t", "example.org/app:v1", "-o", "type=oci,dest=-").stdout_bytes
        (self.ws.out / "piped").write_bytes(piped)
        self.assertEqual(Image.read(self.ws.out / "piped").digest, Image.read(archive).digest)

    def test_a_local_directory_has_the_files_with_links_and_belongs_to_the_caller(self):
        image = Image.read(self.output("oci", "x.tar")).tree()
        for option in (f"type=local,dest={self.ws.out}/dir", str(self.ws.out / "bare")):
            self.build(DOCKERFILE, "-o", option)
            root = self.ws.out / option.rpartition("/")[2]
            found = {str(path.relative_to(root)) for path in root.rglob("*")}
            self.assertEqual(found, set(image))
            stat = (root / "data/f").lstat()
            self.assertEqual((stat.st_uid, stat.st_gid, stat.st_nlink), (0, 0, 2))
            self.assertEqual((root / "bin/sh").readlink().name, "busybox")
            self.assertEqual((root / "bin/entry").stat().st_mode & 0o7777, 0o755)

    def test_lade_imports_its_own_rootfs_tar_in_every_compression(self):
        tar = self.output("tar", "rootfs.tar")
        for program, suffix in (("gzip", "gz"), ("zstd", "zst"), ("xz", "xz"), ("bzip2", "bz2")):
            subprocess.run([program, "-k", "-q", tar] if program != "xz" else [program, "-k", "-1", tar], check=True)
            packed = tar.with_name(f"rootfs.tar.{suffix}")
            self.ws.lade("import", packed, f"again-{suffix}")
            context = self.ws.dir / suffix
            result = self.build(f"FROM again-{suffix}\nRUN stat -c %u:%g:%h /data/f\n", "--no-cache", context=context)
            self.assertEqual(result.log("RUN"), ["5:6:2"])


class OutputFormats(LadeTest):
    GZIP = b"\x1f\x8b"
    ZSTD = b"\x28\xb5\x2f\xfd"

    def test_gzip_zstd_and_uncompressed_layers_have_their_media_types(self):
        trees = []
        for name, magic, suffix in (("gzip", self.GZIP, "+gzip"), ("zstd", self.ZSTD, "+zstd"), ("uncompressed", b"", "")):
            image = self.image("FROM busybox\nRUN echo f > /f\n", name=name,
                               options=f",compression={name},force-compression=true")
            for layer in image.layers:
                self.assertEqual(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar" + suffix)
                self.assertTrue(image.blob(layer).startswith(magic))
            trees.append({path: (entry.type, entry.mode, entry.data) for path, entry in image.tree().items()})
            self.assertEqual(image.manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json")
        self.assertEqual(trees[0], trees[1])
        self.assertEqual(trees[0], trees[2])

    def test_a_gzip_layer_is_one_member_that_simple_decoders_read_whole(self):
        self.write({"big": bytes(range(256)) * 40000})
        image = self.image("FROM scratch\nCOPY big /\n")
        decoder = zlib.decompressobj(31)
        data = decoder.decompress(image.blob(image.layers[0]))
        self.assertEqual((decoder.eof, decoder.unused_data), (True, b""))
        self.assertEqual(data, decompress(image.blob(image.layers[0])))

    def test_docker_media_types_on_request(self):
        image = self.image("FROM busybox\n", options=",oci-mediatypes=false")
        self.assertEqual(image.manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json")
        self.assertEqual(image.layers[0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip")

    def test_a_layout_directory_and_an_archive_hold_the_same_files(self):
        archive = self.image("FROM busybox\nENV a=b\n", "-t", "n:1")
        layout = self.image(None, "-t", "n:1", name="layout", options=",tar=false")
        self.assertEqual(sorted(archive.names), sorted(layout.names))
        self.assertEqual(archive.digest, layout.digest)
        self.assertEqual(json.loads((self.ws.out / "layout/oci-layout").read_text()), {"imageLayoutVersion": "1.0.0"})
        self.assertEqual(len(layout.names), 2 + 3)

    def test_names_are_in_the_indexes_of_both_archive_kinds(self):
        image = self.image("FROM busybox\n", "-t", "example.org/app:v1", "-t", "short")
        names = [(entry["annotations"]["io.containerd.image.name"], entry["annotations"]["org.opencontainers.image.ref.name"])
                 for entry in image.index["manifests"]]
        self.assertEqual(names, [("example.org/app:v1", "v1"), ("docker.io/library/short:latest", "latest")])
        path = self.ws.out / "docker.tar"
        self.build(None, "-o", f"type=docker,dest={path},name=example.org/given:2")
        with tarfile.open(path) as tar:
            manifest = json.load(tar.extractfile("manifest.json"))
            self.assertEqual(manifest[0]["RepoTags"], ["example.org/given:2"])
            self.assertTrue(set(manifest[0]["Layers"] + [manifest[0]["Config"]]) <= set(tar.getnames()))

    def test_annotations_labels_and_platform(self):
        image = self.image("FROM busybox\nLABEL a=file b=file\n", "--label", "b=option", "--label", "empty", options=",annotation.org.x=y")
        self.assertEqual(image.config["config"]["Labels"], {"a": "file", "b": "option", "empty": ""})
        self.assertEqual(image.manifest["annotations"], {"org.x": "y"})
        arm = self.image("FROM scratch\nCOPY f /\n", "--platform", "linux/arm64", files={"f": "f"}, name="arm.tar")
        self.assertEqual(arm.config["architecture"], "arm64")
        self.assertEqual(arm.descriptor["platform"]["architecture"], "arm64")

    def test_several_outputs_of_one_build(self):
        self.build("FROM busybox\nRUN echo f > /f\n", "-o", f"type=oci,dest={self.ws.out}/a.tar", "-o",
                   f"type=docker,dest={self.ws.out}/b.tar", "-o", f"type=local,dest={self.ws.out}/c")
        self.assertEqual(sorted(path.name for path in self.ws.out.iterdir()), ["a.tar", "b.tar", "c"])
        self.assertEqual((self.ws.out / "c/f").read_text(), "f\n")

    def test_quiet_prints_the_digest_alone(self):
        result = self.build("FROM busybox\nRUN echo hidden\n", "-q", "-t", "quiet")
        self.assertRegex(result.stdout, r"^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(result.stderr, "")

    def test_an_existing_output_file_is_replaced_at_once_and_a_directory_is_merged(self):
        self.ws.out.joinpath("x.tar").write_text("old")
        self.image("FROM busybox\n", name="x.tar")
        (self.ws.out / "dir").mkdir()
        (self.ws.out / "dir/kept").write_text("kept")
        self.build("FROM scratch\nCOPY Dockerfile /f\n", "-o", self.ws.out / "dir")
        self.assertEqual(sorted(path.name for path in (self.ws.out / "dir").iterdir()), ["f", "kept"])

    def test_a_layout_takes_another_image_beside_the_first(self):
        for tag in ("one", "two"):
            self.image(f"FROM busybox\nENV V={tag}\n", "-t", f"app:{tag}", name="layout", options=",tar=false")
        index = json.loads((self.ws.out / "layout/index.json").read_text())
        tags = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]]
        self.assertIn("two", tags)
        shutil.rmtree(self.ws.out / "layout")
