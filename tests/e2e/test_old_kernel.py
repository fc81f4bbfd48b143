"""Older kernels and containers that deny system calls, as far as one machine can play them: tests/support/deny_calls.cpp
lets calls fail. What really boots there says docs/PLATFORMS.md."""

import pathlib
import subprocess

import support
from support import LadeTest

# Of Linux 5.10 on, and what containers' filters deny although the kernel has it.
NEW_CALLS = "since:441,clone3,close_range"


class DenyTest(LadeTest):
    def deny(self, error, calls):
        """From now on this test's lade lacks them. (Each test has a process of its own.)"""
        program = pathlib.Path(support.LADE).parent / "deny_calls"
        if not program.exists():
            self.skipTest(f"{program} is not built")
        wrapper = self.ws.dir / "lade"
        wrapper.write_text(f"#!/bin/sh\nexec '{program}' {error} {calls} '{support.LADE}' \"$@\"\n")
        wrapper.chmod(0o755)
        self.addCleanup(setattr, support, "LADE", support.LADE)
        support.LADE = str(wrapper)


class OldKernel(DenyTest):
    def setUp(self):
        super().setUp()
        self.deny("ENOSYS", NEW_CALLS)

    def test_the_calls_really_fail(self):
        code = "import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall(442, -1, 0, 0, 0, 0); print(ctypes.get_errno())"
        program = pathlib.Path(support.LADE).parent  # the wrapper's words, with another command
        words = (program / "lade").read_text().split("exec ")[1].split("'")
        out = subprocess.run([words[1], "ENOSYS", NEW_CALLS, "python3", "-c", code], check=True, capture_output=True)
        self.assertEqual(out.stdout, b"38\n")

    def test_every_kind_of_mount_is_what_it_should_be(self):
        result = self.build("""\
FROM busybox AS other
RUN mkdir /o && echo other > /o/f
FROM busybox
RUN --mount=type=bind,target=/ctx --mount=type=bind,from=other,source=/o,target=/other \\
    --mount=type=cache,target=/cache --mount=type=cache,target=/cachero,readonly --mount=type=tmpfs,target=/tmpfs \\
    --mount=type=secret,id=s \\
    cat /ctx/a /other/f /run/secrets/s; \\
    echo x > /ctx/b && echo x > /other/new && echo "binds: writable"; \\
    for d in /cachero /proc/sys/kernel/hostname /sys/x /etc/resolv.conf; do echo x 2>&1 > $d/x && echo "$d writable"; done; \\
    echo x > /proc/sys/kernel/hostname && echo "proc/sys writable"; \\
    cat /proc/timer_list | wc -c; ls /sys/firmware | wc -l; \\
    for m in /ctx /other /cache /cachero /tmpfs /proc/sys /proc/bus; do \\
      awk -v m=$m '$2 == m {print m, $4}' /proc/self/mounts; done
""", "--secret", f"id=s,src={self.ws.write({'../secret': 'hidden'}) or self.ws.dir / 'secret'}", files={"a": "of the context\n"})
        log = result.log("RUN --mount")
        self.assertEqual(log[0], "of the context")
        self.assertEqual([line for line in log if "writable" in line], [])
        options = {line.split()[0]: line.split()[1].split(",") for line in log if line.startswith("/")}
        for place in ("/ctx", "/other", "/cachero", "/proc/sys", "/proc/bus"):
            self.assertIn("ro", options[place], place)
        for place in ("/cache", "/tmpfs"):
            self.assertIn("rw", options[place], place)
        for place in ("/ctx", "/other", "/cache", "/cachero", "/tmpfs"):
            self.assertIn("nodev", options[place], place)
        self.assertIn("nosuid", options["/tmpfs"])
        self.assertIn("noexec", options["/proc/sys"])

    def test_steps_have_a_network_and_limits(self):
        result = self.build("FROM busybox\nRUN ping -c 1 -w 5 10.0.2.2 | grep -c ttl\nRUN --network=none ip -o link | wc -l\n")
        self.assertEqual(result.log("RUN ping"), ["1"])
        self.assertEqual(self.ws.lade("run", "--read-only", "busybox", "sh", "-c", "touch /x || echo kept").stdout, "kept\n")


class DeniedCalls(DenyTest):
    """Without a substitute, the message says what to do."""

    def test_no_openat2(self):
        self.deny("ENOSYS", "openat2")
        self.assert_fails("FROM busybox\n", "has no system call openat2", "lade needs Linux 5.10 or newer")

    def test_openat2_denied(self):
        self.deny("EPERM", "openat2")
        self.assert_fails("FROM busybox\n", "the system call openat2 is denied", "--security-opt seccomp=unconfined")

    def test_no_pidfds(self):
        self.deny("ENOSYS", "pidfd_open")
        self.assert_fails("FROM busybox\n", "has no system call pidfd_open")

    def test_mounts_denied(self):
        self.deny("EPERM", "fsopen")
        self.assert_fails("FROM busybox\nRUN --network=none true\n", "the system call fsopen is denied")

    def test_no_new_mount_calls(self):
        self.deny("ENOSYS", "fsopen,fsmount,fsconfig,move_mount,open_tree")
        self.assert_fails("FROM busybox\nRUN --network=none true\n", "has no system call fsopen")

    def test_a_container_that_may_not_mount(self):
        wrapper = self.ws.dir / "lade"
        wrapper.write_text(f"#!/bin/sh\nexec setpriv --bounding-set=-sys_admin '{support.LADE}' \"$@\"\n")
        wrapper.chmod(0o755)
        self.addCleanup(setattr, support, "LADE", support.LADE)
        support.LADE = str(wrapper)
        self.assert_fails("FROM busybox\nRUN --network=none true\n", "CAP_SYS_ADMIN", "--privileged")


class MissingDevices(LadeTest):
    def test_no_tun_device(self):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/net"], check=True)  # in this test's own namespace
        self.addCleanup(subprocess.run, ["umount", "/dev/net"], check=True)
        self.assert_fails("FROM busybox\nRUN ping -c 1 -w 5 10.0.2.2\n", "/dev/net/tun", "No such file or directory",
                          "load the module tun", "--network=host", "--network=none")
        self.build("FROM busybox\nRUN --network=none true\n")
