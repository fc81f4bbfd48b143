"""What a registry that lies leaves behind. `./dev torture registries` tells all lies."""

import hashlib
import http.server
import json
import threading

from image import make_tar
from support import LadeTest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Has blobs by their digests, and a document for every other name."""

    def __init__(self, body, kind, blobs=()):
        by_digest = {digest_of(blob): blob for blob in blobs}
        document = (body, kind)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                found = by_digest.get(self.path.rsplit("/", 1)[1])
                body, kind = (found, "application/octet-stream") if found is not None else document
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", digest_of(body))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class LyingRegistry(LadeTest):
    def serving(self, tar, blob, config=None, **claims):
        """An image of one layer, of which the manifest claims this."""
        config = json.dumps({"os": "linux", "architecture": "amd64", "config": config or {},
                             "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]}}).encode()
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(blob), "size": len(blob), **claims}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer], "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config), "size": len(config)}}).encode()
        registry = Registry(manifest, MANIFEST, [config, blob])
        self.ws.defer(registry.stop)
        return f"FROM {registry.host}/x\nCOPY f /\n"

    def test_what_one_manifest_says_of_a_blob_holds_for_no_other_image(self):
        """The liar names the blob of another registry's image, with a false size."""
        tar = make_tar([("truth", b"the truth\n")])
        self.write({"f": "f"})
        for claims in ({"size": 1}, {"size": len(tar) + 1}, {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "size": 3}):
            with self.subTest(claims=claims):
                state = self.ws.new_state(name="state-" + str(claims["size"]))
                self.assert_fails(self.serving(tar, tar, **claims), state=state)
                image = self.image(self.serving(tar, tar), state=state)
                self.assertEqual(image.tree()["truth"].text, "the truth\n")
                self.assertEqual((image.layers[0]["size"], image.layers[0]["mediaType"]),
                                 (len(tar), "application/vnd.oci.image.layer.v1.tar"))

    def test_a_base_with_very_many_triggers_is_refused(self):
        self.write({"f": "f"})
        tar = make_tar([("a", b"a")])
        self.assert_fails(self.serving(tar, tar, {"OnBuild": ["LABEL a=b"] * 1001}), "Dockerfile:1", "1001 ONBUILD")
        self.build(self.serving(tar, tar, {"OnBuild": ["LABEL a=b"] * 1000}))

    def test_a_blob_that_is_not_the_layer_is_not_kept_for_it(self):
        tar = make_tar([("truth", b"the truth\n")])
        self.write({"f": "f"})
        for blob in (b"", make_tar([("truth", b"a lie\n")])):
            self.assert_fails(self.serving(tar, blob), "its tar has diff ID")
            self.assertIn(" 0 damaged", self.ws.lade("du", "--verify").stdout)
        self.assertEqual(self.image(self.serving(tar, tar)).tree()["truth"].text, "the truth\n")

    def test_an_index_that_is_none_does_not_keep_others_from_being_listed_checked_and_collected(self):
        for body in (b"1e999", b"", b"{", b'{"schemaVersion":2,"manifests":{}}', b"[" * 10000):
            with self.subTest(body=body[:20]):
                registry = Registry(body, INDEX)
                self.ws.defer(registry.stop)
                self.assert_fails(f"FROM {registry.host}/x\n")
                self.ws.lade("pull", f"{registry.host}/x", code=1)
                self.assertIn("busybox", self.ws.lade("images").stdout)
                self.ws.lade("du", "-v")
                self.ws.lade("du", "--verify")
                self.ws.lade("prune", "-f")
        self.build("FROM busybox\nRUN true\n")
