"""A web server on loopback: files of www/ and, by git's smart protocol, the repository git/repo.git.

    python3 site_server.py DIRECTORY PORT      # as a program, for the scripts that shrinking writes

Files are told apart by what is in them (ETag), so that a change within a second is one.
"""

import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse

GIT_BACKEND = "/usr/lib/git-core/git-http-backend"
# Commits, and publishes what there is.
COMMIT = """#!/bin/sh
export HOME=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_COMMITTER_DATE='1700000000 +0000' GIT_AUTHOR_DATE='1700000000 +0000'
cd "$(dirname "$0")"
git -C repo add -A
git -C repo -c user.name=n -c user.email=e commit -q -m m --allow-empty
rm -rf git
git -c init.defaultBranch=main clone -q --mirror repo git/repo.git
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory = pathlib.Path()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/git/"):
            return self.git(url)
        path = self.directory / "www" / url.path.lstrip("/")
        if not path.is_file():
            return self.answer(404, b"")
        data = path.read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            return self.answer(304, b"", ETag=tag)
        return self.answer(200, data, ETag=tag, Last_Modified=self.date_time_string(path.stat().st_mtime))

    do_POST = do_HEAD = do_GET

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def git(self, url):
        length = int(self.headers.get("Content-Length") or 0)
        env = {**os.environ, "GIT_PROJECT_ROOT": str(self.directory / "git"), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": url.path.removeprefix("/git"), "QUERY_STRING": url.query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1",
               "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}
        done = subprocess.run([GIT_BACKEND], input=self.rfile.read(length), env=env, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200").split()[0])
        self.answer(status, body, **fields)

    def log_message(self, *_):
        pass


class Site:
    def __init__(self, directory, port=0):
        handler = type("Bound", (Handler,), {"directory": pathlib.Path(directory)})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that are killed
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


if __name__ == "__main__":
    Site(sys.argv[1], int(sys.argv[2])).server.serve_forever()
