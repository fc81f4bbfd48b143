"""That nothing of lade's shows on the machine: what the runner compares after every test, and that it can fail."""

import os
import pathlib
import subprocess
import time

import host
import support
from support import LadeTest, environment


class Comparison(LadeTest):
    """What a test leaves behind is found."""

    base = None

    def setUp(self):
        super().setUp()
        self.before = host.Host()

    def found(self):
        return self.before.differences(wait=0.2)

    def test_mounts_are_shared(self):
        self.assertEqual([line for line in host.mounts() if " shared:" not in line], [])

    def test_a_machine_that_stays_as_it_is_has_no_differences(self):
        subprocess.run(["true"], check=True)
        self.assertEqual(self.found(), [])

    def test_a_mount_of_a_process_that_shares_the_mounts_is_found(self):
        place = self.ws.dir / "place"
        place.mkdir()
        subprocess.run(["unshare", "-m", "--propagation", "unchanged", "mount", "-t", "tmpfs", "tmpfs", place], check=True)
        self.assertRegex("\n".join(self.found()), f"^mount left: .* {place} [^\n]*$")
        subprocess.run(["umount", place], check=True)
        self.assertEqual(self.found(), [])

    def test_a_mount_that_was_taken_away_is_found(self):
        place = self.ws.dir / "place"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        self.before = host.Host()
        subprocess.run(["unshare", "-m", "--propagation", "unchanged", "umount", place], check=True)
        self.assertRegex("\n".join(self.found()), f"^mount gone: .* {place} [^\n]*$")

    def test_a_process_whose_parent_has_ended_is_found(self):
        pid = int(subprocess.run(["sh", "-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!"], check=True,
                                 capture_output=True, text=True).stdout)
        self.assertEqual(self.found(), [f"process left: {pid} (sleep) sleep 600"])
        os.kill(pid, 9)
        self.assertEqual(self.before.differences(), [])

    def test_a_cgroup_of_a_step_is_found(self):
        hierarchy = next((line.split()[4] for line in host.mounts() if " - cgroup" in line and
                          os.access(line.split()[4], os.W_OK)), None)
        if not hierarchy:
            self.skipTest("no cgroup hierarchy is writable")
        group = pathlib.Path(hierarchy) / "lade-4194305-1"  # no process has so high a number
        group.mkdir()
        self.addCleanup(group.rmdir)
        self.assertEqual(self.found(), [f"cgroup left: {group}"])


class Helpers(LadeTest):
    """What lade executes as root outside of a sandbox."""

    def test_a_step_with_a_network_leaves_the_machines_mounts_alone(self):
        before = host.mounts()
        result = self.build("FROM busybox\nRUN ping -c 1 -w 5 10.0.2.2 | grep -c ttl\n")
        self.assertEqual(result.log("RUN"), ["1"])
        self.assertEqual(host.mounts(), before)

    def test_a_network_comes_up_where_tmp_is_a_mount(self):
        # slirp4netns puts its root together there.
        state, context = self.ws.dir / "state", self.ws.context
        self.write({"Dockerfile": "FROM busybox\nRUN ping -c 1 -w 5 10.0.2.2 | grep -c ttl\n"})
        script = ("mount -t tmpfs tmpfs /tmp && before=$(cat /proc/self/mountinfo) && \"$@\" && "
                  "[ \"$(cat /proc/self/mountinfo)\" = \"$before\" ]; code=$?; umount /tmp; exit $code")
        beside = pathlib.Path("/var/tmp") / self.ws.dir.name  # not below /tmp
        beside.mkdir()
        self.ws.defer(subprocess.run, ["rm", "-rf", beside])
        subprocess.run(["cp", "-a", state, context, support.LADE, beside], check=True)
        done = subprocess.run(["sh", "-c", script, "sh", beside / "lade", "--root", beside / "state", "build",
                               beside / "context"], env=environment(), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


class Chroot(LadeTest):
    """lade in a chroot, as in a build environment. Its root need not be a mount point, and what it is on may be shared."""

    base = None
    TOOLS = ("bin", "lib", "lib64", "usr", "sbin", "etc", "proc", "sys", "dev")
    # By the way that leads out of a chroot; without cd -P it would be a matter of the shell's alone.
    CLIMB = ("exec 3</; chroot /proc /self/fd/3/bin/busybox sh -c "
             "'cd -P /self/fd/3; for i in 1 2 3 4 5 6 7 8 9; do cd -P ..; done; echo *'")

    def setUp(self):
        super().setUp()
        self.root = self.ws.dir / "chroot"
        self.root.mkdir()
        self.mounted = []

    def tearDown(self):
        while self.mounted:
            subprocess.run(["umount", "-l", self.mounted.pop()], check=True)
        super().tearDown()

    def mount(self, *arguments):
        subprocess.run(["mount", *arguments], check=True)
        self.mounted.append(arguments[-1])

    def fill(self):
        for name in self.TOOLS:
            (self.root / name).mkdir()
            if os.path.isdir(f"/{name}"):
                self.mount("--rbind", f"/{name}", self.root / name)
                # So that taking it away takes nothing from what it is a bind of.
                subprocess.run(["mount", "--make-rprivate", self.root / name], check=True)
        for name in ("run", "tmp", "c"):
            (self.root / name).mkdir()
        subprocess.run(["cp", support.LADE, support.busybox_tar(), self.root], check=True)
        self.write({"Dockerfile": f"FROM busybox\nRUN {self.CLIMB}\nRUN ping -c 1 -w 5 10.0.2.2 | grep -c ttl\n"},
                   self.root / "c")

    def lade_inside(self, *arguments):
        done = subprocess.run(["chroot", self.root, "/lade", "--root", "/state", *arguments], env=environment(),
                              capture_output=True, check=False)
        result = support.Result(done.args, done.returncode, done.stdout, done.stderr, 0)
        self.assertEqual(result.code, 0, str(result))
        return result

    def check(self):
        self.fill()
        before = host.mounts()
        self.lade_inside("import", "/busybox.tar", "busybox:latest")
        first, second = self.lade_inside("build", "/c").log("RUN")
        self.assertEqual(set(first.split()), {"bin", "dev", "etc", "proc", "sys", "tmp"})
        self.assertEqual(second, "1")
        self.assertEqual(self.lade_inside("run", "busybox", "echo", "ran").stdout, "ran\n")
        self.assertEqual(host.mounts(), before)

    def test_a_root_that_is_no_mount_point(self):
        self.check()

    def test_a_root_that_is_a_shared_mount(self):
        self.mount("-t", "tmpfs", "tmpfs", self.root)
        self.check()

    def test_a_root_that_is_a_private_mount(self):
        self.mount("-t", "tmpfs", "--make-private", "tmpfs", self.root)
        self.check()


class Killed(LadeTest):
    """Whatever of lade is killed, what it started ends, and what it made goes."""

    def start(self):
        """A build with a step that uses its network, and an agent for a key; the lade process."""
        self.temporary = self.ws.dir / "tmp"
        self.temporary.mkdir()
        key = self.ws.dir / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.write({"Dockerfile": "FROM busybox\nRUN --mount=type=ssh ping -c 1 -w 5 10.0.2.2 > /dev/null && echo up; "
                    "sleep 600 & sleep 600\n"})
        self.before = host.Host()
        build = self.ws.spawn("build", "--ssh", f"default={key}", self.ws.context, env={"TMPDIR": str(self.temporary)})
        shown = b""
        while b" up\n" not in shown:
            line = build.stderr.readline()
            self.assertTrue(line, shown)
            shown += line
        return build

    def numbers(self, name):
        return [pid for (pid, _), text in host.descendants().items() if f" ({name})" in text]

    def check_after(self, build):
        build.kill()
        build.wait()
        # Where the zygote is killed with lade, nobody is left to remove their cgroup but the next build.
        self.assertEqual([line for line in self.before.differences(wait=3) if not line.startswith("cgroup")], [])
        self.build("FROM busybox\nRUN true\n")
        self.assertEqual(self.before.differences(), [])
        self.assertEqual(list(self.temporary.iterdir()), [])
        time.sleep(0.15)  # what is younger than the oldest process at work stays
        self.ws.lade("prune", "-f")  # which sweeps the state directory

    def test_lade(self):
        build = self.start()
        names = ("lade-zygote", "lade-network", "slirp4netns", "ssh-agent")
        self.assertEqual([len(self.numbers(name)) for name in names], [1] * len(names))
        self.check_after(build)

    def test_the_zygote_and_lade(self):
        build = self.start()
        for pid in self.numbers("lade-zygote"):
            os.kill(pid, 9)
        self.check_after(build)

    def test_lade_and_the_zygote(self):
        build = self.start()
        zygotes = self.numbers("lade-zygote")
        build.kill()
        for pid in zygotes:
            os.kill(pid, 9)
        self.check_after(build)

    def test_the_network_helper_and_lade(self):
        build = self.start()
        for pid in self.numbers("lade-network"):
            os.kill(pid, 9)
        self.check_after(build)
