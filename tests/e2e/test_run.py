"""`lade run`: what runs, as whom, with which streams and signals, and that nothing is left of it."""

import errno
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import support
from support import LadeTest

DOCKERFILE = """FROM busybox
ENV A=image B=image
WORKDIR /w
RUN echo seven:x:7:8::/home/seven:/bin/sh >> /etc/passwd && echo eight:x:8: >> /etc/group && mkdir -p /data && \\
    echo in-image > /data/file
VOLUME /data
ENTRYPOINT ["echo", "entry"]
CMD ["cmd"]
"""


class Run(LadeTest):
    def lade_run(self, *args, **kwargs):
        return self.ws.lade("run", *args, **kwargs)

    def out(self, *args, **kwargs):
        return self.lade_run(*args, **kwargs).stdout

    def sh(self, script, *options, **kwargs):
        return self.out(*options, "busybox", "sh", "-c", script, **kwargs)

    def test_entrypoint_and_command_are_resolved_as_docker_does(self):
        self.build(DOCKERFILE, "-t", "app")
        self.assertEqual(self.out("app"), "entry cmd\n")
        self.assertEqual(self.out("app", "other", "words"), "entry other words\n")
        self.assertEqual(self.out("--entrypoint", "/bin/pwd", "app"), "/w\n")
        self.assertEqual(self.out("--entrypoint", "", "app", "echo", "plain"), "plain\n")
        self.assert_fails(self.lade_run("--entrypoint", "", "app", code=None), "there is nothing to run", code=125)

    def test_environment_comes_from_image_files_and_options(self):
        self.build(DOCKERFILE, "-t", "app")
        file = self.ws.dir / "env"
        file.write_text("# comment\nB=file\nC='quotes stay'\n\nFROM_HOST\n")
        out = self.out("--entrypoint", "env", "--env-file", file, "-e", "D=option", "-e", "FROM_HOST", "-e", "A",
                       "--hostname", "box", "app", env={"FROM_HOST": "host"})
        env = dict(line.split("=", 1) for line in out.splitlines())
        self.assertEqual((env["B"], env["C"], env["D"], env["FROM_HOST"]), ("file", "'quotes stay'", "option", "host"))
        self.assertNotIn("A", env, "a variable that is not set here is taken out, as docker does")
        self.assertEqual((env["HOSTNAME"], env["HOME"]), ("box", "/root"))

    def test_proxies_of_dockers_configuration_reach_containers(self):
        config = self.ws.dir / "docker"
        config.mkdir()
        (config / "config.json").write_text(json.dumps({"proxies": {
            "default": {"httpProxy": "http://proxy:1", "noProxy": "localhost", "ftpProxy": ""},
            "tcp://other:2375": {"httpsProxy": "http://other:2"}}}))
        self.build("FROM busybox\nENV HTTP_PROXY=of-the-image\n", "-t", "app")

        def proxies(*options, **env):
            out = self.out(*options, "app", "env", env={"DOCKER_CONFIG": str(config), **env})
            return {name: value for name, value in (line.split("=", 1) for line in out.splitlines())
                    if name.lower().endswith("_proxy")}

        both = {"HTTP_PROXY": "http://proxy:1", "http_proxy": "http://proxy:1", "NO_PROXY": "localhost",
                "no_proxy": "localhost"}
        self.assertEqual(proxies(), both)
        self.assertEqual(proxies("-e", "http_proxy=mine", "-e", "NO_PROXY="), {**both, "http_proxy": "mine", "NO_PROXY": ""})
        self.assertEqual(proxies(DOCKER_HOST="tcp://other:2375"),
                         {"HTTP_PROXY": "of-the-image", "HTTPS_PROXY": "http://other:2", "https_proxy": "http://other:2"})
        (config / "config.json").write_text("[]")
        result = self.lade_run("app", "env", env={"DOCKER_CONFIG": str(config)})
        self.assertIn("WARNING: no proxies are used: ", result.stderr)
        self.assertIn("HTTP_PROXY=of-the-image\n", result.stdout)

    def test_the_number_of_processes_is_limited(self):
        many = "i=0; while [ $i -lt 60 ]; do sleep 2 & i=$((i+1)); done"
        result = self.assert_fails(self.lade_run("--pids-limit", "20", "busybox", "sh", "-c", many, code=None),
                                   "lade: the container met its limit of 20 processes (--pids-limit)", code=2)
        self.assertIn("can't fork", result.stderr)
        self.assertEqual(self.sh("echo fits", "--pids-limit=20"), "fits\n")
        for none in ("0", "-1"):
            self.assertEqual(self.sh("for i in 1 2 3; do true & done; wait; echo all", f"--pids-limit={none}"), "all\n")
        self.assert_fails(self.lade_run("--pids-limit", "few", "busybox", code=None), "--pids-limit: invalid pids value 'few'",
                          code=125)

    def test_user_workdir_and_hostname(self):
        self.build(DOCKERFILE, "-t", "app")
        out = self.out("--entrypoint", "sh", "-u", "seven", "-w", "/new/dir", "-h", "box", "app", "-c",
                       "id -u; id -g; pwd; hostname; echo $HOME; cat /etc/hosts")
        self.assertEqual(out.splitlines()[:5], ["7", "8", "/new/dir", "box", "/home/seven"])
        self.assertIn("box", out.splitlines()[5])
        self.assertEqual(self.sh("id -u; id -g", "-u", "5:6"), "5\n6\n")
        self.assert_fails(self.lade_run("-u", "nobody-here", "busybox", "true", code=None), "nobody-here", code=125)

    def test_exit_codes_are_the_commands_or_dockers(self):
        self.assertEqual(self.lade_run("busybox", "sh", "-c", "exit 42", code=None).code, 42)
        self.assertEqual(self.lade_run("busybox", "sh", "-c", "kill -9 $$", "--init", code=None).code, 0)
        self.assertEqual(self.lade_run("--init", "busybox", "sh", "-c", "kill -9 $$", code=None).code, 137)
        self.assert_fails(self.lade_run("busybox", "/no/such", code=None), "/no/such", code=127)
        self.assert_fails(self.lade_run("busybox", "/etc/passwd", code=None), "permission denied", code=126)
        self.assert_fails(self.lade_run("--pull", "never", "none:1", code=None), "is not on this machine", code=125)
        self.assert_fails(self.lade_run("--nonsense", "busybox", code=None), "'--nonsense'", code=125)
        self.assert_fails(self.lade_run(code=None), "which image", code=125)

    def test_what_needs_a_daemon_says_so(self):
        self.assert_fails(self.lade_run("-d", "busybox", code=None), "no daemon", code=125)
        self.assert_fails(self.lade_run("-p", "80:80", "busybox", code=None), "publishes no ports", code=125)
        self.assert_fails(self.lade_run("--name", "x", "busybox", code=None), "keeps no containers", code=125)
        self.assert_fails(self.lade_run("-v", "named:/x", "busybox", code=None), "named volumes", code=125)

    def test_standard_streams_are_passed_on(self):
        self.assertEqual(self.out("-i", "busybox", "cat", stdin=b"to cat\n"), "to cat\n")
        self.assertEqual(self.out("busybox", "cat", stdin=b"not passed on\n"), "")
        result = self.lade_run("busybox", "sh", "-c", "echo out; echo err >&2")
        self.assertEqual((result.stdout, result.stderr), ("out\n", "err\n"))
        big = os.urandom(1 << 20)
        self.assertEqual(self.lade_run("-i", "busybox", "cat", stdin=big).stdout_bytes, big)

    def test_a_reader_that_goes_away_ends_the_container(self):
        process = subprocess.Popen(self.ws.command("run", "busybox", "yes"), stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=support.environment())
        self.ws.defer(process.kill)
        self.assertEqual(process.stdout.readline(), b"y\n")
        process.stdout.close()
        self.assertEqual(process.wait(20), 141)

    def test_volumes_are_the_hosts_files(self):
        shared = self.ws.dir / "shared"
        shared.mkdir()
        (shared / "from-host").write_text("hi\n")
        self.assertEqual(self.sh("cat /v/from-host; echo back > /v/new", "-v", f"{shared}:/v"), "hi\n")
        self.assertEqual((shared / "new").read_text(), "back\n")
        result = self.lade_run("-v", f"{shared}:/deep/in:ro", "busybox", "touch", "/deep/in/x", code=None)
        self.assert_fails(result, "Read-only file system")
        self.assertEqual(self.sh("cat /one", "--mount", f"type=bind,src={shared}/from-host,dst=/one,ro"), "hi\n")
        self.assert_fails(self.lade_run("--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true", code=None),
                          "/no/such", code=125)
        made = self.ws.dir / "made"
        self.sh("touch /m/x", "-v", f"{made}:/m")
        self.assertTrue((made / "x").exists(), "-v makes a directory that is not there")

    def test_mounts_within_mounts_appear_whatever_their_order(self):
        outer, inner = self.ws.dir / "outer", self.ws.dir / "inner"
        for directory in (outer, inner):
            directory.mkdir()
        (outer / "sub").mkdir()
        (inner / "file").write_text("inner\n")
        self.assertEqual(self.sh("cat /a/sub/file", "-v", f"{inner}:/a/sub", "-v", f"{outer}:/a"), "inner\n")

    def test_tmpfs_and_a_read_only_root(self):
        self.build(DOCKERFILE, "-t", "app")
        script = "touch /x 2>/dev/null || echo refused; cat /data/file; echo y > /data/y && cat /data/y; touch /t/z && df /t"
        out = self.out("--read-only", "--tmpfs", "/t:size=1m", "--entrypoint", "sh", "app", "-c", script)
        self.assertEqual(out.splitlines()[:3], ["refused", "in-image", "y"])
        self.assertIn("1024", out)

    def test_a_container_may_write_its_hosts_and_resolv_conf(self):
        script = "echo 192.0.2.1 x >> /etc/hosts && tail -n 1 /etc/hosts; echo y > /etc/resolv.conf && cat /etc/resolv.conf"
        self.assertEqual(self.sh(script), "192.0.2.1 x\ny\n")
        self.assertEqual(self.sh(f"({script}) 2>&1 | grep -c Read-only", "--read-only"), "2\n")

    def test_nothing_of_a_container_is_kept(self):
        self.build(DOCKERFILE, "-t", "app")
        before = sorted(path.name for path in (self.ws.state / "layers").iterdir())
        self.out("--entrypoint", "sh", "app", "-c", "echo x > /data/new; echo y > /new")
        self.assertEqual(self.out("--entrypoint", "ls", "app", "/data"), "file\n")
        self.assertEqual(sorted(path.name for path in (self.ws.state / "layers").iterdir()), before)

    def test_networks(self):
        self.assertEqual(self.sh("ls /sys/class/net", "--network", "none"), "lo\n")
        host = sorted(os.listdir("/sys/class/net"))
        self.assertEqual(sorted(self.sh("ls /sys/class/net", "--network", "host").split()), host)
        self.assertIn("10.1.2.3\tpeer", self.sh("cat /etc/hosts", "--network", "none", "--add-host", "peer:10.1.2.3"))

    def test_privileged_has_all_capabilities(self):
        plain = self.sh("grep CapEff /proc/self/status").split()[1]
        privileged = self.sh("grep CapEff /proc/self/status", "--privileged").split()[1]
        self.assertEqual(bin(int(privileged, 16) & int(plain, 16)), bin(int(plain, 16)))
        self.assertGreater(int(privileged, 16), int(plain, 16))

    def test_an_image_that_is_not_here_is_pulled(self):
        self.build(DOCKERFILE, "-o", f"type=oci,dest={self.ws.out}/app.tar")
        registry = self.ws.registry()
        registry.push(f"oci-archive:{self.ws.out}/app.tar", "app:1")
        state = self.ws.new_state(None, "state-pull")
        result = self.lade_run(f"{registry.host}/app:1", state=state)
        self.assertEqual(result.stdout, "entry cmd\n")
        self.assertIn("Unable to find image", result.stderr)
        self.assertEqual(self.lade_run("--pull", "never", f"{registry.host}/app:1", state=state).stdout, "entry cmd\n")


class Signals(LadeTest):
    def start(self, *args):
        process = subprocess.Popen(self.ws.command("run", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, env=support.environment())
        self.ws.defer(self.ws._end, process)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def test_they_reach_the_command(self):
        for number, name in ((signal.SIGTERM, "TERM"), (signal.SIGHUP, "HUP"), (signal.SIGUSR1, "USR1"),
                             (signal.SIGINT, "INT"), (signal.SIGQUIT, "QUIT")):
            process = self.start("busybox", "sh", "-c",
                                 f"trap 'exit 33' {name}; echo ready; while :; do sleep 0.05; done")
            process.send_signal(number)
            self.assertEqual(process.wait(20), 33, name)

    def test_with_an_init_they_end_a_command_that_has_no_handlers(self):
        process = self.start("--init", "busybox", "sh", "-c", "echo ready; exec sleep 100")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 143)

    def test_the_third_interrupt_ends_what_does_not_listen(self):
        process = self.start("busybox", "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.1; done")
        for _ in range(3):
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        self.assertEqual(process.wait(20), 137)

    def test_a_killed_lade_takes_its_container_along_and_the_next_run_sweeps(self):
        process = self.start("-v", f"{self.ws.dir}:/host", "busybox", "sh", "-c",
                             "echo ready; echo x > /file; exec sleep 1000")
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and subprocess.run(["pgrep", "-f", "^sleep 1000$"],
                                                             stdout=subprocess.DEVNULL).returncode == 0:
            time.sleep(0.05)
        self.assertEqual(self.ws.lade("run", "busybox", "echo", "next").stdout, "next\n")
        self.assertEqual(list((self.ws.state / "tmp").iterdir()), [])


class Terminal(LadeTest):
    def session(self, *args, rows=33, columns=101):
        """Starts lade on a terminal of its own; returns (pid, descriptor)."""
        command = self.ws.command("run", *args)
        pid, fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(command[0], command, support.environment())
        self.ws.defer(os.close, fd)
        return pid, fd

    def read_until(self, fd, wanted, timeout=20):
        out, deadline = b"", time.monotonic() + timeout
        while wanted not in out:
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, out)
            try:
                data = os.read(fd, 4096)
            except OSError as error:
                self.assertEqual(error.errno, errno.EIO)
                self.fail(out)
            out += data
        return out

    def end(self, pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_shell_on_it_works_and_its_size_follows(self):
        pid, fd = self.session("-it", "busybox", "sh")
        self.read_until(fd, b"# ")
        os.write(fd, b"stty size; tty; echo $TERM\n")
        self.assertIn(b"33 101\r\n/dev/pts/0\r\nxterm\r\n", self.read_until(fd, b"xterm\r\n"))
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 50, 0, 0))
        os.kill(pid, signal.SIGWINCH)
        time.sleep(0.2)
        os.write(fd, b"stty size; exit 9\n")
        self.read_until(fd, b"20 50\r\n")
        self.assertEqual(self.end(pid), 9)

    def test_control_c_is_the_containers(self):
        # "ready" comes from the shell's child: a signal before that one starts would be trapped only at its end.
        pid, fd = self.session("-it", "busybox", "sh", "-c",
                               "trap 'echo caught; exit 4' INT; sh -c 'echo ready; exec cat'")
        self.read_until(fd, b"ready")
        os.write(fd, b"\x03")
        self.read_until(fd, b"caught")
        self.assertEqual(self.end(pid), 4)

    def test_repeated_control_c_ends_what_does_not_answer(self):
        # PID 1 without a handler does not get the signal.
        pid, fd = self.session("-it", "busybox", "sh", "-c", "echo ready; exec sleep 100")
        self.read_until(fd, b"ready")
        for _ in range(2):
            os.write(fd, b"\x03")
            self.read_until(fd, b"^C")
        self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0))
        os.write(fd, b"\x03")
        self.assertEqual(self.end(pid), 137)

    def test_a_shell_survives_repeated_control_c(self):
        pid, fd = self.session("-it", "busybox", "sh")
        self.read_until(fd, b"# ")
        for _ in range(5):
            os.write(fd, b"\x03")
            self.read_until(fd, b"# ")
        os.write(fd, b"exit 6\n")
        self.assertEqual(self.end(pid), 6)

    def test_the_detach_keys_end_it(self):
        for options, keys in (((), b"\x10\x11"), (("--detach-keys", "ctrl-a,x"), b"\x01x")):
            pid, fd = self.session("-it", *options, "busybox", "sh", "-c", "echo ready; while :; do echo again; sleep 0.1; done")
            before = termios.tcgetattr(fd)
            self.read_until(fd, b"ready")
            os.write(fd, keys)
            self.read_until(fd, b"the container has ended")
            self.assertEqual(self.end(pid), 137)
            self.assertEqual(termios.tcgetattr(fd)[3], before[3])
        self.assert_fails(self.ws.lade("run", "--detach-keys=ctrl-9", "busybox", code=None), "no key 'ctrl-9'", code=125)

    def test_the_users_terminal_is_as_it_was_before(self):
        pid, fd = self.session("-it", "busybox", "sh", "-c", "echo ready; read x")
        before = termios.tcgetattr(fd)
        self.read_until(fd, b"ready")
        self.assertNotEqual(termios.tcgetattr(fd)[3] & termios.ICANON, before[3] | termios.ICANON)
        os.write(fd, b"\r")
        self.read_until(fd, b"\r\n")
        self.assertEqual(self.end(pid), 0)
        self.assertTrue(termios.tcgetattr(fd)[3] & termios.ICANON)
        self.assertTrue(termios.tcgetattr(fd)[3] & termios.ECHO)

    def test_quick_output_is_not_lost(self):
        for _ in range(5):
            pid, fd = self.session("-t", "busybox", "echo", "quick")
            self.read_until(fd, b"quick")
            self.assertEqual(self.end(pid), 0)

    def test_no_terminal_to_pass_on_is_said(self):
        result = self.ws.lade("run", "-it", "busybox", "true", code=None)
        self.assert_fails(result, "standard input is not a terminal", code=125)


if __name__ == "__main__":
    unittest.main()
