"""The images of this machine: naming, listing, removing, saving, loading; peers read what lade writes and back."""

import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import socketserver
import tarfile
import threading
import time
import unittest

import host
from support import LadeTest

DOCKERFILE = """FROM busybox
ENV A=b
WORKDIR /w
RUN echo made > file
LABEL who=me
ENTRYPOINT ["echo", "hello"]
CMD ["world"]
"""


class Images(LadeTest):
    def setUp(self):
        super().setUp()
        self.build(DOCKERFILE, "-t", "app:1")

    def names(self, *args, state=None):
        out = self.ws.lade("images", "--format", "{{.Repository}}:{{.Tag}}", *args, state=state).stdout
        return sorted(out.split())

    def inspect(self, name, state=None):
        return json.loads(self.ws.lade("inspect", name, state=state).stdout)[0]

    def test_build_names_the_image_that_is_listed_as_docker_lists_it(self):
        lines = self.ws.lade("images").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"])
        image = self.inspect("app:1")
        row = next(line for line in lines if line.startswith("app "))
        self.assertIn(image["Id"][7:19], row)
        row = json.loads(self.ws.lade("images", "--format", "json", "app").stdout)
        self.assertEqual((row["Repository"], row["Tag"], row["ID"]), ("app", "1", image["Id"][7:19]))
        self.assertEqual(self.ws.lade("images", "-q", "--no-trunc", "app").stdout.strip(), image["Id"])

    def test_filters_choose_images(self):
        time.sleep(1.1)  # created times have seconds
        self.build("FROM app:1\nLABEL who=you extra=yes\nRUN echo more > more\n", "-t", "other:2")
        self.assertEqual(self.names("--filter", "label=who=me"), ["app:1"])
        self.assertEqual(self.names("--filter", "label=extra"), ["other:2"])
        self.assertEqual(self.names("--filter", "reference=*p"), ["app:1"])
        self.assertEqual(self.names("other"), ["other:2"])
        self.assertEqual(self.names("--filter", "before=other:2", "--filter", "label=who"), ["app:1"])
        self.assertEqual(self.names("--filter", "dangling=true"), [])
        self.assert_fails(self.ws.lade("images", "--filter", "nope=1", code=None), "there is no 'nope'", code=2)

    def test_inspect_has_dockers_shape(self):
        image = self.inspect("app:1")
        self.assertEqual(image["RepoTags"], ["app:1"])
        self.assertEqual(image["Config"]["Entrypoint"], ["echo", "hello"])
        self.assertEqual(image["Config"]["Cmd"], ["world"])
        self.assertEqual(image["Config"]["WorkingDir"], "/w")
        self.assertEqual(image["Config"]["Labels"], {"who": "me"})
        self.assertEqual(image["Os"], "linux")
        self.assertEqual(len(image["RootFS"]["Layers"]), 3)
        self.assertGreater(image["Size"], 1000)
        out = self.ws.lade("inspect", "-f", "{{.Config.Cmd}} {{json .RepoTags}} {{index .Config.Entrypoint 1}}",
                           "app:1").stdout
        self.assertEqual(out, '[world] ["app:1"] hello\n')
        failed = self.ws.lade("inspect", "-f", "{{.Confgi}}", "app:1", code=None)
        self.assert_fails(failed, "there is no field Confgi", "did you mean Config?", code=2)
        self.assert_fails(self.ws.lade("inspect", "none:1", code=None), "no such image: 'none:1'")

    def test_labels_that_are_not_there_are_empty_as_with_docker(self):
        self.build("FROM scratch\nCOPY Dockerfile /\n", "-t", "bare")
        for name, label, value in (("app:1", "who", "me"), ("app:1", "none", ""), ("bare", "who", "")):
            out = self.ws.lade("inspect", "-f", f'<{{{{index .Config.Labels "{label}"}}}}>', name).stdout
            self.assertEqual(out, f"<{value}>\n", (name, label))

    def test_history_is_newest_first(self):
        rows = [json.loads(line) for line in self.ws.lade("history", "--format", "json", "--no-trunc",
                                                          "app:1").stdout.splitlines()]
        self.assertIn("CMD [\"world\"]", rows[0]["CreatedBy"])
        self.assertIn("imported by lade", rows[-1]["Comment"])
        self.assertEqual(rows[0]["ID"], self.inspect("app:1")["Id"])
        self.assertEqual(self.ws.lade("history", "-q", "app:1").stdout.split()[1], "<missing>")

    def test_an_image_is_called_by_name_digest_and_start_of_its_id(self):
        image = self.inspect("app:1")
        for name in (image["Id"], image["Id"][7:19], image["Id"][7:13], image["RepoDigests"][0],
                     "docker.io/library/app:1"):
            self.assertEqual(self.inspect(name)["Id"], image["Id"])

    def test_rmi_takes_names_and_with_the_last_one_the_image(self):
        self.ws.lade("tag", "app:1", "app:2")
        identity = self.inspect("app:1")["Id"]
        self.assert_fails(self.ws.lade("rmi", identity[7:19], code=None), "has 2 names")
        self.assertEqual(self.ws.lade("rmi", "app:1").stdout, "Untagged: app:1\n")
        time.sleep(0.2)  # what is younger than the oldest process at work stays
        self.assertEqual(self.ws.lade("rmi", "app:2").stdout, f"Untagged: app:2\nDeleted: {identity}\n")
        self.assertFalse((self.ws.state / "blobs/sha256" / identity[7:]).exists())
        self.assertEqual(self.ws.lade("du", "--verify").code, 0)
        self.assert_fails(self.ws.lade("rmi", "app:2", code=None), "no such image")
        self.ws.lade("rmi", "-f", "app:2")
        # The base is another image, and is whole.
        self.assertEqual(self.ws.lade("run", "busybox", "echo", "fine").stdout, "fine\n")

    def test_every_format_of_save_loads_on_another_machine(self):
        for number, form in enumerate(("docker-archive", "oci-archive", "oci-dir")):
            path = self.ws.out / form
            self.ws.lade("save", "--format", form, "-o", path, "app:1", "busybox")
            other = self.ws.new_state(None, f"state-{number}")
            out = self.ws.lade("load", "-i", path, state=other).stdout
            self.assertEqual(sorted(out.splitlines()), ["Loaded image: app:1", "Loaded image: busybox:latest"])
            self.assertEqual(self.inspect("app:1", state=other)["Id"], self.inspect("app:1")["Id"])
            self.assertEqual(self.ws.lade("run", "app:1", state=other).stdout, "hello world\n")
            self.assertEqual(self.ws.lade("du", "--verify", state=other).code, 0)

    def test_archives_come_through_pipes_and_compressed(self):
        plain = self.ws.lade("save", "app:1").stdout_bytes
        for number, packed in enumerate((plain, gzip.compress(plain))):
            other = self.ws.new_state(None, f"state-{number}")
            self.assertEqual(self.ws.lade("load", stdin=packed, state=other).stdout, "Loaded image: app:1\n")

    def test_an_image_without_a_name_is_loaded_as_such(self):
        identity = self.inspect("app:1")["Id"]
        saved = self.ws.lade("save", identity[7:19]).stdout_bytes
        other = self.ws.new_state(None, "state-other")
        self.assertEqual(self.ws.lade("load", stdin=saved, state=other).stdout, f"Loaded image ID: {identity}\n")
        self.assertEqual(self.names("--filter", "dangling=true", state=other), ["<none>:<none>"])
        self.assertEqual(self.ws.lade("run", identity[7:15], state=other).stdout, "hello world\n")
        self.ws.lade("prune", "-f", state=other)
        self.assertEqual(self.names(state=other), [])

    @unittest.skipUnless(shutil.which("skopeo"), "needs skopeo")
    def test_skopeos_archives_of_both_kinds_load_and_it_reads_lades(self):
        saved = self.ws.out / "saved.tar"
        self.ws.lade("save", "-o", saved, "app:1")
        for number, kind in enumerate(("docker-archive", "oci-archive")):
            path = self.ws.out / f"{kind}.skopeo"
            self.ws.run("skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{saved}:docker.io/library/app:1",
                        f"{kind}:{path}:docker.io/library/re:{number}")
            other = self.ws.new_state(None, f"state-{number}")
            out = self.ws.lade("load", "-i", path, state=other).stdout
            self.assertEqual(out, f"Loaded image: re:{number}\n")
            self.assertEqual(self.ws.lade("run", f"re:{number}", state=other).stdout, "hello world\n")

    def test_an_index_is_made_shown_saved_and_run(self):
        self.build("FROM scratch\nCOPY Dockerfile /\n", "-t", "foreign", "--platform", "linux/s390x")
        self.ws.lade("manifest", "create", "multi:1", "app:1", "foreign")
        index = json.loads(self.ws.lade("manifest", "inspect", "multi:1").stdout)
        self.assertEqual([one["platform"]["architecture"] for one in index["manifests"]][1], "s390x")
        self.assertEqual(self.ws.lade("run", "multi:1").stdout, "hello world\n")
        self.assertEqual(json.loads(self.ws.lade("inspect", "--platform", "linux/s390x", "multi:1").stdout)[0]
                         ["Architecture"], "s390x")
        saved = self.ws.lade("save", "--format", "oci-archive", "multi:1").stdout_bytes
        other = self.ws.new_state(None, "state-other")
        self.ws.lade("load", stdin=saved, state=other)
        self.assertEqual(json.loads(self.ws.lade("manifest", "inspect", "multi:1", state=other).stdout), index)

    def test_an_index_takes_one_image_per_platform(self):
        self.build("FROM scratch\nCOPY Dockerfile /other\n", "-t", "other")
        ids = [self.inspect(name)["Id"][7:19] for name in ("app:1", "other")]
        for options in ((), ("--amend",)):
            failed = self.ws.lade("manifest", "create", *options, "multi:1", "app:1", "other", code=None)
            self.assert_fails(failed, f"the images {ids[0]} and {ids[1]} are both for linux/", "one image per platform")
        self.assertNotIn("multi:1", self.names())
        self.ws.lade("manifest", "create", "multi:1", "app:1", "app:1")  # the same one
        self.ws.lade("manifest", "create", "--amend", "multi:1", "other")
        self.assertEqual(len(json.loads(self.ws.lade("manifest", "inspect", "multi:1").stdout)["manifests"]), 1)

    def test_import_has_the_time_of_source_date_epoch(self):
        root = self.ws.out / "root.tar"
        self.build("FROM busybox\n", "-o", f"type=tar,dest={root}")
        epoch = {"SOURCE_DATE_EPOCH": "1600000000"}
        first = self.ws.lade("import", root, "made:1", env=epoch).stdout.split()[1]
        self.assertEqual(self.inspect("made:1")["Created"], "2020-09-13T12:26:40Z")
        row = json.loads(self.ws.lade("history", "--format", "json", "made:1").stdout.splitlines()[0])
        self.assertEqual(row["CreatedAt"], "2020-09-13T12:26:40Z")
        self.assertEqual(self.ws.lade("import", root, "made:2", env=epoch).stdout.split()[1], first)
        self.ws.lade("import", root, "made:3")
        self.assertGreater(self.inspect("made:3")["Created"], "2020-09-13T12:26:41")
        self.assert_fails(self.ws.lade("import", root, "made:5", env={"SOURCE_DATE_EPOCH": "soon"}, code=None),
                          "SOURCE_DATE_EPOCH: 'soon' is not a number", code=2)

    def test_import_takes_changes_and_a_message(self):
        root = self.ws.out / "root.tar"
        self.build("FROM busybox\n", "-o", f"type=tar,dest={root}")
        self.ws.lade("import", "-c", 'CMD ["echo", "changed"]', "-c", "USER 7", "-m", "why not", root, "made:1")
        self.assertEqual(self.ws.lade("run", "made:1").stdout, "changed\n")
        self.assertEqual(self.ws.lade("run", "made:1", "id", "-u").stdout, "7\n")
        self.assertIn("why not", self.ws.lade("history", "made:1").stdout)
        self.assert_fails(self.ws.lade("import", "-c", "RUN true", root, "made:2", code=None), "'RUN'", code=2)


def archive(*files):
    """A tar of (name, bytes) or TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for item in files:
            if isinstance(item, tarfile.TarInfo):
                tar.addfile(item)
                continue
            info = tarfile.TarInfo(item[0])
            info.size = len(item[1])
            tar.addfile(info, io.BytesIO(item[1]))
    return out.getvalue()


class HostileArchives(LadeTest):
    def refuse(self, packed, *messages):
        result = self.ws.lade("load", stdin=packed, code=None)
        self.assert_fails(result, *messages)
        self.assertEqual(self.ws.lade("images", "-q").stdout.count("\n"), 1, "the base alone is here")
        self.assertEqual(self.ws.lade("du", "--verify").code, 0)

    def test_names_that_leave_the_archive_are_refused(self):
        self.refuse(archive(("../../etc/evil", b"x")), "leaves the archive")
        link = tarfile.TarInfo("a/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
        self.refuse(archive(link), "leaves the archive")

    def test_blobs_must_have_the_digest_of_their_name(self):
        self.refuse(archive(("blobs/sha256/" + "0" * 64, b"other bytes")), "expected the blob sha256:0000")

    def test_what_is_missing_is_said(self):
        self.refuse(archive(("readme", b"hi")), "it holds no images")
        manifest = json.dumps([{"Config": "none.json", "RepoTags": ["a:1"], "Layers": []}]).encode()
        self.refuse(archive(("manifest.json", manifest)), "'none.json' is not in the archive")
        self.refuse(archive(("manifest.json", b"{")), "manifest.json")

    def test_a_layer_that_is_not_the_configs_is_refused(self):
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}).encode()
        layer = archive(("file", b"x"))
        manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}]).encode()
        self.refuse(archive(("c.json", config), ("l/layer.tar", layer), ("manifest.json", manifest)),
                    "is not the layer sha256:1111")

    def test_sizes_must_be_those_of_the_descriptors(self):
        def blob(data, kind, off=0):
            digest = hashlib.sha256(data).hexdigest()
            blobs.append((f"blobs/sha256/{digest}", data))
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data) + off}

        for wrong in ("manifest", "config", "layer"):
            blobs = []
            tar = archive(("file", b"x"))
            layer = blob(tar, "layer.v1.tar", wrong == "layer")
            config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
                "type": "layers", "diff_ids": [layer["digest"]]}}).encode(), "config.v1+json", wrong == "config")
            manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode(), "manifest.v1+json",
                            wrong == "manifest")
            index = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
            self.refuse(archive(*blobs, ("index.json", index), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')),
                        "index.json says" if wrong == "manifest" else f"the {wrong} sha256:")

    def test_links_in_a_circle_and_no_tar_at_all(self):
        one, two = tarfile.TarInfo("one"), tarfile.TarInfo("two")
        one.type = two.type = tarfile.SYMTYPE
        one.linkname, two.linkname = "two", "one"
        manifest = json.dumps([{"Config": "one", "Layers": []}]).encode()
        self.refuse(archive(one, two, ("manifest.json", manifest)), "'one' is not in the archive")
        self.refuse(b"not a tar at all" * 100, "it is not a tar of images")


class Engine(socketserver.ThreadingUnixStreamServer):
    """What `POST /images/load` of Docker's API does, without loading anything."""

    daemon_threads = True

    def __init__(self, path, answer=b'{"stream":"Loaded image: app:1\\n"}\n', status=200):
        engine = self
        self.requests, self.bodies = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "unix"

            def do_POST(self):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                engine.requests.append(self.path)
                engine.bodies.append(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Load(LadeTest):
    def engine(self, **answer):
        path = self.ws.dir / "docker.sock"
        engine = Engine(path, **answer)
        self.ws.defer(engine.server_close)
        self.ws.defer(engine.shutdown)
        return engine, {"DOCKER_HOST": f"unix://{path}"}

    def test_an_image_is_streamed_into_a_running_docker(self):
        engine, env = self.engine()
        result = self.build(DOCKERFILE, "--load", "-t", "app:1", env=env)
        self.assertIn("loaded into docker", result.stderr)
        self.assertEqual(engine.requests, ["/images/load?quiet=1"])
        other = self.ws.new_state(None, "state-other")
        self.assertEqual(self.ws.lade("load", stdin=engine.bodies[0], state=other).stdout, "Loaded image: app:1\n")

    def test_what_docker_says_is_the_error(self):
        _, env = self.engine(answer=b'{"errorDetail":{"message":"no room"},"error":"no room"}\n')
        self.assert_fails(self.build(DOCKERFILE, "--load", "-t", "app:1", env=env, code=None), "no room")

    def test_a_status_other_than_200_is_an_error(self):
        _, env = self.engine(answer=b'{"message":"broken"}', status=500)
        self.assert_fails(self.build(DOCKERFILE, "--load", env=env, code=None), "500", "broken")

    def test_no_docker_where_docker_host_says_is_an_error(self):
        env = {"DOCKER_HOST": f"unix://{self.ws.dir}/nobody.sock"}
        self.assert_fails(self.build(DOCKERFILE, "--load", env=env, code=None), "no Docker answers at")

    @unittest.skipUnless(shutil.which("podman") and shutil.which("skopeo"), "needs podman and skopeo")
    @unittest.skipIf(os.path.exists("/var/run/docker.sock"), "a Docker runs here")
    def test_podman_has_it_where_no_docker_runs(self):
        self.load_into_podman("vfs")

    @unittest.skipUnless(shutil.which("podman") and shutil.which("skopeo"), "needs podman and skopeo")
    @unittest.skipIf(os.path.exists("/var/run/docker.sock"), "a Docker runs here")
    def test_podmans_storage_is_left_mounted_nowhere(self):
        self.load_into_podman("overlay")  # with which skopeo leaves a mount behind

    def load_into_podman(self, driver):
        storage = self.ws.dir / "storage.conf"
        storage.write_text(f'[storage]\ndriver = "{driver}"\nrunroot = "{self.ws.dir}/run"\n'
                           f'graphroot = "{self.ws.dir}/containers"\n')
        env = {"CONTAINERS_STORAGE_CONF": str(storage)}
        before = host.mounts()
        result = self.build(DOCKERFILE, "--load", "-t", "from-lade:1", env=env)
        self.assertIn("loaded into podman", result.stderr)
        self.assertEqual(host.mounts(), before)
        out = self.ws.run("podman", "images", "--format", "{{.Repository}}:{{.Tag}}", env={**os.environ, **env})
        self.assertIn("docker.io/library/from-lade:1", out)


if __name__ == "__main__":
    unittest.main()
