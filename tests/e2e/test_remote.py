"""What comes over the network: ADD of URLs and git repositories, remote contexts, contexts on standard input."""

import http.server
import os
import pathlib
import signal
import subprocess
import tarfile
import threading
import time
import urllib.parse

from image import compress, make_tar, tar_info
from support import LadeTest, environment

GIT_BACKEND = "/usr/lib/git-core/git-http-backend"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below `www`, repositories below `repos` by git's smart protocol as /git/NAME, both with a password or
    not, and answers that are made up."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, directory=str(self.site.www), **kwargs)

    def do_GET(self):
        self.site.requests.append(f"{self.command} {self.path}")
        self.site.authorizations.append(self.headers.get("Authorization", ""))
        path = urllib.parse.urlsplit(self.path)
        if path.path in self.site.answers:
            self.site.answers[path.path](self)
        elif path.path.startswith("/git/"):
            self.git(path)
        else:
            super().do_GET()

    do_POST = do_GET

    def git(self, path):
        length = int(self.headers.get("Content-Length") or 0)
        env = {**os.environ, "GIT_PROJECT_ROOT": str(self.site.repos), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path.path.removeprefix("/git"), "QUERY_STRING": path.query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}
        done = subprocess.run([GIT_BACKEND], input=self.rfile.read(length), env=env, capture_output=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for field in fields.items():
            self.send_header(*field)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Site:
    """A web server on loopback."""

    def __init__(self, directory):
        self.www, self.repos, self.work = directory / "www", directory / "repos", directory / "work"
        for path in (self.www, self.repos, self.work):
            path.mkdir(parents=True)
        self.requests, self.authorizations, self.answers = [], [], {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def file(self, name, data, mtime=1500000000):
        path = self.www / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        os.utime(path, (mtime, mtime))
        return f"{self.url}/{name}"

    def git(self, name, *args):
        env = {**environment(), "HOME": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_COMMITTER_DATE": "1600000000 +0000",
               "GIT_AUTHOR_DATE": "1600000000 +0000"}
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main",
                   "-c", "protocol.file.allow=always", "-C", self.work / name, *args]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, name, files):
        """Commits and publishes; returns the URL. File names that end in "*" are executable."""
        work = self.work / name
        if not work.exists():
            work.mkdir()
            self.git(name, "init", "-q")
        for path, text in files.items():
            target = work / path.rstrip("*")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755 if path.endswith("*") else 0o644)
        self.git(name, "add", "-A")
        self.git(name, "commit", "-q", "-m", "m", "--allow-empty")
        return self.publish(name)

    def publish(self, name):
        bare = self.repos / f"{name}.git"
        subprocess.run(["rm", "-rf", bare], check=True)
        self.git(name, "clone", "-q", "--mirror", self.work / name, bare)
        return f"{self.url}/git/{name}.git"


class RemoteTest(LadeTest):
    def setUp(self):
        super().setUp()
        self.site = Site(self.ws.dir / "site")
        self.ws.defer(self.site.stop)

    def send(self, status=200, body=b"", **headers):
        """An answer: headers with "_" for "-"."""
        def answer(handler):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        return answer


class AddUrl(RemoteTest):
    def test_a_url_is_a_file_of_mode_600_with_the_servers_time(self):
        url = self.site.file("f.txt", "content")
        image = self.image(f"FROM scratch\nADD {url} /d/\nADD {url}?x=/y /named\nADD --chmod=640 --chown=3:4 {url} /o\n")
        tree = image.tree()
        for path in ("d/f.txt", "named"):
            self.assertEqual((tree[path].data, tree[path].mode, tree[path].owner, int(tree[path].mtime)),
                             (b"content", 0o600, (0, 0), 1500000000), path)
        self.assertEqual((tree["o"].mode, tree["o"].owner), (0o640, (3, 4)))
        self.assertEqual([entry["created_by"] for entry in image.config["history"]],
                         [f"ADD {url} /d/ # buildkit", f"ADD {url}?x=/y /named # buildkit",
                          f"ADD --chown=3:4 --chmod=640 {url} /o # buildkit"])

    def test_an_unchanged_url_is_cached_and_not_sent_again(self):
        url = self.site.file("f", "1")
        text = f"FROM busybox\nADD {url} /f\nRUN cat /f\n"
        self.assertEqual(self.build(text).log("RUN"), ["1"])
        again = self.build(text)
        self.assertEqual((again.ran, len(self.site.requests)), ([], 2))
        self.site.file("f", "2", mtime=1500000001)
        self.assertEqual(self.build(text).log("RUN"), ["2"])
        # Touched, but the same: nothing runs.
        self.site.file("f", "2", mtime=1500000002)
        self.assertEqual(self.build(text).ran, [])

    def test_archives_are_kept_unless_they_are_to_be_unpacked(self):
        data = compress(make_tar([tar_info("d/f", mode=0o4750, uid=7, gid=8)]), "zst")
        url = self.site.file("x.tar.zst", data)
        tree = self.tree(f"FROM scratch\nADD {url} /a/\nADD --unpack=true {url} /b/\nADD --link --unpack=true {url} /c/\n")
        self.assertEqual(tree["a/x.tar.zst"].data, data)
        for path in ("b/d/f", "c/d/f"):
            self.assertEqual((tree[path].owner, tree[path].mode), ((7, 8), 0o4750))

    def test_a_checksum_is_checked_and_saves_asking(self):
        url = self.site.file("f", "content")
        good = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
        self.assert_fails(f"FROM scratch\nADD --checksum=sha256:{good[::-1]} {url} /\n", "Dockerfile:2", "digest mismatch",
                          good)
        text = f"FROM scratch\nARG SUM={good}\nADD --checksum=sha256:${{SUM}} {url} /\n"
        self.build(text)
        asked = len(self.site.requests)
        self.assertEqual((self.build(text).ran, len(self.site.requests)), ([], asked))

    def test_failures_name_the_line_the_url_and_the_cause(self):
        url = f"{self.site.url}/missing"
        self.assert_fails(f"FROM scratch\nADD {url} /\n", "Dockerfile:2", f"ERROR: {url}: server said 404 Not Found")
        self.assert_fails("FROM scratch\nADD http://127.0.0.1:1/x /\n", "Dockerfile:2", "could not reach 127.0.0.1:1")
        self.site.answers["/evil"] = self.send(302, Location="file:///etc/passwd")
        self.assert_fails(f"FROM scratch\nADD {self.site.url}/evil /\n", "Dockerfile:2", "/evil: could not reach")

    def test_secrets_authorize_and_are_not_in_the_image_or_the_output(self):
        url = self.site.file("f", "content")
        image = self.image(f"FROM scratch\nADD {url} /\n", "--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN",
                           env={"TOKEN": "top-secret"})
        self.assertEqual(self.site.authorizations, ["Bearer top-secret"])
        self.assertNotIn("top-secret", str(image.config) + str(self.ws.transcript))

    def test_two_builds_at_once_download_and_both_have_it(self):
        url = self.site.file("f", os.urandom(3_000_000))
        self.write({"Dockerfile": f"FROM scratch\nADD {url} /f\n"})
        builds = [self.ws.spawn("build", self.ws.context) for _ in range(3)]
        self.assertEqual([self.ws.finish(build).code for build in builds], [0, 0, 0])

    def test_an_interrupt_ends_an_endless_download_and_leaves_nothing(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            try:
                while True:
                    handler.wfile.write(bytes(100_000))
                    time.sleep(0.01)
            except OSError:
                pass
        self.site.answers["/endless"] = endless
        self.write({"Dockerfile": f"FROM scratch\nADD {self.site.url}/endless /f\n"})
        build = self.ws.spawn("build", self.ws.context)
        deadline = time.monotonic() + 20
        while not self.site.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        build.send_signal(signal.SIGINT)
        self.assertEqual(self.ws.finish(build, timeout=10).code, 130)

    def test_memory_stays_flat(self):
        big = 300_000_000
        with open(self.site.www / "big", "wb") as file:
            file.truncate(big)
        self.write({"Dockerfile": f"FROM scratch\nADD {self.site.url}/big /big\n"})
        build = self.ws.spawn("build", self.ws.context)
        peak = 0
        while build.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{build.pid}/status").read_text()
            except OSError:
                break
            peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
            time.sleep(0.05)
        self.assertEqual(self.ws.finish(build).code, 0)
        self.assertLess(peak, 150_000)  # kB


class AddGit(RemoteTest):
    def repository(self):
        url = self.site.commit("r", {"a": "1", "sub/f": "f", "bin/tool*": "t"})
        self.site.git("r", "tag", "-a", "-m", "m", "v1")
        self.site.commit("r", {"a": "2"})
        return url

    def test_a_repository_is_added_without_its_git_directory(self):
        url = self.repository()
        tree = self.tree(f"FROM scratch\nADD {url} /r\nADD {url}#v1 /v1/\nADD {url}?branch=main&subdir=sub /s\n")
        self.assertEqual(sorted(path for path, entry in tree.items() if entry.type == "file"),
                         ["r/a", "r/bin/tool", "r/sub/f", "s/f", "v1/a", "v1/bin/tool", "v1/sub/f"])
        self.assertEqual((tree["r/a"].data, tree["v1/a"].data), (b"2", b"1"))
        self.assertEqual((tree["r/a"].mode, tree["r/bin/tool"].mode, tree["r/sub"].mode, tree["r/a"].owner),
                         (0o644, 0o755, 0o755, (0, 0)))

    def test_keep_git_dir_keeps_a_working_repository(self):
        url = self.repository()
        self.build(f"FROM scratch\nADD --keep-git-dir=true {url}#v1 /\n", "-o", f"type=local,dest={self.ws.out}/r")
        log = self.ws.run("git", "-c", "safe.directory=*", "-C", self.ws.out / "r", "describe", "--tags")
        self.assertEqual(log.strip(), "v1")
        status = self.ws.run("git", "-c", "safe.directory=*", "-C", self.ws.out / "r", "status", "--porcelain")
        self.assertEqual(status, "")

    def test_an_unchanged_repository_is_cached_and_a_new_commit_is_not(self):
        url = self.repository()
        text = f"FROM busybox\nADD --exclude=bin {url} /r\nRUN cat /r/a; echo; ls /r\n"
        self.assertEqual(self.build(text).log("RUN"), ["2", "a", "sub"])
        self.assertEqual(self.build(text).ran, [])
        self.site.commit("r", {"bin/tool*": "other"})
        # Another commit with the same files as far as they are added: nothing runs.
        self.assertEqual(self.build(text).ran, [])
        self.site.commit("r", {"a": "3"})
        self.assertEqual(self.build(text).log("RUN")[0], "3")

    def test_a_checksum_pins_the_commit(self):
        url = self.repository()
        first = self.site.git("r", "rev-parse", "v1^{commit}")
        self.build(f"FROM scratch\nADD --checksum={first[:7]} {url}#v1 /\n")
        self.build(f"FROM scratch\nADD {url}#{first} /\n")
        self.assert_fails(f"FROM scratch\nADD --checksum={first} {url}#main /\n", "Dockerfile:2",
                          f"expected checksum to match {first}")

    def test_several_kinds_of_sources_in_one_instruction(self):
        url, file = self.repository(), self.site.file("file", "over http")
        tree = self.tree(f"FROM scratch\nADD local {file} {url}#v1 <<here /d/\nlines\nhere\n", files={"local": "l"})
        self.assertEqual({path: entry.data for path, entry in tree.items() if entry.type == "file"},
                         {"d/local": b"l", "d/file": b"over http", "d/here": b"lines\n", "d/a": b"1", "d/sub/f": b"f",
                          "d/bin/tool": b"t"})

    def test_link_and_ownership(self):
        url = self.repository()
        tree = self.tree(f"FROM busybox\nADD --link --chown=5:6 {url} /r/\n")
        self.assertEqual((tree["r/a"].owner, tree["r/sub"].owner, tree["r"].owner), ((5, 6), (5, 6), (5, 6)))

    def test_submodules_come_along(self):
        self.site.commit("other", {"o": "other"})
        self.repository()
        self.site.git("r", "submodule", "--quiet", "add", self.site.repos / "other.git", "mod")
        self.site.git("r", "config", "-f", ".gitmodules", "submodule.mod.url", "../other.git")
        url = self.site.commit("r", {})
        tree = self.tree(f"FROM scratch\nADD {url} /a\nADD {url}?submodules=false /b\n")
        self.assertEqual((tree["a/mod/o"].data, "b/mod/o" in tree, "a/mod/.git" in tree), (b"other", False, False))

    def test_mistakes_name_the_line(self):
        url = self.repository()
        self.assert_fails(f"FROM scratch\nADD {url}#none /\n", "Dockerfile:2", "has no branch or tag 'none'")
        self.assert_fails(f"FROM scratch\nADD {url}?what=x /\n", "Dockerfile:2", 'unexpected query "what"')
        self.assert_fails(f"FROM scratch\nADD {self.site.url}/git/none.git /\n", "Dockerfile:2", "not found")
        self.assert_fails("FROM scratch\nADD git@127.0.0.1:x/y.git /\n", "Dockerfile:2", "SSH agent", "--ssh default")

    def test_git_tokens_authorize(self):
        url = self.repository()
        self.build(f"FROM scratch\nADD {url} /\n", "--secret", "id=GIT_AUTH_TOKEN,env=TOKEN", env={"TOKEN": "top-secret"})
        self.assertIn("basic eC1hY2Nlc3MtdG9rZW46dG9wLXNlY3JldA==", self.site.authorizations)
        self.assertNotIn("top-secret", str(self.ws.transcript))

    def test_a_repository_that_moved_within_its_server_still_gets_its_token(self):
        """As hosts do it for renamed repositories."""
        self.repository()
        basic = "basic eC1hY2Nlc3MtdG9rZW46dG9wLXNlY3JldA=="
        for path in ("info/refs?service=git-upload-pack", "git-upload-pack"):
            self.site.answers[f"/git/old.git/{path}".partition("?")[0]] = self.send(301, Location=f"/git/r.git/{path}")
        private = self.send(401, WWW_Authenticate='Basic realm="x"')

        def with_token(handler):
            given = handler.headers.get("Authorization", "")
            if given.lower() != basic.lower():
                return private(handler)
            return handler.git(urllib.parse.urlsplit(handler.path))

        self.site.answers["/git/r.git/info/refs"] = self.site.answers["/git/r.git/git-upload-pack"] = with_token
        tree = self.tree(f"FROM scratch\nADD {self.site.url}/git/old.git /\n", "--secret", "id=GIT_AUTH_TOKEN,env=TOKEN",
                         env={"TOKEN": "top-secret"})
        self.assertEqual(tree["a"].data, b"2")

    def test_secrets_do_not_follow_redirects_to_another_server(self):
        """Neither as they are, nor when the other server asks for them, nor in requests after the redirect."""
        other = Site(self.ws.dir / "other")
        self.ws.defer(other.stop)
        self.repository()
        self.site.repos.rename(self.ws.dir / "moved")  # the repository is on the other server alone
        other.repos.rmdir()
        (self.ws.dir / "moved").rename(other.repos)
        for path in ("info/refs?service=git-upload-pack", "git-upload-pack"):
            at = f"/git/r.git/{path}"
            self.site.answers[at.partition("?")[0]] = self.send(302, Location=other.url + at)
        self.site.answers["/f"] = self.send(302, Location=other.file("f", "content"))
        url = self.site.url.removeprefix("http://")
        secrets = ("--secret", "id=GIT_AUTH_TOKEN,env=TOKEN", "--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN")
        for source in (f"http://{url}/git/r.git", f"http://u:top-secret@{url}/git/r.git", f"http://{url}/f",
                       f"http://u:top-secret@{url}/f"):
            for challenge in (None, 'Basic realm="x"', f'Bearer realm="{other.url}/token"'):
                other.answers.clear()
                if challenge:
                    refused = self.send(401, WWW_Authenticate=challenge)
                    other.answers.update({path: refused for path in ("/git/r.git/info/refs", "/f", "/token")})
                self.build(f"FROM scratch\nADD {source} /\n", "--no-cache", "-o", "type=cacheonly", *secrets, code=None,
                           env={"TOKEN": "top-secret"})
        self.assertGreater(len(other.requests), 8)
        self.assertEqual(set(other.authorizations), {""}, list(zip(other.requests, other.authorizations)))
        self.assertNotEqual(set(self.site.authorizations), {""})


class Contexts(RemoteTest):
    def context_tar(self, dockerfile="FROM busybox\nCOPY . /c\nRUN cat /c/d/f\n"):
        return make_tar([("Dockerfile", dockerfile.encode()), tar_info("d/", tarfile.DIRTYPE, mode=0o2750, uid=7, gid=8),
                         ("d/f", b"in the tar\n"), (".dockerignore", b"d\n"), ("sub/Other", b"FROM busybox\nRUN echo other\n")])

    def test_a_git_repository_with_and_without_a_subdirectory(self):
        url = self.site.commit("r", {"Dockerfile": "FROM busybox\nCOPY f /f\nRUN cat /f\n", "f": "top", ".dockerignore": "f",
                                     "sub/dockerfile": "FROM busybox\nRUN --mount=target=/m cat /m/g\n", "sub/g": "below"})
        result = self.build(None, context=url)
        self.assertEqual(result.log("RUN"), ["top"])
        self.assertEqual(self.build(None, context=url).ran, [])
        for form in (f"{url}#main:sub", f"{url}?subdir=sub&ref=main"):
            self.assertEqual(self.build(None, "--no-cache", context=form).log("RUN"), ["below"])
        self.assertEqual(self.build(None, "-f", "sub/dockerfile", context=url, code=None).code, 1)  # no /g in there

    def test_what_a_dockerfile_is_read_from_with_a_remote_context(self):
        url = self.site.commit("r", {"Dockerfile": "FROM busybox\nRUN echo default\n", "f": "f\n",
                                     "other/File": "FROM busybox\nRUN echo other\n"})
        self.assertEqual(self.build(None, "-f", "other/File", context=url).log("RUN"), ["other"])
        text = "FROM busybox\nCOPY f /\nRUN echo mine; cat /f\n"
        self.assertEqual(self.build(None, "-f", "-", context=url, stdin=text.encode()).log("RUN"), ["mine", "f"])
        self.write({"mine": text})
        self.assertEqual(self.build(None, "-f", self.ws.context / "mine", "--no-cache", context=url).log("RUN"),
                         ["mine", "f"])
        self.assert_fails(self.build(None, "-f", "missing", context=url, code=None), "no Dockerfile 'missing'")
        self.assert_fails(self.build(None, "-f", "../../../etc/passwd", context=url, code=None), "no Dockerfile")

    def test_a_tar_over_http_keeps_owners_and_ignores_no_files(self):
        for kind in ("tar", "gz", "bz2", "xz", "zst"):
            url = self.site.file(f"context-{kind}", compress(self.context_tar(), kind))
            self.assertEqual(self.build(None, "--no-cache", context=url).log("RUN"), ["in the tar"], kind)
        self.assertEqual(self.build(None, "-f", "sub/Other", context=url).log("RUN"), ["other"])
        path = self.ws.out / "x.tar"
        self.build(None, "-o", f"type=tar,dest={path}", context=url)
        with tarfile.open(path) as tar:
            self.assertEqual((tar.getmember("c/d").uid, tar.getmember("c/d").gid, tar.getmember("c/d").mode), (7, 8, 0o2750))

    def test_a_dockerfile_over_http_has_itself_as_context(self):
        url = self.site.file("any", "FROM busybox\nCOPY . /c\nRUN ls /c\n")
        self.assertEqual(self.build(None, context=url).log("RUN"), ["context"])
        self.assertEqual(self.build("FROM busybox\n", "-f", url).log("RUN"), ["Dockerfile"])

    def test_a_tar_on_standard_input(self):
        for kind in ("tar", "gz", "bz2", "xz", "zst"):
            result = self.build(None, "--no-cache", context="-", stdin=compress(self.context_tar(), kind))
            self.assertEqual(result.log("RUN"), ["in the tar"], kind)
        self.assertEqual(self.build(None, context="-", stdin=self.context_tar()).ran, [])
        result = self.build(None, "-f", "sub/Other", context="-", stdin=self.context_tar())
        self.assertEqual(result.log("RUN"), ["other"])

    def test_a_dockerfile_on_standard_input_has_an_empty_context(self):
        self.assertEqual(self.build(None, context="-", stdin=b"FROM busybox\nCOPY . /c\nRUN ls -a /c\n").log("RUN"), [".", ".."])
        self.assert_fails(self.build(None, context="-", stdin=b"FROM scratch\nCOPY f /\n", code=None), "-:2", '"/f" not found')
        self.assert_fails(self.build(None, "-f", "x", context="-", stdin=b"FROM scratch\n", code=None), "-f", code=2)
        self.assert_fails(self.build(None, "-f", "-", context="-", stdin=b"FROM scratch\n", code=None), "standard input", code=2)

    def test_named_contexts_may_be_remote(self):
        url = self.site.commit("r", {"f": "from git\n"})
        file = self.site.file("any.tar", "no tar")
        result = self.build("FROM busybox\nCOPY --from=g /f /\nCOPY --from=h /context /h\nRUN cat /f /h\n"
                            "RUN --mount=from=g,target=/m cat /m/f\n",
                            "--build-context", f"g={url}", "--build-context", f"h={file}")
        self.assertEqual(result.log("RUN"), ["from git", "no tar", "from git"])

    def test_hostile_tars_write_nothing_outside_and_fail(self):
        data = make_tar([tar_info("link", tarfile.SYMTYPE, linkname=str(self.ws.dir)), ("link/escaped", b"x"),
                         tar_info("../../escaped"), ("Dockerfile", b"FROM scratch\n")])
        for context, stdin in ((self.site.file("evil", data), None), ("-", data)):
            self.assertEqual(self.build(None, context=context, stdin=stdin, code=None).code, 1)
        self.assertFalse(list(self.ws.dir.rglob("escaped")))

    def test_a_link_in_the_context_cannot_name_a_file_of_this_machine_as_dockerfile(self):
        data = make_tar([tar_info("Dockerfile", tarfile.SYMTYPE, linkname="/etc/passwd"), ("f", b"")])
        self.assert_fails(self.build(None, context="-", stdin=data, code=None), "Dockerfile")

    def test_an_epoch_makes_git_contexts_reproducible(self):
        url = self.site.commit("r", {"Dockerfile": "FROM scratch\nCOPY . /\n", "d/f": "f"})
        digests = set()
        for number in range(2):
            result = self.build(None, "--build-arg", "SOURCE_DATE_EPOCH=context", "-o",
                                f"type=oci,dest={self.ws.out}/{number}.tar,rewrite-timestamp=true",
                                context=url, state=self.ws.new_state(None, f"state-{number}"))
            digests.add(result.digest)
        self.assertEqual(len(digests), 1)

    def test_what_is_nothing_says_so(self):
        self.assert_fails(self.build(None, context=f"{self.site.url}/none", code=None), "server said 404 Not Found")
        self.assert_fails(self.build(None, context=self.ws.dir / "none", code=None), "none")
        self.assert_fails(self.build(None, context="-", stdin=b"", code=None), "-")
