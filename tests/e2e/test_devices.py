"""What a step cannot do to the machine's devices, on whatever way it comes by a node; and what it can."""

import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import time
import unittest

import support
from image import make_tar, tar_info
from support import LadeTest

BASE = "FROM busybox\n"
SECRET = b"what lies on a disk of the host\n"
# As the kernel refuses: by the rules of a cgroup, or by a mount without devices.
REFUSALS = ("Operation not permitted", "Permission denied")


class Disk:
    """A block device of the machine's that is the test's own: a file as a loop device."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(SECRET.ljust(1 << 20, b"\0"))
        made = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True)
        if made.returncode != 0:
            raise unittest.SkipTest(f"no loop device can be had: {made.stderr.strip()}")
        self.name = made.stdout.strip()
        number = os.stat(self.name).st_rdev
        self.major, self.minor = os.major(number), os.minor(number)

    @property
    def node(self):
        return f"b {self.major} {self.minor}"

    def content(self):
        subprocess.run(["blockdev", "--flushbufs", self.name], check=True)
        return self.path.read_bytes()[:len(SECRET)]

    def detach(self):
        subprocess.run(["losetup", "--detach", self.name], check=True)


def tries(*paths):
    """A script that reads and then writes each node and says how that went."""
    reads = "".join(f"echo {path}: $(head -c 31 {path} 2>&1); " for path in paths)
    return reads + "".join(f"(echo overwritten 1<>{path}) 2>&1; " for path in paths) + "true"


def device_info(name, kind, major, minor):
    kind = {"b": tarfile.BLKTYPE, "c": tarfile.CHRTYPE}[kind]
    return tar_info(name, kind, mode=0o666, devmajor=major, devminor=minor)


class DeviceTest(LadeTest):
    def setUp(self):
        super().setUp()
        self.disk = Disk(self.ws.dir / "disk")
        self.addCleanup(self.disk.detach)

    def assert_refused(self, lines, reads):
        """`reads` of the lines are of reading, each followed by one of writing; none of them worked."""
        text = "\n".join(lines)
        self.assertNotIn(SECRET.decode().strip(), text)
        self.assertEqual(self.disk.content(), SECRET, text)
        self.assertEqual(sum(any(refusal in line for refusal in REFUSALS) for line in lines), 2 * reads, text)

    def base_with_node(self, name="base"):
        """An image whose /disk anybody may open."""
        tar = self.ws.dir / "node.tar"
        tar.write_bytes(make_tar([device_info("disk", "b", self.disk.major, self.disk.minor)]))
        whole = self.ws.dir / f"{name}.tar"
        shutil.copy(support.busybox_tar(), whole)
        subprocess.run(["tar", "--concatenate", "--file", whole, tar], check=True)
        self.ws.lade("import", whole, name)
        return name

    def test_the_tries_of_these_tests_work_where_nothing_is_refused(self):
        result = self.build(BASE + f"RUN --security=insecure mknod /d {self.disk.node}; {tries('/d')}\n",
                            "--allow", "security.insecure")
        self.assertEqual(result.log("RUN"), [f"/d: {SECRET.decode().strip()}"])
        self.assertEqual(self.disk.content(), b"overwritten\n" + SECRET[12:])

    def test_a_node_that_the_step_makes(self):
        lines = self.build(BASE + f"RUN mknod /d {self.disk.node} && echo made; {tries('/d')}\n").log("RUN")
        self.assertEqual(lines[0], "made")
        self.assert_refused(lines, 1)

    def test_a_node_of_the_base_image_as_a_user_and_as_root(self):
        base = self.base_with_node()
        result = self.build(f"FROM {base}\nUSER 1000\nRUN ls -l /disk; {tries('/disk')}\nUSER 0\nRUN {tries('/disk')}\n")
        lines = result.log("RUN")
        self.assertTrue(lines[0].startswith("brw-rw-rw-"), lines)
        self.assert_refused(lines, 2)

    def test_a_node_of_an_archive_that_add_unpacks(self):
        node = make_tar([device_info("disk", "b", self.disk.major, self.disk.minor)])
        lines = self.build(BASE + f"ADD node.tar /\nUSER 1000\nRUN test -b /disk && echo there; {tries('/disk')}\n",
                           files={"node.tar": node}).log("RUN")
        self.assertEqual(lines[0], "there")
        self.assert_refused(lines, 1)

    def test_a_node_that_another_step_or_stage_made(self):
        lines = self.build(f"FROM busybox AS a\nRUN mknod -m 666 /d {self.disk.node}\nRUN --network=none {tries('/d')}\n"
                           f"FROM busybox AS b\nCOPY --from=a /d /e\nUSER 1000\nRUN {tries('/e')}\n"
                           f"FROM busybox\nCOPY --from=a /etc/passwd /x\nCOPY --from=b /etc/passwd /y\n"
                           f"RUN --mount=from=a,target=/m {tries('/m/d')}\n").log("RUN")
        self.assert_refused(lines, 3)

    def test_a_hard_link_to_a_node(self):
        base = self.base_with_node()
        lines = self.build(f"FROM {base}\nRUN ln /disk /linked && {tries('/linked')}\n"
                           f"RUN mknod /d {self.disk.node}; ln /d /tmp/other; mv /tmp/other /moved; {tries('/moved')}\n").log("RUN")
        self.assert_refused(lines, 2)

    def test_nodes_on_every_kind_of_mount(self):
        make = "; ".join(f"mknod -m 666 {place}/d {self.disk.node}" for place in ("/c", "/t", "/b", "/dev", "/dev/shm"))
        nodes = ("/c/d", "/t/d", "/b/d", "/dev/d", "/dev/shm/d")
        mounts = ("--mount=type=cache,target=/c,mode=777 --mount=type=tmpfs,target=/t "
                  "--mount=type=bind,rw,from=busybox,target=/b")
        lines = self.build(f"{BASE}RUN {mounts} {make}; {tries(*nodes)}\n").log("RUN")
        self.assert_refused(lines, len(nodes))
        # The cache outlives the step that made the node.
        lines = self.build(f"{BASE}USER 1000\nRUN --mount=type=cache,target=/c,mode=777 test -b /c/d && {tries('/c/d')}\n").log("RUN")
        self.assert_refused(lines, 1)

    def test_steps_with_a_cgroup_of_their_own(self):
        for args in (("--memory", "200m"), ("--cgroup-parent", "/lade-devices-test/below")):
            with self.subTest(args):
                lines = self.build(BASE + f"RUN mknod /d {self.disk.node}; {tries('/d')}; echo x > /dev/null\n",
                                   "--no-cache", *args).log("RUN")
                self.assert_refused(lines, 1)
                left = list(pathlib.Path("/sys/fs/cgroup").glob("**/lade-devices-test*"))
                self.assertEqual(left, [])

    def test_containers_of_run(self):
        base = self.base_with_node()
        for user in ("0", "1000"):
            out = self.ws.lade("run", "-u", user, base, "/bin/sh", "-c", tries("/disk"), code=None)
            self.assert_refused(out.stdout.splitlines(), 1)
        self.ws.dir.joinpath("host").mkdir()
        host = self.ws.dir / "host"
        subprocess.run(["mknod", "-m", "666", host / "d", "b", str(self.disk.major), str(self.disk.minor)], check=True)
        out = self.ws.lade("run", "-v", f"{host}:/h", "-v", f"{host}/d:/one", "--tmpfs", "/t", "busybox", "/bin/sh", "-c",
                           f"mknod /t/d {self.disk.node}; {tries('/h/d', '/one', '/t/d')}", code=None)
        self.assert_refused(out.stdout.splitlines(), 3)
        # What anybody may have is no danger, and masking files with it is a habit.
        out = self.ws.lade("run", "-v", "/dev/null:/etc/passwd", "busybox", "/bin/sh", "-c",
                           "cat /etc/passwd && echo x > /etc/passwd && echo empty")
        self.assertEqual(out.stdout, "empty\n")

    def test_character_devices_of_the_machine(self):
        nodes = {"mem": (1, 1), "port": (1, 4), "kmsg": (1, 11), "console": (5, 1), "tun": (10, 200), "kvm": (10, 232),
                 "fuse": (10, 229), "loop": (10, 237), "tty0": (4, 0), "hpet": (10, 228), "cuse": (10, 203)}
        make = "; ".join(f"mknod -m 666 /{name} c {major} {minor}" for name, (major, minor) in nodes.items())
        opens = "; ".join(f"(exec 3</{name}) 2>&1; (exec 3>>/{name}) 2>&1" for name in nodes)
        lines = self.build(f"{BASE}RUN {make}; {opens}; true\nUSER 1000\nRUN {opens}; true\n").log("RUN")
        self.assert_refused(lines, 2 * len(nodes))


class UsualDevices(LadeTest):
    slow = 100

    def test_they_work_in_dev_and_wherever_they_are_made(self):
        make = "; ".join(f"mknod -m 666 /x/{name} c {number}" for name, number in
                         (("null", "1 3"), ("zero", "1 5"), ("full", "1 7"), ("random", "1 8"), ("urandom", "1 9")))
        use = ("echo x > {0}/null && cat {0}/null && head -c 2 {0}/zero | wc -c; echo x 2>&1 > {0}/full || echo full; "
               "head -c 3 {0}/random | wc -c; head -c 4 {0}/urandom | wc -c; ")
        lines = self.build(f"{BASE}RUN mkdir /x; {make}; {use.format('/x')}{use.format('/dev')}true\n"
                           f"USER 1000\nRUN {use.format('/x')}{use.format('/dev')}true\n").log("RUN")
        said = [line for line in lines if "error" not in line]
        self.assertEqual(said, ["2", "full", "3", "4"] * 4, lines)

    def test_debootstrap_in_a_step(self):
        support.needs_network()
        state = self.ws.new_state("debian", "state-debian")
        result = self.ws.build("FROM debian:12\n"
                               "RUN apt-get update -q && apt-get install -qy --no-install-recommends debootstrap ca-certificates\n"
                               f"RUN debootstrap --variant=minbase bookworm /r {support.MIRROR}\n"
                               "RUN chroot /r sh -c 'echo x > /dev/null && head -c 8 /dev/urandom | wc -c && dpkg -s bash | head -n 1'\n",
                               state=state, timeout=590)
        self.assertEqual(result.log("chroot /r"), ["8", "Package: bash"])


class AsRunc(LadeTest):
    def test_the_answers_are_runcs(self):
        """But for 10:200, which newer versions of runc refuse."""
        runc = shutil.which("runc")
        if not runc:
            self.skipTest("needs runc (package runc)")
        numbers = [f"c {major} {minor}" for major, minors in
                   {1: (1, 2, 3, 4, 5, 7, 8, 9, 11), 4: (0, 1, 64), 5: (0, 1, 2, 3), 7: (0,), 10: (1, 203, 229, 232, 237),
                    13: (0,), 29: (0,), 116: (0,), 136: (0, 5), 226: (0,), 240: (0,)}.items() for minor in minors]
        numbers += [f"b {major} {minor}" for major, minor in
                    ((1, 0), (7, 0), (7, 7), (8, 0), (9, 0), (11, 0), (65, 3), (136, 0), (253, 0), (254, 0), (259, 0))]
        probe = "; ".join(f"mknod /tmp/n {number} 2>&1 && for how in '<' '>>'; do echo '{number}' $how "
                          "$( (eval \"exec 3$how /tmp/n\") 2>&1 ) ; done; rm -f /tmp/n" for number in numbers)
        self.assertEqual(self.runc_output(runc, probe), self.build(f"{BASE}RUN {probe}\n").log("RUN"))

    def runc_output(self, runc, script):
        bundle = self.ws.dir / "bundle"
        (bundle / "rootfs").mkdir(parents=True)
        subprocess.run(["tar", "-C", bundle / "rootfs", "-xf", support.busybox_tar()], check=True)
        for name in ("proc", "sys", "dev"):
            (bundle / "rootfs" / name).mkdir()
        subprocess.run([runc, "spec", "--bundle", bundle], check=True)
        spec = support.read_json(bundle / "config.json")
        spec["root"]["readonly"] = False
        spec["process"]["terminal"] = False
        spec["process"]["args"] = ["/bin/sh", "-c", script]
        spec["process"].pop("rlimits", None)
        for kind in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][kind] += ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
        (bundle / "config.json").write_text(support.json.dumps(spec))
        name = f"lade-devices-{os.getpid()}"
        done = subprocess.run([runc, "--root", self.ws.dir / "runc", "run", "--bundle", bundle, name], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()


class Groups(LadeTest):
    def groups(self):
        return set(pathlib.Path("/sys/fs/cgroup").glob("**/lade-[0-9]*"))

    def zygote_of(self, pid):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                status = (process / "status").read_text()
            except OSError:
                continue
            if f"\nPPid:\t{pid}\n" in status and "\nName:\tlade-zygote\n" in f"\n{status}":
                return int(process.name)
        return None

    def test_what_killed_processes_left_goes_with_the_next_build(self):
        for args in ((), ("--memory", "200m")):
            with self.subTest(args):
                self.write({"Dockerfile": BASE + "RUN echo up; sleep 600\n"})
                process = self.ws.spawn("build", "--no-cache", *args, self.ws.context)
                while not process.stderr.readline().endswith(b" up\n"):
                    self.assertIsNone(process.poll(), "it ended")
                zygote = self.zygote_of(process.pid)
                mine = {group for group in self.groups() if group.name.split("-")[1] == str(zygote)}
                self.assertTrue(mine)
                # Nobody is left to tidy then.
                os.kill(process.pid, signal.SIGKILL)
                os.kill(zygote, signal.SIGKILL)
                self.ws.finish(process)
                result = self.build(BASE + "RUN echo next\n", "--no-cache")
                self.assertEqual(result.log("RUN"), ["next"])
                deadline = time.monotonic() + 30
                # The killed step's processes may still have been ending when that build swept.
                while mine & self.groups() and time.monotonic() < deadline:
                    self.build(None, "--no-cache")
                self.assertEqual(mine & self.groups(), set())
