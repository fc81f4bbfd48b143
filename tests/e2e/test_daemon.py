"""`lade daemon`, driven by BuildKit's own clients (built by ./dev peers where Go is installed)."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import unittest
import uuid

import support
from image import Image
from support import REPO, LadeTest

PEERS = REPO / "build/peers"


def needs(name):
    path = PEERS / name
    if not path.exists():
        raise unittest.SkipTest(f"needs Go: {name} is not in build/peers (./dev peers)")
    return path


class Daemon:
    """A lade daemon on a workspace's state directory."""

    def __init__(self, ws, *args, state=None, name="daemon", config="/dev/null"):
        self.ws = ws
        # A socket's path has room for 107 bytes only.
        place = pathlib.Path(tempfile.mkdtemp(prefix="d", dir=support.ROOT))
        ws.defer(shutil.rmtree, place, True)
        self.socket = place / "s"
        self.address = f"unix://{self.socket}"
        self.log = open(ws.dir / f"{name}.log", "ab")
        self.process = subprocess.Popen(
            [support.LADE, "daemon", "--root", str(state or ws.state), "--addr", self.address, "--config", str(config),
             *args], env=support.environment(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        ws.defer(self.stop)
        deadline = time.monotonic() + 30
        while True:
            try:
                probe = socket.socket(socket.AF_UNIX)
                probe.connect(str(self.socket))
                probe.close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(pathlib.Path(self.log.name).read_text()) from None
                time.sleep(0.02)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.log.close()
        return self.process.wait()


class BuildctlTest(LadeTest):
    def setUp(self):
        super().setUp()
        self.buildctl = needs("buildctl")
        self.daemon = Daemon(self.ws)
        self.addCleanup(self.daemon.stop)

    def tearDown(self):
        self.daemon.stop()
        super().tearDown()

    def command(self, *args):
        return [self.buildctl, "--addr", self.daemon.address, *args]

    def build_command(self, *args, context=None, dockerfile=None):
        context = context or self.ws.context
        return self.command("build", "--progress=plain", "--frontend", "dockerfile.v0", "--local", f"context={context}",
                            "--local", f"dockerfile={dockerfile or context}", *args)

    def ctl(self, *args, code=0, env=None):
        done = subprocess.run(list(map(str, self.command(*args))), stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=120, env=support.environment(env))
        return self.checked(done, code)

    def solve(self, dockerfile=None, *args, files=None, code=0, env=None, context=None, stdin=None):
        if dockerfile is not None:
            self.write({"Dockerfile": dockerfile}, context)
        self.write(files or {}, context)
        done = subprocess.run(list(map(str, self.build_command(*args, context=context))), capture_output=True,
                              timeout=240, env=support.environment(env), input=stdin)
        return self.checked(done, code)

    def checked(self, done, code):
        text = (done.stdout + done.stderr).decode(errors="replace")
        log = pathlib.Path(self.daemon.log.name).read_text()
        self.assertEqual(done.returncode, code, f"{done.args}\n{text}\n--- daemon:\n{log}")
        return text

    def oci(self, dockerfile=None, *args, name="image.tar", options="", **run):
        path = self.ws.out / name
        self.solve(dockerfile, "--output", f"type=oci,dest={path}{options}", *args, **run)
        return Image.read(path)


class Builds(BuildctlTest):
    def test_what_it_builds_is_what_the_command_line_builds(self):
        dockerfile = "FROM busybox\nRUN echo hi > /a\nCOPY f /dir/\nENV X=y\nCMD [\"sh\"]\n"
        self.write({"f": "file", "Dockerfile": dockerfile})
        os.utime(self.ws.context / "f", (1600000000, 1600000000))
        by_daemon = self.oci()
        by_hand = self.image()
        self.assertEqual(by_daemon.digest, by_hand.digest)
        self.assertEqual(by_daemon.tree()["dir/f"].text, "file")

    def test_a_second_build_is_cached_also_for_the_command_line(self):
        marker = uuid.uuid4().hex
        self.solve(f"FROM busybox\nRUN echo {marker} > /a\nCOPY f /\n", files={"f": "1"})
        again = self.solve()
        self.assertEqual(len(re.findall(r"^#\d+ CACHED$", again, re.M)), 3, again)
        self.assertEqual(self.build().ran, [])

    def test_names_of_files_are_any_bytes(self):
        directory = os.fsencode(self.ws.context) + b"/d"
        os.mkdir(directory)
        for name in (b"o\xffd", "é".encode(), b"new\nline"):
            with open(directory + b"/" + name, "w") as file:
                file.write("x")
        os.symlink(b"o\xffd", directory + b"/link\xfe")
        tree = self.oci("FROM busybox\nCOPY d /d\n").tree()
        self.assertEqual(tree["d/o\udcffd"].text, "x")
        self.assertEqual(tree["d/link\udcfe"].target, "o\udcffd")
        self.assertEqual(sorted(tree), sorted(self.image(None).tree()))
        self.solve(None, "--output", f"type=local,dest={self.ws.out}/tree")
        self.assertEqual((self.ws.out / "tree/d/o\udcffd").read_text(), "x")

    def test_results_go_into_tars_and_directories_and_layouts(self):
        self.solve("FROM busybox AS base\nRUN echo hi > /a\nFROM scratch\nCOPY --from=base /a /x/\nCOPY --from=base /bin /bin\n",
                   "--output", f"type=tar,dest={self.ws.out}/root.tar",
                   "--output", f"type=local,dest={self.ws.out}/tree",
                   "--output", f"type=docker,dest={self.ws.out}/docker.tar,name=app:1",
                   "--output", f"type=oci,tar=false,dest={self.ws.out}/layout,name=app:2")
        with tarfile.open(self.ws.out / "root.tar") as tar:
            self.assertEqual(tar.extractfile("x/a").read(), b"hi\n")
        self.assertEqual((self.ws.out / "tree/x/a").read_text(), "hi\n")
        self.assertEqual(os.readlink(self.ws.out / "tree/bin/sh"), "busybox")
        with tarfile.open(self.ws.out / "docker.tar") as tar:
            manifest = json.load(tar.extractfile("manifest.json"))
        self.assertEqual(manifest[0]["RepoTags"], ["app:1"])
        self.assertEqual(self.ws.run("skopeo", "inspect", "--raw", f"oci:{self.ws.out}/layout")[:1], "{")

    def test_only_what_is_copied_crosses(self):
        self.write({f"many/{i}": "x" * 10000 for i in range(50)})
        text = self.solve("FROM scratch\nCOPY one /\n", files={"one": "1"})
        sizes = [int(size) for size in re.findall(r"transferring context: (\d+)B", text)]
        self.assertTrue(sizes and max(sizes) < 1000, text)

    def test_dockerignore_counts(self):
        self.write({".dockerignore": "secret\n", "secret": "x", "public": "y"})
        tree = self.oci("FROM scratch\nCOPY . /\n").tree()
        self.assertIn("public", tree)
        self.assertNotIn("secret", tree)

    def test_an_error_shows_the_lines(self):
        text = self.solve("FROM busybox\nRUN exit 3\n", code=1)
        self.assertIn('process "/bin/sh -c exit 3" did not complete successfully: exit code: 3', text)
        self.assertIn("   2 | >>> RUN exit 3", text)

    def test_warnings_come(self):
        text = self.solve("FROM busybox as base\nRUN true\n")
        self.assertIn("FromAsCasing", text)

    def test_secrets(self):
        text = self.solve("FROM busybox\nRUN --mount=type=secret,id=s cat /run/secrets/s; echo\n",
                          "--secret", "id=s,env=VALUE", env={"VALUE": "hush"})
        self.assertIn("hush", text)
        text = self.solve("FROM busybox\nRUN --mount=type=secret,id=t,required=true true\n", code=1)
        self.assertIn("secret", text)

    def test_several_platforms_make_an_index(self):
        path = self.ws.out / "multi.tar"
        self.solve("FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n", "--opt", "platform=linux/amd64,linux/arm64",
                   "--output", f"type=oci,dest={path}", files={"amd64": "a", "arm64": "b"})
        with tarfile.open(path) as tar:
            index = json.load(tar.extractfile("index.json"))["manifests"][0]
            blob = tar.extractfile("blobs/" + index["digest"].replace(":", "/"))
            platforms = [m["platform"]["architecture"] for m in json.load(blob)["manifests"]]
        self.assertEqual(platforms, ["amd64", "arm64"])

    def test_pushes_with_the_clients_credentials_and_builds_from_it(self):
        registry = self.ws.registry()
        self.solve("FROM busybox\nRUN echo pushed > /p\n", "--output", f"type=image,name={registry.host}/app:1,push=true")
        tree = self.oci(f"FROM {registry.host}/app:1\n").tree()
        self.assertEqual(tree["p"].text, "pushed\n")

    def test_caches_go_to_registries_and_client_directories(self):
        registry = self.ws.registry()
        dockerfile = f"FROM busybox\nRUN echo {uuid.uuid4().hex} > /a\n"
        self.solve(dockerfile, "--export-cache", f"type=registry,ref={registry.host}/cache:1,mode=max",
                   "--export-cache", f"type=local,dest={self.ws.dir}/cache")
        self.assertTrue((self.ws.dir / "cache/index.json").exists())
        for number, source in enumerate((f"type=registry,ref={registry.host}/cache:1", f"type=local,src={self.ws.dir}/cache")):
            self.daemon.stop()
            self.daemon = Daemon(self.ws, state=self.ws.new_state(name=f"state{number}"), name=f"other{number}")
            text = self.solve(None, "--import-cache", source)
            self.assertRegex(text, r"\[2/2\] RUN[^\n]*\n#\d+ CACHED", text)

    def test_a_context_from_a_tar_of_layouts(self):
        self.solve("FROM busybox\nRUN echo layout > /l\n", "--output", f"type=oci,tar=false,dest={self.ws.dir}/layout")
        digest = json.loads((self.ws.dir / "layout/index.json").read_text())["manifests"][0]["digest"]
        tree = self.oci("FROM base\n", "--oci-layout", f"store={self.ws.dir}/layout", "--opt",
                        f"context:base=oci-layout://store@{digest}").tree()
        self.assertEqual(tree["l"].text, "layout\n")

    def test_named_contexts_are_the_clients_directories(self):
        other = self.ws.dir / "other"
        self.write({"o": "other"}, other)
        tree = self.oci("FROM scratch\nCOPY --from=more o /\n", "--local", f"more={other}", "--opt",
                        "context:more=local:more").tree()
        self.assertEqual(tree["o"].text, "other")


class Lives(BuildctlTest):
    def spawn(self, dockerfile, *args, context=None):
        context = context or self.ws.context
        self.write({"Dockerfile": dockerfile}, context)
        process = subprocess.Popen(list(map(str, self.build_command(*args, context=context))), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=support.environment())
        self.ws.defer(self.ws._end, process)
        return process

    def wait_for(self, process, text):
        read = b""
        while text.encode() not in read:
            line = process.stdout.readline()
            self.assertTrue(line, read.decode(errors="replace"))
            read += line

    def assert_no_step(self, marker):
        """No process of the step is left soon."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if subprocess.run(["pgrep", "-f", marker], capture_output=True).returncode != 0:
                return
            time.sleep(0.1)
        self.fail("the step still runs")

    def long_time(self):
        return f"7{int.from_bytes(os.urandom(3), 'big')}"

    def test_cancel_stops_the_steps(self):
        seconds = self.long_time()
        process = self.spawn(f"FROM busybox\nRUN echo begun; sleep {seconds}\n")
        self.wait_for(process, " begun")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assert_no_step(f"sleep {seconds}$")
        self.solve("FROM busybox\nRUN true\n")

    def test_a_client_that_is_killed_ends_its_build(self):
        seconds = self.long_time()
        process = self.spawn(f"FROM busybox\nRUN echo begun; sleep {seconds}\n")
        self.wait_for(process, " begun")
        process.kill()
        self.assert_no_step(f"sleep {seconds}$")

    def test_a_daemon_that_is_killed_starts_again(self):
        seconds = self.long_time()
        process = self.spawn(f"FROM busybox\nRUN echo kept > /a\nRUN echo begun; sleep {seconds}\n")
        self.wait_for(process, " begun")
        self.daemon.stop(signal.SIGKILL)
        process.communicate(timeout=30)
        self.assert_no_step(f"sleep {seconds}$")
        self.daemon = Daemon(self.ws)
        text = self.solve("FROM busybox\nRUN echo kept > /a\n")
        self.assertRegex(text, r"RUN echo kept[^\n]*\n#\d+ CACHED")
        # What the dead one left is swept when a layer is made.
        self.solve("FROM busybox\nRUN echo swept > /b\n")

    def test_sigterm_cancels_and_ends(self):
        seconds = self.long_time()
        process = self.spawn(f"FROM busybox\nRUN echo begun; sleep {seconds}\n")
        self.wait_for(process, " begun")
        started = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertLess(time.monotonic() - started, 20)
        process.communicate(timeout=30)
        self.assert_no_step(f"sleep {seconds}$")

    def test_an_idle_daemon_ends_at_once(self):
        self.oci("FROM busybox\nRUN true\n")
        started = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertLess(time.monotonic() - started, 5)

    def test_ten_builds_at_once(self):
        processes = []
        for i in range(10):
            context = self.ws.dir / f"c{i}"
            self.write({"f": str(i)}, context)
            processes.append(self.spawn("FROM busybox\nCOPY f /\nRUN cat /f > /g\n", "--output",
                                        f"type=tar,dest={self.ws.out}/{i}.tar", context=context))
        for i, process in enumerate(processes):
            text = process.communicate(timeout=120)[0].decode(errors="replace")
            self.assertEqual(process.returncode, 0, text)
            with tarfile.open(self.ws.out / f"{i}.tar") as tar:
                self.assertEqual(tar.extractfile("g").read(), str(i).encode())

    def test_workers_usage_and_history(self):
        self.solve("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3\n")
        self.assertIn("linux/", self.ctl("debug", "workers"))
        self.assertRegex(self.ctl("du"), r"Total:\s+\d")
        self.assertIn("Total:", self.ctl("prune"))
        self.assertIn("lade", self.ctl("debug", "info"))


class Buildx(BuildctlTest):
    def setUp(self):
        super().setUp()
        self.buildx = needs("docker-buildx")
        self.env = support.environment({"DOCKER_CONFIG": str(self.ws.dir / "docker"), "BUILDX_CONFIG": str(self.ws.dir / "bx")})
        self.x("create", "--name", "lade", "--driver", "remote", self.daemon.address)

    def x(self, *args, code=0, cwd=None):
        done = subprocess.run(list(map(str, [self.buildx, *args])), stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=240, env=self.env, cwd=cwd)
        return self.checked(done, code)

    def test_builds_and_inspects(self):
        self.write({"Dockerfile": "FROM busybox\nRUN echo x > /x\n"})
        path = self.ws.out / "x.tar"
        text = self.x("build", "--builder", "lade", "--progress=plain", "-t", "app:1", "-o", f"type=docker,dest={path}",
                      "--metadata-file", self.ws.dir / "meta.json", self.ws.context)
        self.assertIn("RUN echo x > /x", text)
        meta = support.read_json(self.ws.dir / "meta.json")
        self.assertTrue(meta["containerimage.digest"].startswith("sha256:"))
        self.assertIn("running", self.x("inspect", "lade"))
        self.assertIn("Total:", self.x("du", "--builder", "lade"))
        self.assertIn("Completed", self.x("history", "ls", "--builder", "lade"))
        self.x("prune", "-f", "--builder", "lade")

    def test_bake_with_linked_targets(self):
        self.write({"Dockerfile.base": "FROM busybox\nRUN echo linked > /linked\n",
                    "Dockerfile": "FROM base\nRUN cat /linked > /copy\n",
                    "docker-bake.hcl": 'target "base" { dockerfile = "Dockerfile.base" }\n'
                                       'target "default" {\n contexts = { base = "target:base" }\n'
                                       f' output = ["type=tar,dest={self.ws.out}/bake.tar"]\n}}\n'})
        self.x("bake", "--builder", "lade", "--progress=plain", "--allow", f"fs={self.ws.dir}", cwd=self.ws.context)
        with tarfile.open(self.ws.out / "bake.tar") as tar:
            self.assertEqual(tar.extractfile("copy").read(), b"linked\n")

    def test_several_platforms(self):
        self.write({"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n", "amd64": "a", "arm64": "b"})
        self.x("build", "--builder", "lade", "--platform", "linux/amd64,linux/arm64", "-o",
               f"type=oci,dest={self.ws.out}/m.tar", self.ws.context)

    def test_checks_and_outlines(self):
        self.write({"Dockerfile": "FROM busybox as base\nARG X=1\nRUN echo $X\n"})
        self.assertIn("FromAsCasing", self.x("build", "--builder", "lade", "--check", self.ws.context, code=1))
        self.assertIn("X", self.x("build", "--builder", "lade", "--call=outline", self.ws.context))

    def test_a_context_from_standard_input(self):
        with tarfile.open(self.ws.dir / "in.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            self.write({"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "x"})
            for name in ("Dockerfile", "f"):
                tar.add(self.ws.context / name, name)
        done = subprocess.run([self.buildx, "build", "--builder", "lade", "-o", f"type=tar,dest={self.ws.out}/o.tar", "-"],
                              stdin=open(self.ws.dir / "in.tar", "rb"), capture_output=True, env=self.env, timeout=120)
        self.checked(done, 0)
        with tarfile.open(self.ws.out / "o.tar") as tar:
            self.assertEqual(tar.extractfile("f").read(), b"x")
