"""What ADD reads over HTTP: a loopback server with a few files and, through git's own http-backend, a repository."""

import gzip
import http.server
import os
import subprocess
import threading
import urllib.parse

import support
from image import make_tar

HELLO = b"hello\n"
# path -> the Authorization that it wants
GUARDED = {"/token": "Bearer sesame", "/basic": "Basic dXNlcjpwYXNz"}
# path -> (status, headers)
OTHERS = {"/redirect": (302, {"Location": "/hello.txt"}), "/loop": (302, {"Location": "/loop"}), "/broken": (500, {})}
DATED = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}
# path -> (headers, content)
FILES = {
    "/": (DATED, b"the root\n"),
    "/hello.txt": (DATED, HELLO),
    "/a.tar.gz": (DATED, gzip.compress(make_tar([("in/archive", b"unpacked\n")]), mtime=0)),
    "/named": ({**DATED, "Content-Disposition": 'attachment; filename="proper-name.txt"'}, b"named\n"),
    "/climbs": ({**DATED, "Content-Disposition": 'attachment; filename="../../climbed"'}, b"climbs\n"),
    "/with%20space.txt": (DATED, b"space\n"),
    "/undated": ({}, b"undated\n"),
    "/large.bin": (DATED, bytes(range(256)) * 20000),
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, headers, content):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if ".git" in url.path:
            self._git(url)
        elif url.path in OTHERS:
            self._answer(*OTHERS[url.path], b"")
        elif url.path in GUARDED:
            allowed = self.headers.get("Authorization") == GUARDED[url.path]
            self._answer(200 if allowed else 401, DATED, b"guarded\n")
        elif url.path in FILES:
            self._answer(200, *FILES[url.path])
        elif (made := self.server.directory / url.path.lstrip("/")).is_file():  # a context of remote.py
            self._answer(200, DATED, made.read_bytes())
        else:
            self._answer(404, {}, b"not here\n")

    do_HEAD = do_POST = do_GET

    def _git(self, url):
        """Runs the CGI program; its answer is a header, an empty line, and the content."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.directory), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": url.path, "QUERY_STRING": url.query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1"}
        out = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=False).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status, headers, content)


class Server:
    def __init__(self, directory):
        directory.mkdir()
        _make_repository(directory)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.directory = directory
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def _make_repository(directory):
    """repo.git: branches main and other, tag v1.0 before main's last commit, modes and a symlink."""
    work = directory / "work"
    date = "2020-01-02T03:04:05Z"
    env = support.environment({
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": "/dev/null"})

    def git(*args, where=work):
        subprocess.run(["git", "-C", where, *args], check=True, env=env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def commit(message, **files):
        for name, text in files.items():
            path = work / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", message)

    work.mkdir()
    git("init", "-q", "-b", "main")
    commit("first", README="first\n", sub__file="in a subdirectory\n", sub__deep__more="more\n")
    git("tag", "-a", "-m", "one", "v1.0")
    git("checkout", "-q", "-b", "other")
    commit("on the other branch", README="other\n", sub__file="other\n")
    git("checkout", "-q", "main")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("README")
    commit("second", README="second\n")
    git("clone", "-q", "--bare", str(work), str(directory / "repo.git"), where=directory)
