"""Where base images and contexts come from, and what is not fetched."""

import hashlib
import http.client
import http.server
import json
import shutil
import signal
import subprocess
import threading
import time

from image import Image
from support import LadeTest


class NamedContexts(LadeTest):
    def layout(self, text, tag, name="layout"):
        """An OCI layout made by lade itself."""
        path = self.ws.dir / name
        self.build(text, "-t", f"base:{tag}", "-o", f"type=oci,tar=false,dest={path}", context=self.ws.dir / f"for-{name}")
        return path

    def test_an_oci_layout_is_a_base_by_tag_digest_or_alone(self):
        path = self.layout("FROM busybox\nRUN echo in the layout > /f\nENV FROM_LAYOUT=yes\n", "v1")
        digest = Image.read(path).digest
        empty = self.ws.new_state(None, "state-empty")
        for source in (f"oci-layout://{path}:v1", f"oci-layout://{path}", f"oci-layout://{path}@{digest}"):
            result = self.build("FROM base\nRUN cat /f; echo $FROM_LAYOUT\n", "--no-cache", "--build-context", f"base={source}",
                                state=empty)
            self.assertEqual(result.log("RUN"), ["in the layout", "yes"])

    def test_a_relative_layout_is_relative_to_the_working_directory(self):
        self.layout("FROM busybox\n", "v1")
        self.build("FROM base\nRUN true\n", "--build-context", "base=oci-layout://layout:v1", cwd=self.ws.dir)

    def test_copy_from_a_layout_and_a_directory_and_an_image(self):
        path = self.layout("FROM scratch\nCOPY Dockerfile /from-layout\n", "v1")
        other = self.ws.dir / "other"
        self.write({"sub/from-directory": "d"}, other)
        tree = self.tree("FROM scratch\nCOPY --from=lay /from-layout /\nCOPY --from=dir sub /\nCOPY --from=busybox /etc/passwd /\n",
                         "--build-context", f"lay=oci-layout://{path}:v1", "--build-context", f"dir={other}")
        self.assertEqual(sorted(tree), ["from-directory", "from-layout", "passwd"])

    def test_an_oci_archive_unpacked_by_tar_is_a_layout(self):
        self.image("FROM busybox\nENV A=b\n", "-t", "x:1", name="x.tar")
        unpacked = self.ws.dir / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "-C", unpacked, "-xf", self.ws.out / "x.tar"], check=True)
        result = self.build("FROM base\nRUN echo $A\n", "--build-context", f"base=oci-layout://{unpacked}:1")
        self.assertEqual(result.log("RUN"), ["b"])

    def test_a_named_context_beats_an_image_and_a_docker_image_can_be_named(self):
        self.build("FROM busybox\nENV WHICH=other\n", "-t", "other")
        result = self.build("FROM busybox\nRUN echo $WHICH\n", "--build-context", "busybox=docker-image://other")
        self.assertEqual(result.log("RUN"), ["other"])

    def test_an_index_without_images_says_so(self):
        path = self.layout("FROM busybox\n", "v1")
        empty = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
        digest = hashlib.sha256(empty).hexdigest()
        (path / "blobs/sha256" / digest).write_bytes(empty)
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{digest}", "size": len(empty)}]}))
        result = self.assert_fails("FROM base\n", "has no image for linux/", ": its index is empty",
                                   args=("--build-context", f"base=oci-layout://{path}"))
        self.assertNotIn("it has", result.stderr)

    def test_a_missing_tag_names_what_there_is(self):
        path = self.layout("FROM busybox\n", "v1")
        self.assert_fails("FROM base\n", "v2", args=("--build-context", f"base=oci-layout://{path}:v2"))
        self.assert_fails("FROM base\n", "nowhere", args=("--build-context", "base=oci-layout:///nowhere"))

    def test_a_flipped_byte_in_a_layouts_blob_is_found_and_nothing_is_kept(self):
        path = self.layout("FROM busybox\nRUN echo f > /f\n", "v1")
        image = Image.read(path)
        blob = path / "blobs" / image.layers[0]["digest"].replace(":", "/")
        good = blob.read_bytes()
        state = self.ws.new_state(None, "state-corrupt")
        args = ("--build-context", f"base=oci-layout://{path}:v1")
        self.write({"Dockerfile": "FROM base\nRUN cat /f\n"})
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        for damaged in (bytes(bad), good[:-10], good[:100], b"", good + b"more"):
            blob.chmod(0o644)
            blob.write_bytes(damaged)
            self.assert_fails(self.build(None, *args, state=state, code=None), image.layers[0]["digest"])
            self.assertEqual(self.ws.leftovers(), [])
        blob.write_bytes(good)
        self.assertEqual(self.build(None, *args, state=state).log("RUN"), ["f"])

    def test_a_corrupt_manifest_or_config_is_found(self):
        path = self.layout("FROM busybox\n", "v1")
        image = Image.read(path)
        state = self.ws.new_state(None, "state-corrupt")
        for descriptor in (image.descriptor, image.manifest["config"]):
            blob = path / "blobs" / descriptor["digest"].replace(":", "/")
            good = blob.read_bytes()
            blob.chmod(0o644)
            blob.write_bytes(good.replace(b"sha256", b"sha257", 1) if b"sha256" in good else good[:-1] + b" ")
            self.assert_fails("FROM base\nRUN true\n", descriptor["digest"],
                              args=("--build-context", f"base=oci-layout://{path}:v1"), state=state)
            blob.write_bytes(good)


class Registries(LadeTest):
    def setUp(self):
        super().setUp()
        self.registry = self.ws.registry()
        self.image("FROM busybox\nRUN echo in the registry > /f\nENV REMOTE=1\n", "-t", "app:v1", name="app.tar")
        self.digest = self.registry.push(f"oci-archive:{self.ws.out}/app.tar", "team/app:v1")
        self.name = f"{self.registry.host}/team/app"
        self.state = self.ws.new_state(None, "state-pulling")

    def pulls(self):
        """Requests for blobs since the last call."""
        requests = self.registry.requests()
        new, self.seen = requests[getattr(self, "seen", 0):], len(requests)
        return [request for request in new if request.startswith(("GET", "HEAD")) and "/team/" in request]

    def from_registry(self, text, *args, **run):
        return self.build(text.replace("NAME", self.name), *args, state=self.state, **run)

    def test_a_tag_and_a_digest_are_pulled_and_run(self):
        result = self.from_registry("FROM NAME:v1\nRUN cat /f\n")
        self.assertEqual(result.log("RUN"), ["in the registry"])
        self.assertIn(self.digest, result.stderr)
        result = self.from_registry(f"FROM NAME@{self.digest}\nRUN cat /f; echo again\n")
        self.assertEqual(result.log("RUN"), ["in the registry", "again"])

    def test_a_fully_cached_build_asks_the_registry_for_nothing(self):
        self.from_registry("FROM NAME:v1\nRUN cat /f\n")
        self.assertTrue(self.pulls())
        result = self.from_registry("FROM NAME:v1\nRUN cat /f\n")
        self.assertEqual((result.ran, self.pulls()), ([], []))
        self.registry.stop()
        self.assertEqual(self.from_registry("FROM NAME:v1\nRUN cat /f\n").ran, [])

    def test_config_only_builds_fetch_no_layer_until_an_export_needs_it(self):
        self.pulls()
        self.from_registry("FROM NAME:v1\nENV A=b\nCMD [\"x\"]\n")
        layer_requests = [request for request in self.pulls() if "/blobs/" in request]
        self.assertEqual(len(layer_requests), 1, f"more than the config: {layer_requests}")
        path = self.ws.out / "exported.tar"
        self.from_registry("FROM NAME:v1\nENV A=b\nCMD [\"x\"]\n", "-o", f"type=oci,dest={path}")
        layers = [layer["digest"] for layer in Image.read(path).layers]
        fetched = [request.rpartition("/")[2] for request in self.pulls() if "/blobs/" in request]
        self.assertEqual(sorted(fetched), sorted(layers))
        self.assertEqual([layer["digest"] for layer in Image.read(self.ws.out / "app.tar").layers], layers)
        self.assertFalse(list((self.state / "layers").glob("*/bin")), "nothing had to be extracted")

    def test_an_unneeded_stages_base_is_not_pulled(self):
        self.pulls()
        self.from_registry("FROM NAME:v1 AS unused\nRUN true\nFROM scratch\nCOPY Dockerfile /\n")
        self.assertEqual(self.pulls(), [])

    def test_pull_always_asks_again_and_never_does_not(self):
        self.from_registry("FROM NAME:v1\nRUN cat /f\n")
        self.pulls()
        self.assertEqual(self.from_registry("FROM NAME:v1\nRUN cat /f\n", "--pull").ran, [])
        self.assertTrue([request for request in self.pulls() if "/manifests/v1" in request])
        empty = self.ws.new_state(None, "state-never")
        result = self.build(None, "--pull=never", state=empty, code=None)
        self.assert_fails(result, f"{self.name}:v1", "Dockerfile:1")
        self.assertEqual(self.pulls(), [])

    def test_a_moved_tag_is_seen_with_pull_and_only_then(self):
        text = "FROM NAME:v1\nRUN cat /f\n"
        self.from_registry(text)
        self.image("FROM busybox\nRUN echo newer > /f\n", name="new.tar", context=self.ws.dir / "new")
        self.registry.push(f"oci-archive:{self.ws.out}/new.tar", "team/app:v1")
        self.assertEqual(self.from_registry(text).ran, [])
        self.assertEqual(self.from_registry(text, "--pull=always").log("RUN"), ["newer"])
        self.assertEqual(self.from_registry(text).ran, [])

    def test_docker_schema_2_and_zstd_images_are_pulled(self):
        self.build("FROM busybox\nRUN echo docker > /f\n", "-o", f"type=docker,dest={self.ws.out}/d.tar")
        self.registry.push(f"docker-archive:{self.ws.out}/d.tar", "team/docker:1")
        self.assertEqual(self.from_registry("FROM NAME/../docker:1\nRUN cat /f\n".replace(
            "NAME/../docker", f"{self.registry.host}/team/docker")).log("RUN"), ["docker"])
        self.image("FROM busybox\nRUN echo zstd > /f\n", name="z.tar", options=",compression=zstd")
        self.registry.push(f"oci-archive:{self.ws.out}/z.tar", "team/zstd:1")
        self.assertEqual(self.from_registry(f"FROM {self.registry.host}/team/zstd:1\nRUN cat /f\n").log("RUN"), ["zstd"])

    def test_a_corrupt_or_truncated_blob_in_the_registry_is_an_error_and_nothing_stays(self):
        layer = Image.read(self.ws.out / "app.tar").layers[-1]["digest"]
        path = self.registry.blob_path(layer)
        good = path.read_bytes()
        bad = bytearray(good)
        bad[-20] ^= 0xff
        for damaged in (bytes(bad), good[:-9]):
            path.write_bytes(damaged)
            self.assert_fails(self.from_registry("FROM NAME:v1\nRUN cat /f\n", code=None), layer)
            self.assertEqual(self.ws.leftovers(), [])
        path.write_bytes(good)
        self.assertEqual(self.from_registry("FROM NAME:v1\nRUN cat /f\n").log("RUN"), ["in the registry"])

    def test_a_missing_blob_is_an_error_that_names_it(self):
        layer = Image.read(self.ws.out / "app.tar").layers[-1]["digest"]
        shutil.rmtree(self.registry.blob_path(layer).parent)
        self.assert_fails(self.from_registry("FROM NAME:v1\nRUN cat /f\n", code=None), layer)

    def test_an_image_or_tag_that_is_not_there(self):
        for name in ("NAME:none", f"{self.registry.host}/no/such:1", "NAME@sha256:" + "0" * 64):
            result = self.assert_fails(self.from_registry(f"FROM {name}\nRUN true\n", code=None), "Dockerfile:1",
                                       name.replace("NAME", self.name))
            self.assertRegex(result.stderr, "ERROR: .*(404|not found)")

    def test_an_unreachable_registry_fails_soon_and_names_it(self):
        self.registry.stop()
        result = self.assert_fails(self.from_registry("FROM NAME:v1\nRUN true\n", code=None), "Dockerfile:1",
                                   self.registry.host)
        self.assertRegex(result.stderr, "(?i)connect|refused")
        self.assertLess(result.seconds, 60)


class Proxy:
    """Stands before a registry and treats requests whose path contains `match` badly."""

    def __init__(self, upstream, match):
        self.upstream, self.match, self.hits = upstream, match, 0
        self.released = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                proxy.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        matched = self.match in request.path and request.command == "GET"
        self.hits += matched
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        connection.request(request.command, request.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if matched and self.misbehave(request, answer, body):
            request.close_connection = True
            return
        self.send(request, answer, body)

    def misbehave(self, request, answer, body):
        """Returns False to have the answer sent as it is."""
        raise NotImplementedError

    @staticmethod
    def send(request, answer, body, length=None):
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "server", "connection", "content-length"):
                request.send_header(name, value)
        request.send_header("Content-Length", answer.getheader("Content-Length") or str(len(body)))
        request.end_headers()
        request.wfile.write(body[:length])

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class CuttingProxy(Proxy):
    """Cuts the first two connections in the middle of the body."""

    def misbehave(self, request, answer, body):
        if self.hits > 2:
            return False
        self.send(request, answer, body, len(body) // 2)
        return True


class BusyProxy(Proxy):
    """Says 503 twice, and 429 once."""

    def misbehave(self, request, answer, body):
        if self.hits > 3:
            return False
        request.send_response(503 if self.hits < 3 else 429)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True


class StallingProxy(Proxy):
    """Sends half of the body and then nothing."""

    def misbehave(self, request, answer, body):
        self.send(request, answer, body, len(body) // 2)
        request.wfile.flush()
        self.released.wait(120)
        return True


class FlakyRegistries(LadeTest):
    def setUp(self):
        super().setUp()
        self.registry = self.ws.registry()
        self.layer = self.image("FROM busybox\nRUN echo far away > /f\n", name="app.tar").layers[0]["digest"]
        self.registry.push(f"oci-archive:{self.ws.out}/app.tar", "team/app:v1")
        self.state = self.ws.new_state(None, "state-pulling")

    def behind(self, proxy_type):
        proxy = proxy_type(self.registry.host, f"/blobs/{self.layer}")
        self.ws.defer(proxy.stop)
        self.write({"Dockerfile": f"FROM {proxy.host}/team/app:v1\nRUN cat /f\n"})
        return proxy

    def test_connections_that_are_cut_are_resumed(self):
        proxy = self.behind(CuttingProxy)
        self.assertEqual(self.build(None, state=self.state).log("RUN"), ["far away"])
        self.assertGreaterEqual(proxy.hits, 3)

    def test_a_busy_registry_is_asked_again(self):
        proxy = self.behind(BusyProxy)
        self.assertEqual(self.build(None, state=self.state).log("RUN"), ["far away"])
        self.assertEqual(proxy.hits, 4)

    def test_sigint_during_a_stalled_pull_ends_quickly_and_leaves_nothing(self):
        proxy = self.behind(StallingProxy)
        process = self.ws.spawn("build", self.ws.context, state=self.state)
        deadline = time.monotonic() + 60
        while not proxy.hits and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        result = self.ws.finish(process, 30)
        self.assertNotIn(result.code, (0, -signal.SIGKILL), str(result))
        self.assertLess(time.monotonic() - sent, 5)
        # A transfer that cannot be stopped ends with the process; the next build sweeps what it had begun.
        self.build("FROM scratch\nCOPY f /\n", files={"f": "f\n"}, state=self.state)
        self.assertEqual(self.ws.leftovers(), [])


class OddPlaces(LadeTest):
    def test_paths_with_separators_of_options_work_everywhere(self):
        for name in ("co:lon,comma", "with space", "quo'te\"", "ünï"):
            with self.subTest(name=name):
                place = self.ws.dir / name
                place.mkdir()
                state = self.ws.new_state(name=f"{name}/state")
                context = place / "context"
                self.write({"f": "f\n"}, context)
                output = place / "out.tar"
                quoted = str(output).replace('"', '""')
                result = self.build("FROM busybox\nCOPY f /\nRUN --mount=type=bind,target=/m --mount=type=cache,target=/c "
                                    "cat /m/f /f && rm /f\n", "-o", f'type=oci,"dest={quoted}"', context=context, state=state)
                self.assertEqual(result.log("RUN"), ["f", "f"])
                self.assertNotIn("f", Image.read(output).tree())

    def test_five_hundred_layers_run_and_export(self):
        text = "FROM busybox\n" + "".join(f"COPY f /d{i}\n" for i in range(520)) + "RUN ls -d /d* | wc -l; echo more >> /d5; rm /d6\n"
        image = self.image(text, files={"f": "f\n"})
        tree = image.tree()
        self.assertEqual((len(image.layers), tree["d5"].text, "d6" in tree, len([name for name in tree if name[0] == "d" and name != "dev"])),
                         (522, "f\nmore\n", False, 519))
