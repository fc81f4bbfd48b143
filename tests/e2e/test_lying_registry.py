"""What a registry that lies leaves behind. `./dev torture registries` tells all lies."""

import hashlib
import http.server
import threading

from support import LadeTest

INDEX = "application/vnd.oci.image.index.v1+json"


class OneAnswer:
    """A registry that has one document for every name."""

    def __init__(self, body, kind):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
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
    def test_an_index_that_is_none_does_not_keep_others_from_being_listed_checked_and_collected(self):
        for body in (b"1e999", b"", b"{", b'{"schemaVersion":2,"manifests":{}}', b"[" * 10000):
            with self.subTest(body=body[:20]):
                registry = OneAnswer(body, INDEX)
                self.ws.defer(registry.stop)
                self.assert_fails(f"FROM {registry.host}/x\n")
                self.ws.lade("pull", f"{registry.host}/x", code=1)
                self.assertIn("busybox", self.ws.lade("images").stdout)
                self.ws.lade("du", "-v")
                self.ws.lade("du", "--verify")
                self.ws.lade("prune", "-f")
        self.build("FROM busybox\nRUN true\n")
