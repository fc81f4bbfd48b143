"""lade as an ordinary user: root of a user namespace, and nothing more."""

import os
import pathlib
import signal
import socket
import stat
import subprocess
import tarfile
import time

import ordinary_user
import support
from support import LadeTest, busybox_tar

DOCKERFILE = """\
FROM busybox AS tool
RUN mkdir -m 2755 /opt && echo tool > /opt/tool && chown -R 1000:33 /opt && chmod 4755 /opt/tool && ln /opt/tool /opt/link
RUN rm -rf /tmp && mkdir /tmp && echo new > /tmp/new && ln -s new /tmp/link && mkfifo /tmp/pipe
FROM busybox
COPY --from=tool /opt /opt
COPY --from=tool /tmp /tmp
COPY --chown=7:8 --chmod=640 file dir /copied/
RUN echo x > /tmp/x && rm /copied/inner && mv /opt /moved && chmod 1777 /copied
USER 1000:1000
RUN id -u > /tmp/id && touch /tmp/mine
ENV A=b
"""


class UserTest(LadeTest):
    """Its lade is an ordinary user's."""

    subordinate = True

    def setUp(self):
        self.mounts = []
        if support.USER is None:
            root = support.LADE
            self.addCleanup(lambda: (setattr(support, "LADE", root), setattr(support, "USER", None)))
            self.mounts = ordinary_user.enter(self.subordinate)
        elif not self.subordinate:
            self.skipTest("runs with subordinate ids")
        super().setUp()

    def tearDown(self):
        ordinary_user.leave(self.mounts)
        self.mounts = []
        super().tearDown()

    def as_root(self):
        """A workspace of root's, to compare with."""
        user, lade = support.USER, support.LADE
        support.USER, support.LADE = None, str(pathlib.Path(lade).with_name("lade-itself"))
        workspace = support.Workspace("root")
        self.addCleanup(workspace.close)
        return workspace, lambda: (setattr(support, "USER", user), setattr(support, "LADE", lade))

    @staticmethod
    def shape(tree):
        links = {}
        return {path: (entry.type, oct(entry.mode), entry.owner, entry.data, entry.target, entry.device, entry.xattrs,
                       links.setdefault(entry.inode, path) if entry.type == "file" else "")
                for path, entry in tree.items()}

    def assert_as_root(self, dockerfile, files, *args):
        ours = self.shape(self.tree(dockerfile, *args, files=files))
        workspace, back = self.as_root()
        try:
            theirs = self.shape(workspace.tree(dockerfile, *args, files=files))
        finally:
            back()
        self.assertEqual(ours, theirs)
        return ours


class Builds(UserTest):
    def test_the_image_is_the_one_that_root_makes(self):
        tree = self.assert_as_root(DOCKERFILE, {"file": "f", "dir/inner": "i", "dir/other": "o"}, "--network=none")
        self.assertEqual(tree["moved/tool"][1:3], (oct(0o4755), (1000, 33)))
        self.assertEqual(tree["tmp/mine"][2], (1000, 1000))

    def test_the_second_time_everything_is_cached(self):
        files = {"file": "f", "dir/inner": "i"}
        self.build(DOCKERFILE, "--network=none", files=files)
        self.assertEqual(self.build(DOCKERFILE, "--network=none").ran, [])

    def test_mounts_of_every_kind(self):
        result = self.build("""\
FROM busybox
RUN --mount=type=bind,target=/ctx --mount=type=cache,target=/cache,uid=1000,mode=700 --mount=type=tmpfs,target=/t \\
    --mount=type=secret,id=s,uid=1000,mode=400 \\
    cat /ctx/f && stat -c '%u %a' /cache /run/secrets/s && echo x > /cache/x && echo x > /t/x && echo done; \\
    echo no > /ctx/x; echo no > /proc/sys/kernel/hostname; exit 0
""", "--network=none", "--secret", f"id=s,src={self.ws.write({'s': 'secret'}) or self.ws.context / 's'}", files={"f": "of the context\n"})
        log = result.log("RUN --mount")
        self.assertEqual(log[:4], ["of the context", "1000 700", "1000 400", "done"], str(result))
        self.assertEqual(sum("Read-only" in line for line in log), 2, str(result))

    def test_networks(self):
        result = self.build("FROM busybox\nRUN ping -c 1 -w 5 10.0.2.2 | grep -c ttl\n"
                            "RUN --network=none ip -o link | wc -l\nRUN --network=host test -d /sys/class/net/lo && echo host\n",
                            "--allow", "network.host")
        self.assertEqual((result.log("RUN ping"), result.log("network=none"), result.log("network=host")),
                         (["1"], ["1"], ["host"]))

    def test_all_capabilities_are_those_of_the_namespace(self):
        result = self.build("FROM busybox\nRUN --security=insecure mkdir /m && mount -t tmpfs m /m && echo mounted; "
                            "date -s 2001-01-01; dd if=/dev/mem of=/dev/null count=1 && echo read; exit 0\n",
                            "--allow", "security.insecure", "--network=none")
        log = result.log("insecure")
        self.assertIn("mounted", log, str(result))
        self.assertIn("date: can't set date: Operation not permitted", log)
        self.assertNotIn("read", log)

    def test_limits_are_refused_rather_than_forgotten(self):
        self.assert_fails("FROM busybox\nRUN --network=none true\n", "limits and --cgroup-parent need root",
                          args=("--resource", "memory=100m"))

    def test_containers(self):
        self.ws.write({"f": "of the user\n"})
        os.chown(self.ws.context / "f", ordinary_user.ID, ordinary_user.ID)
        out = self.ws.lade("run", "--network=none", "-v", f"{self.ws.context}:/v", "busybox", "sh", "-c",
                           "cat /v/f; stat -c %u /v/f; touch /v/new; chown 1000 /v/new").stdout
        self.assertEqual(out, "of the user\n0\n")
        self.assertEqual(os.stat(self.ws.context / "new").st_uid, ordinary_user.SUBORDINATE[0] + 999)
        self.assertEqual(self.ws.lade("run", "--network=none", "-u", "1000", "busybox", "id", "-u").stdout, "1000\n")

    def test_pushes_and_pulls(self):
        registry = self.ws.registry()
        self.build(DOCKERFILE, "--network=none", "-t", f"{registry.host}/x", "--push", files={"file": "f", "dir/inner": "i"})
        self.ws.lade("rmi", f"{registry.host}/x")
        self.ws.lade("prune", "-af")
        self.ws.lade("pull", f"{registry.host}/x")
        self.assertEqual(self.ws.lade("run", "--network=none", f"{registry.host}/x", "stat", "-c", "%u:%g", "/moved/tool").stdout,
                         "1000:33\n")

    def test_results_belong_to_the_user(self):
        self.build(DOCKERFILE, "--network=none", "-o", f"type=local,dest={self.ws.out}/d", "-o",
                   f"type=tar,dest={self.ws.out}/t.tar", files={"file": "f", "dir/inner": "i"})
        for path in (self.ws.out / "d", self.ws.out / "d/tmp/mine", self.ws.out / "t.tar"):
            self.assertEqual(os.stat(path).st_uid, ordinary_user.ID, path)

    def test_prune_leaves_nothing_of_others(self):
        self.build(DOCKERFILE, "--network=none", files={"file": "f", "dir/inner": "i"})
        foreign = ["find", self.ws.state / "layers", "!", "-user", str(ordinary_user.ID), "-print"]
        self.assertNotEqual(subprocess.run(foreign, check=True, capture_output=True).stdout, b"")
        self.assertIn(" 0 damaged", self.ws.lade("du", "--verify").stdout)
        self.ws.lade("rmi", "busybox")
        self.ws.lade("prune", "-af")
        self.assertEqual(subprocess.run(foreign, check=True, capture_output=True).stdout, b"")


class Devices(UserTest):
    """Nobody makes devices in a user namespace: in layers there is something that stands for them."""

    def write_archive(self, name):
        with tarfile.open(self.ws.context / name, "w") as tar:
            for path, kind, device in (("x/null", tarfile.CHRTYPE, (1, 3)), ("x/disk", tarfile.BLKTYPE, (7, 0)),
                                       ("x/pipe", tarfile.FIFOTYPE, (0, 0))):
                member = tarfile.TarInfo(path)
                member.type, member.mode, (member.devmajor, member.devminor) = kind, 0o640, device
                tar.addfile(member)
        return {name: (self.ws.context / name).read_bytes()}

    def test_images_have_them(self):
        files = self.write_archive("nodes.tar")
        tree = self.assert_as_root("""\
FROM busybox AS a
ADD nodes.tar /
RUN cp -a /x/pipe /x/pipe2 && chmod 600 /x/disk && mv /x/null /moved
FROM busybox
COPY --from=a /x /moved /y/
""", files, "--network=none")
        self.assertEqual((tree["y/moved"][0], tree["y/moved"][5]), ("char", (1, 3)))
        self.assertEqual((tree["y/disk"][0], tree["y/disk"][1], tree["y/disk"][5]), ("block", oct(0o600), (7, 0)))

    def test_bases_with_nodes_in_dev(self):
        tar = self.ws.dir / "base.tar"
        tar.write_bytes(busybox_tar().read_bytes())
        with tarfile.open(tar, "a") as archive:
            member = tarfile.TarInfo("dev/null")
            member.type, member.mode, member.devmajor, member.devminor = tarfile.CHRTYPE, 0o666, 1, 3
            archive.addfile(member)
        self.ws.lade("import", tar, "nodes")
        result = self.build("FROM nodes\nRUN echo lost > /dev/null && ls -l /dev/null && cat /dev/null | wc -c\n", "--network=none")
        log = result.log("RUN echo")
        self.assertRegex(log[0], r"^c.* 1, +3 ")
        self.assertEqual(log[1], "0")
        entry = self.tree("FROM nodes\nRUN --network=none touch /x\n")["dev/null"]
        self.assertEqual((entry.type, entry.device), ("char", (1, 3)))

    def test_the_machines_devices_are_out_of_reach(self):
        result = self.build("FROM busybox\nRUN chmod 0 /dev/null; chown 5 /dev/zero; mknod /n c 1 3; mknod /b b 7 0; "
                            "stat -c '%a' /dev/null; exit 0\n", "--network=none")
        log = result.log("RUN chmod")
        self.assertEqual(sum("Operation not permitted" in line for line in log), 4, str(result))
        self.assertEqual(log[-1], "666")
        self.assertEqual(os.stat("/dev/null").st_mode & 0o777, 0o666)


class States(UserTest):
    def test_roots_and_a_users_never_mix(self):
        workspace, back = self.as_root()
        theirs = workspace.state
        back()
        workspace.dir.chmod(0o755)
        theirs.chmod(0o755)
        result = self.ws.lade("images", state=theirs, code=1)
        self.assertRegex(result.stderr, "it belongs to user|Permission denied")
        workspace, back = self.as_root()
        try:
            result = workspace.lade("images", state=self.ws.state, code=1)
        finally:
            back()
        self.assertIn(f"it belongs to user {ordinary_user.ID}", result.stderr)

    def test_the_default_place_is_the_users(self):
        home = self.ws.dir / "home"
        home.mkdir()
        os.chown(home, ordinary_user.ID, ordinary_user.ID)
        lade = [support.LADE, "images"]
        env = support.environment({"HOME": str(home)})
        subprocess.run(lade, env=env, check=True, capture_output=True)
        self.assertTrue((home / ".local/share/lade/lade.db").exists())
        subprocess.run(lade, env=env | {"XDG_DATA_HOME": f"{home}/data"}, check=True, capture_output=True)
        self.assertTrue((home / "data/lade/lade.db").exists())


class Daemon(UserTest):
    def test_it_listens_where_the_user_may_and_ends(self):
        runtime = self.ws.dir / "run"
        runtime.mkdir()
        os.chown(runtime, ordinary_user.ID, ordinary_user.ID)
        daemon = self.ws.spawn("daemon", env={"XDG_RUNTIME_DIR": str(runtime)})
        path = runtime / "lade/buildkitd.sock"
        self.assertIn(f"listening at unix://{path}", daemon.stderr.readline().decode())
        deadline = time.monotonic() + 10
        while (found := os.stat(path)).st_mode & 0o777 != 0o660 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual((stat.S_ISSOCK(found.st_mode), found.st_mode & 0o777, found.st_uid), (True, 0o660, ordinary_user.ID))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            self.assertEqual(client.recv(9)[3], 4, "its settings")
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.ws.finish(daemon).code, 0)
        self.assertFalse(path.exists())

    def test_without_a_place_for_its_socket(self):
        result = self.ws.lade("daemon", code=2)
        self.assertIn("XDG_RUNTIME_DIR is not set", result.stderr)


class SingleId(UserTest):
    """Without subordinate ids there is root alone."""

    subordinate = False

    def test_what_needs_no_other_owner_works(self):
        result = self.build("FROM busybox\nRUN id && echo x > /f && rm /tmp -r && mkdir /tmp\nCOPY f /g\nRUN cat /f /g\n", "--network=none",
                            files={"f": "g\n"})
        self.assertEqual(result.log("RUN cat"), ["x", "g"])
        self.assertEqual(self.ws.lade("run", "--network=none", "-t", "busybox", "echo", "hi").stdout.strip(), "hi")

    def test_other_owners_are_an_error_with_a_hint(self):
        self.assert_fails("FROM busybox\nCOPY --chown=1000 f /\n", "could not set the owner", "--add-subuids", files={"f": ""})
        with tarfile.open(self.ws.context / "a.tar", "w") as tar:
            member = tarfile.TarInfo("f")
            member.uid = 1000
            tar.addfile(member)
        self.assert_fails("FROM busybox\nADD a.tar /\n", "could not set the owner", "--add-subuids")
        self.assert_fails("FROM busybox\nUSER 1000\nRUN --network=none true\n", "could not become user 1000")


class Refused(UserTest):
    def test_a_machine_without_user_namespaces(self):
        program = pathlib.Path(support.LADE)
        deny = support.REPO / "build" / "deny_calls"
        if not deny.exists():
            self.skipTest(f"{deny} is not built")
        deny = pathlib.Path(subprocess.run(["cp", deny, self.ws.dir], check=True) and self.ws.dir / "deny_calls")
        wrapper = self.ws.dir / "lade"
        wrapper.write_text(f"#!/bin/sh\nexec '{deny}' EPERM unshare '{program}' \"$@\"\n")
        wrapper.chmod(0o755)
        result = subprocess.run([wrapper, "images"], env=support.environment(), capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("could not make a user namespace: Operation not permitted", result.stderr)
        self.assertIn("hint: containers often deny them", result.stderr)

    def test_a_grant_that_newuidmap_does_not_know(self):
        program = pathlib.Path(support.LADE).with_name("none")
        # lade reads one file, newuidmap another one: as where a range was given to somebody else meanwhile.
        wrapper = self.ws.dir / "newuidmap"
        wrapper.write_text("#!/bin/sh\necho 'newuidmap: uid range [1-65537) -> [5-6) not allowed' >&2\nexit 1\n")
        wrapper.chmod(0o755)
        self.assertTrue(program.exists())
        result = self.ws.lade("images", env={"PATH": f"{self.ws.dir}:{os.environ['PATH']}"}, code=1)
        self.assertIn("could not map the subordinate ids of this user: newuidmap: uid range", result.stderr)
        self.assertIn("/etc/subuid", result.stderr)

    def test_no_uidmap_package(self):
        empty = self.ws.dir / "empty"
        empty.mkdir()
        (empty / "setpriv").symlink_to("/usr/bin/setpriv")
        result = self.ws.lade("images", env={"PATH": str(empty)}, code=1)
        self.assertIn("could not run newuidmap: No such file or directory", result.stderr)
        self.assertIn("install the package uidmap", result.stderr)

    def test_commands_that_need_no_state_need_no_namespace(self):
        for words in (["--help"], ["build", "--help"], ["--version"], ["logout", "example.org"]):
            self.ws.lade(*words, env={"PATH": "/usr/bin"})
