"""What a RUN sees, may do, and leaves behind."""

import http.server
import os
import tarfile
import threading
import time

import support
from image import make_tar, tar_info
from support import LadeTest

BASE = "FROM busybox\n"


class Sandbox(LadeTest):
    def output(self, *runs, base=BASE, args=(), **build):
        """Lines that the RUNs print."""
        return self.build(base + "".join(f"RUN {run}\n" for run in runs), *args, **build).log("RUN")

    def test_the_shell_is_pid_1_and_sees_no_host_process(self):
        lines = self.output("echo $$; ls -d /proc/[0-9]* | wc -l; cat /proc/1/cmdline | tr '\\0' ' '; true")
        self.assertEqual(lines[0], "1")
        self.assertLessEqual(int(lines[1]), 3)
        self.assertTrue(lines[2].startswith("/bin/sh -c echo $$;"), lines)

    def test_capabilities_are_dockers(self):
        lines = self.output("grep -E 'Cap(Eff|Bnd|Prm|Inh|Amb)|NoNewPrivs|Seccomp:' /proc/self/status")
        values = dict(line.split(":\t") for line in lines)
        for name in ("CapEff", "CapBnd", "CapPrm"):
            self.assertEqual(values[name], "00000000a80425fb", name)
        self.assertEqual((values["CapAmb"], values["Seccomp"]), ("0000000000000000", "2"))

    def test_a_users_step_has_no_effective_capabilities(self):
        lines = self.output("grep CapEff /proc/self/status; id -u", base=BASE + "USER nobody\n")
        self.assertEqual(lines, ["CapEff:\t0000000000000000", "65534"])

    def test_dangerous_files_of_proc_and_sys_are_masked_or_read_only(self):
        lines = self.output("cat /proc/kcore 2> /dev/null | wc -c; ls /proc/scsi /sys/firmware | grep -v : ; "
                            "echo 1 > /proc/sysrq-trigger || echo refused; echo 1 > /proc/sys/kernel/panic || echo refused; "
                            "mkdir /sys/x || echo refused; mount -t tmpfs x /tmp || echo refused; "
                            "mknod /tmp/sda b 8 0 && cat /tmp/sda || echo refused")
        self.assertEqual(lines[0], "0")
        self.assertEqual(lines.count("refused"), 5, lines)

    def test_the_devices_are_the_usual_ones(self):
        devices = set(self.output("ls /dev"))
        self.assertLessEqual({"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin",
                              "stdout", "stderr"}, devices)
        self.assertFalse(devices & {"sda", "vda", "kmsg", "mem", "loop0", "fuse"})
        self.assertEqual(self.output("head -c 5 /dev/zero | wc -c; echo x > /dev/null; echo y > /dev/shm/f; ls /dev/shm"),
                         ["5", "f"])

    def test_the_hostname_is_not_the_hosts_and_resolves(self):
        lines = self.output("hostname; grep -c $(hostname) /etc/hosts; grep -w localhost /etc/hosts | head -n 1")
        self.assertNotEqual(lines[0], os.uname().nodename)
        self.assertEqual(lines[1], "1")
        self.assertTrue(lines[2].startswith("127.0.0.1"), lines)

    def test_environment_working_directory_and_umask(self):
        base = BASE + "ENV A=1\nARG B=2\nWORKDIR /w\n"
        lines = self.output("env | sort; pwd; umask", base=base)
        self.assertEqual([line for line in lines if not line.startswith(("SHLVL", "OLDPWD"))],
                         ["A=1", "B=2", "HOME=/root",
                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=/w", "/w", "0022"])

    def test_files_of_the_builders_refuse_writes_rather_than_lose_them(self):
        lines = self.output("echo 192.0.2.1 x >> /etc/hosts; echo x > /etc/resolv.conf; mv /etc/hosts /h; true")
        self.assertEqual([line.split(": ")[-1] for line in lines],
                         ["Read-only file system", "Read-only file system", "Device or resource busy"])

    def test_a_tmpfs_on_dev_still_has_the_devices(self):
        lines = self.output("--mount=type=tmpfs,target=/dev echo x > /dev/null && ls /dev | grep -c -e null -e pts -e shm && "
                            "touch /dev/mine; ls /dev | grep -c mine", "test ! -e /dev/mine && echo gone")
        self.assertEqual(lines, ["3", "1", "gone"])

    def test_a_program_sees_the_limits_of_its_step(self):
        lines = self.output("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null; "
                            "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null || cut -d ' ' -f 1 /sys/fs/cgroup/cpu.max; "
                            "(echo 1 > /sys/fs/cgroup/cgroup.procs || echo 1 > /sys/fs/cgroup/memory/tasks) 2> /dev/null || echo refused",
                            args=("--memory", "100m", "--cpu-quota", "50000"))
        self.assertEqual([lines[0], lines[1], lines[-1]], ["104857600", "50000", "refused"])

    def test_add_host_is_in_etc_hosts(self):
        lines = self.output("grep given /etc/hosts", args=("--add-host", "given.example:192.0.2.7"))
        self.assertEqual(lines[0].split(), ["192.0.2.7", "given.example"])

    def test_users_have_their_groups(self):
        people = BASE + ("RUN echo 'u:x:1000:1001::/home/u:/bin/sh' >> /etc/passwd; "
                         "printf 'g:x:1001:\\nextra:x:7:u\\nother:x:8:\\n' >> /etc/group\n")
        shown = "echo $(id -u):$(id -g):$(id -G):$HOME"
        self.assertEqual(self.output(shown, base=people + "USER u\n"), ["1000:1001:1001 7:/home/u"])
        self.assertEqual(self.output(shown, base=people + "USER u:other\n"), ["1000:8:8:/home/u"])
        self.assertEqual(self.output(shown, base=people + "USER 1000\n")[0].split(":")[:2], ["1000", "1001"])
        self.assertEqual(self.output(shown, base=people + "USER 4242\n")[0].split(":")[:3], ["4242", "0", "0"])
        self.assert_fails(people + "USER unknown\nRUN true\n", "unknown", "Dockerfile:4")

    def test_shell_and_exec_forms(self):
        self.assertEqual(self.output('["/bin/echo", "a  b", "$HOME"]'), ["a  b $HOME"])
        base = BASE + 'SHELL ["/bin/sh", "-exc"]\n'
        self.assertEqual(self.output("echo hi", base=base), ["+ echo hi", "hi"])

    def test_a_long_running_step_shows_its_output_as_it_comes(self):
        self.write({"Dockerfile": BASE + "RUN echo early; sleep 3; echo late\n"})
        process = self.ws.spawn("build", self.ws.context)
        before = b""
        while not before.endswith(b" early\n"):
            line = process.stderr.readline()
            self.assertTrue(line, "lade ended before the output came")
            before += line
        seen = time.monotonic()
        self.assertIn(" late\n", self.ws.finish(process).stderr)
        self.assertGreater(time.monotonic() - seen, 2)

    def test_output_without_a_newline_and_binary_output_are_kept(self):
        self.assertEqual(self.output("printf 'no newline'"), ["no newline"])
        result = self.build(BASE + "RUN printf 'a\\377b\\n'; head -c 300000 /dev/zero | tr '\\0' x; echo\n")
        self.assertIn("a\udcffb", result.stderr)
        self.assertEqual(sum(line.count("x") for line in result.log("RUN")), 300000)


class SandboxNetwork(LadeTest):
    def listener(self, address="127.0.0.1"):
        server = http.server.ThreadingHTTPServer((address, 0), http.server.BaseHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port

    def test_the_default_network_reaches_out(self):
        support.needs_network()
        # busybox-static's wget crashes in the C library's resolver, so nslookup and nc it is. The input stays open:
        # user-mode networks drop the answer to a client that has already said that it will send no more.
        request = "GET /debian/dists/bookworm/Release HTTP/1.1\\r\\nHost: deb.debian.org\\r\\nConnection: close\\r\\n\\r\\n"
        result = self.build(BASE + "RUN ip=$(nslookup deb.debian.org | sed -n 's/^Address: *\\([0-9.]*\\)$/\\1/p' | head -n 1); "
                            f"(printf '{request}'; sleep 5) | nc -w 60 $ip 80 | grep Origin:\n")
        self.assertEqual(result.log("RUN"), ["Origin: Debian"])

    def test_the_default_network_cannot_reach_a_listener_on_the_hosts_loopback(self):
        port = self.listener()
        result = self.build(BASE + "RUN for host in 127.0.0.1 $(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p') "
                            f"$(sed -n 's/^nameserver //p' /etc/resolv.conf); do nc -w 2 $host {port} < /dev/null && "
                            "echo reached $host; done; echo tried\n")
        self.assertEqual([line for line in result.log("RUN") if not line.startswith("nc:")], ["tried"])

    def test_none_has_only_a_loopback_of_its_own(self):
        result = self.build(BASE + "RUN --network=none ip -o link | wc -l; ip route; ping -c 1 -w 2 127.0.0.1 | grep -c ttl\n")
        self.assertEqual(result.log("RUN"), ["1", "1"])
        by_option = self.build(BASE + "RUN ip -o link | wc -l\n", "--network", "none")
        self.assertEqual(by_option.log("RUN"), ["1"])

    def test_host_needs_a_grant_and_then_reaches_the_hosts_loopback(self):
        port = self.listener()
        dockerfile = BASE + f"RUN --network=host printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 127.0.0.1 {port} | grep -q 501 && echo reached\n"
        self.assert_fails(dockerfile, "network.host", "Dockerfile:2")
        self.assertEqual(self.build(None, "--allow", "network.host").log("RUN"), ["reached"])


class SandboxProcesses(LadeTest):
    def test_a_daemon_with_open_pipes_does_not_hang_the_step(self):
        result = self.build(BASE + "RUN (sleep 300; echo never) & echo started\nRUN echo next\n")
        self.assertLess(result.seconds, 60)
        self.assertEqual(result.log("RUN"), ["started", "next"])

    def test_late_output_of_a_child_is_kept(self):
        result = self.build(BASE + "RUN (for i in 1 2 3 4 5; do echo line $i; done; sleep 300) & sleep 0.3; exit 0\n")
        self.assertEqual(result.log("RUN"), [f"line {i}" for i in range(1, 6)])

    def test_what_a_killed_daemon_was_writing_is_no_longer_written(self):
        tree = self.tree(BASE + "RUN (while :; do echo x >> /log; done) & sleep 0.2\nRUN wc -c < /log > /1; sleep 0.2; "
                         "wc -c < /log > /2\n")
        self.assertEqual(tree["1"].data, tree["2"].data)

    def test_a_signal_that_ends_the_shell_is_the_steps_failure(self):
        self.assert_fails(BASE + "RUN sh -c 'kill -9 $$'; exit $?\n", "exit code: 137", "Dockerfile:2")

    def test_exec_of_what_is_not_there(self):
        result = self.assert_fails(BASE + 'RUN ["/no/such", "x"]\n', "/no/such", "Dockerfile:2")
        self.assertRegex(result.stderr, "(?i)no such file|not found")


class SandboxHeredocs(LadeTest):
    def run_heredoc(self, text, base=BASE):
        return self.build(base + text).log("RUN")

    def test_a_sole_heredoc_is_the_shells_script(self):
        self.assertEqual(self.run_heredoc("RUN <<EOF\necho one $HOME\nfalse\necho two\nEOF\n"), ["one /root", "two"])

    def test_the_builder_does_not_expand_it_and_quotes_do_not_matter(self):
        self.assertEqual(self.run_heredoc('ENV A=env\nRUN <<"EOF"\nA=shell; echo $A\nEOF\nRUN <<EOF\nA=shell; echo $A\nEOF\n'),
                         ["shell", "shell"])

    def test_a_shebang_runs_the_text_as_a_file(self):
        script = "RUN <<EOF\n#!/bin/awk -f\nBEGIN { print 6 * 7 }\nEOF\n"
        self.assertEqual(self.run_heredoc(script), ["42"])

    def test_a_command_reads_heredocs_as_the_shell_does(self):
        self.assertEqual(self.run_heredoc("RUN cat <<A <<B && cat <<C\nnot seen\nA\nb\nB\nc\nC\n"), ["b", "c"])

    def test_dashes_strip_tabs(self):
        self.assertEqual(self.run_heredoc("RUN <<-EOF\n\techo tabbed\n\tEOF\n"), ["tabbed"])

    def test_nothing_of_the_script_stays_in_the_image(self):
        before = set(self.image(BASE + "RUN true\n").tree())
        after = set(self.image(BASE + "RUN <<EOF\n#!/bin/sh\ntrue\nEOF\n", name="after.tar").tree())
        # The base has no /dev, and where the script was mounted in it none stays: as with BuildKit.
        self.assertIn("dev", before)
        self.assertEqual(after, before - {"dev"})
        for mount in ("type=tmpfs,target=/dev/x", "type=cache,target=/dev/a/b", "type=secret,id=none,target=/dev/s"):
            with self.subTest(mount):
                tree = set(self.image(BASE + f"RUN --mount={mount} true\n", name="mount.tar").tree())
                self.assertEqual(tree, before if "secret" in mount else before - {"dev"})


class SandboxMounts(LadeTest):
    def test_a_tmpfs_has_the_mode_of_the_directory_that_it_covers(self):
        out = self.tree("FROM busybox\nRUN mkdir -m 710 /d && mkdir -m 2755 /g && ln -s d /link\n"
                        "RUN --mount=type=tmpfs,target=/link --mount=type=tmpfs,target=/g --mount=type=tmpfs,target=/new "
                        "stat -c '%n %a' /d /g /new > /modes\n")
        self.assertEqual(out["modes"].text, "/d 710\n/g 2755\n/new 1777\n")

    def test_bind_shows_the_context_or_a_stage_and_refuses_writes(self):
        result = self.build("FROM busybox AS s\nRUN echo staged > /f\nFROM busybox\n"
                            "RUN --mount=type=bind,target=/c --mount=type=bind,from=s,source=/f,target=/g cat /c/file /g; "
                            "echo x > /c/file || echo refused; touch /c/new || echo refused; echo y > /g || echo refused\n",
                            files={"file": "from the context\n"})
        lines = [line for line in result.log("RUN") if "sh:" not in line and "touch:" not in line]
        self.assertEqual(lines, ["from the context", "staged", "refused", "refused", "refused"])

    def test_writes_to_an_rw_bind_are_thrown_away(self):
        result = self.build("FROM busybox\nRUN --mount=type=bind,target=/c,rw echo changed > /c/file && rm /c/gone && cat /c/file\n"
                            "RUN --mount=type=bind,target=/c cat /c/file /c/gone\n",
                            files={"file": "original\n", "gone": "still here\n"})
        self.assertEqual(result.log("RUN"), ["changed", "original", "still here"])
        self.assertEqual((self.ws.context / "file").read_text(), "original\n")

    def test_a_cache_mount_lasts_and_is_not_in_the_image(self):
        mount = "--mount=type=cache,target=/var/cache/x"
        tree = self.tree(BASE + f"RUN {mount} echo kept > /var/cache/x/f; stat -c %a:%u /var/cache/x > /look\n"
                         f"RUN {mount} cp /var/cache/x/f /copied\nRUN --mount=type=cache,id=other,target=/var/cache/x "
                         "ls /var/cache/x | wc -l > /other\n")
        self.assertEqual((tree["look"].text, tree["copied"].text, tree["other"].text.strip()), ("755:0\n", "kept\n", "0"))
        self.assertFalse([name for name in tree if name.startswith("var")])

    def test_cache_mounts_take_owner_mode_and_first_content(self):
        result = self.build("FROM busybox AS s\nRUN mkdir /o && echo first > /o/f\nFROM busybox\n"
                            "RUN --mount=type=cache,id=own,target=/c,uid=5,gid=6,mode=700 stat -c %a:%u:%g /c\n"
                            "RUN --mount=type=cache,id=from,target=/c,from=s,source=/o cat /c/f; echo more >> /c/f\n"
                            "RUN --mount=type=cache,id=from,target=/c,from=s,source=/o cat /c/f\n")
        self.assertEqual(result.log("RUN"), ["700:5:6", "first", "first", "more"])

    def test_a_cache_mount_is_its_id_and_what_it_begins_as(self):
        def run(options, script, *args, user="", stage="true"):
            return self.build(f"FROM busybox AS s\nRUN mkdir -m 711 /o && echo stage > /o/f && {stage}\nFROM busybox\n{user}"
                              f"RUN --mount=type=cache,id=q,target=/c{options} {script}\n", *args).log("RUN")

        look = "stat -c %a:%u:%g /c; ls /c; touch /c/"
        self.assertEqual(run("", look + "plain"), ["755:0:0"])
        for number, (options, mode) in enumerate(((",uid=1000", "755:1000:0"), (",gid=7", "755:0:7"), (",mode=1770", "1770:0:0"),
                                                  (",mode=700", "700:0:0"), (",uid=1000,gid=7,mode=700", "700:1000:7"),
                                                  (",uid=0", "755:0:0"))):
            self.assertEqual(run(options, f"{look}{number}"), [mode], options)
        # Each is still there, under every spelling that means the same.
        self.assertEqual(run("", look + "more"), ["755:0:0", "plain"])
        self.assertEqual(run(",uid=1000,gid=0,mode=0755", f": ; {look}more", user="USER 1000\n"), ["755:1000:0", "0"])
        self.assertEqual(run(",mode=0755", look + "zero"), ["755:0:0", "5"])
        # Over a stage: that stage's content. With an owner as well nothing of it is seen, as in BuildKit.
        over, owned = ",from=s,source=/o", ",from=s,uid=3"
        self.assertEqual(run(over, look + "over"), ["711:0:0", "f"])
        self.assertEqual(run(over, f": ; {look}over"), ["711:0:0", "f", "over"])
        self.assertEqual(run(over, look + "other", stage="echo 2 > /o/f"), ["711:0:0", "f"])
        self.assertEqual(run(owned, look + "owned"), ["755:3:0"])
        self.assertEqual(run(owned, f": ; {look}owned"), ["755:3:0", "owned"])
        self.assertEqual(run(owned, look + "other", stage="echo 2 > /o/f"), ["755:3:0"])
        # --no-cache empties each of those that the build has.
        self.assertEqual(run(",uid=1000", look + "new", "--no-cache"), ["755:1000:0"])
        self.assertEqual(run("", f": : ; {look}last"), ["755:0:0", "more", "plain"])

    def test_one_step_may_have_several_cache_mounts_of_one_id(self):
        mounts = "--mount=type=cache,id=q,target=/a --mount=type=cache,id=q,target=/b,uid=5 --mount=type=cache,id=q,target=/c"
        self.assertEqual(self.build(f"FROM busybox\nRUN {mounts} touch /a/f; ls /b /c; stat -c %u /b\n").log("RUN"),
                         ["/b:", "", "/c:", "f", "5"])

    def test_a_tmpfs_is_empty_sized_and_gone(self):
        tree = self.tree(BASE + "RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | tail -n 1 | awk '{print $2}' > /size; "
                         "dd if=/dev/zero of=/t/f bs=1M count=3 2> /dev/null && echo fits > /fits; true\n")
        self.assertEqual(tree["size"].text, "1024\n")
        self.assertNotIn("fits", tree)
        self.assertNotIn("t", tree)

    def test_secrets_have_a_mode_a_place_and_an_owner(self):
        secret = self.ws.dir / "secret"
        secret.write_bytes(b"s3\x00cret")
        result = self.build(BASE + "RUN --mount=type=secret,id=a stat -c %a:%u /run/secrets/a; wc -c < /run/secrets/a\n"
                            "RUN --mount=type=secret,id=a,target=/etc/x,mode=440,uid=7,gid=8 stat -c %a:%u:%g /etc/x\n"
                            "RUN --mount=type=secret,id=b,env=TOKEN echo $TOKEN; ls /run/secrets 2> /dev/null | wc -l\n",
                            "--secret", f"id=a,src={secret}", "--secret", "id=b,env=SECRET_B", env={"SECRET_B": "from env"})
        self.assertEqual(result.log("RUN"), ["400:0", "7", "440:7:8", "from env", "0"])
        self.assertFalse([path for path in self.ws.state.rglob("*") if path.is_file() and b"s3\x00cret" in path.read_bytes()])

    def test_a_missing_secret_is_an_error_only_if_required(self):
        optional = BASE + "RUN --mount=type=secret,id=none ls /run/secrets/none || echo absent\n"
        self.assertEqual(self.build(optional).log("RUN")[-1], "absent")
        self.assert_fails(BASE + "RUN --mount=type=secret,id=none,required true\n", "none", "Dockerfile:2")

    def test_shared_mounts_of_parallel_stages_and_locked_ones_take_turns(self):
        stages = "".join(f"FROM busybox AS s{i}\nRUN --mount=type=cache,id=l,target=/c,sharing=locked "
                         f"test ! -e /c/busy && touch /c/busy && sleep 0.2 && rm /c/busy && echo {i} > /o{i}\n" for i in range(3))
        tree = self.tree(stages + "FROM scratch\n" + "".join(f"COPY --from=s{i} /o{i} /\n" for i in range(3)))
        self.assertEqual(sorted(tree), ["o0", "o1", "o2"])


class SandboxTraces(LadeTest):
    """What a step's set-up must not leave in its layer."""

    def test_mount_stubs_are_not_in_the_layer_and_parents_keep_their_times(self):
        image = self.image(BASE + "RUN mkdir -p /deep/er && chmod 750 /etc && touch -d @1400000000 /deep/er /deep /etc\n"
                           "RUN --mount=type=tmpfs,target=/deep/er/target --mount=type=bind,target=/deep/other/x "
                           "--mount=type=secret,id=s,target=/etc/secret echo x > /made\n",
                           "--secret", "id=s,env=S", env={"S": "s"})
        self.assertEqual(image.layer_names(-1), ["made"])
        tree = image.tree()
        for name in ("deep", "deep/er", "etc"):
            self.assertEqual(int(tree[name].mtime), 1400000000, name)
        for name in ("etc/resolv.conf", "etc/hosts", "run", "deep/er/target", "deep/other"):
            self.assertNotIn(name, tree)

    def test_a_step_that_changes_nothing_has_an_empty_layer(self):
        image = self.image(BASE + "RUN true\nRUN cat /etc/passwd > /dev/null; ls -R / > /dev/null\n")
        # The first one leaves what the base lacks and every container needs, as BuildKit's does.
        self.assertEqual([sorted(image.layer_names(number)) for number in (1, 2)], [["dev", "proc", "sys"], []])

    def test_the_images_own_resolv_conf_and_hosts_stay_as_they_are(self):
        self.write({"resolv": "nameserver 192.0.2.1\n", "hosts": "192.0.2.2 mine\n"})
        tree = self.tree(BASE + "COPY resolv /etc/resolv.conf\nCOPY hosts /etc/hosts\n"
                         "RUN grep -c 192.0.2 /etc/resolv.conf /etc/hosts > /seen; true\n")
        self.assertEqual(tree["etc/resolv.conf"].text, "nameserver 192.0.2.1\n")
        self.assertEqual(tree["etc/hosts"].text, "192.0.2.2 mine\n")
        self.assertEqual(tree["seen"].text, "/etc/resolv.conf:0\n/etc/hosts:0\n")

    def test_a_base_whose_resolv_conf_is_a_dangling_link(self):
        link = tar_info("etc/resolv.conf", tarfile.SYMTYPE, linkname="../run/systemd/resolve/stub-resolv.conf")
        image = self.image(BASE + "ADD base.tar /\n"
                           "RUN cat /etc/resolv.conf > /seen; readlink /etc/resolv.conf >> /seen\n",
                           files={"base.tar": make_tar([link])})
        tree = image.tree()
        self.assertEqual((tree["etc/resolv.conf"].type, tree["etc/resolv.conf"].target),
                         ("symlink", "../run/systemd/resolve/stub-resolv.conf"))
        self.assertIn("nameserver", tree["seen"].text)
        self.assertNotIn("run/systemd", tree)
        self.assertEqual(image.layer_names(-1), ["dev", "proc", "seen", "sys"])

    def test_removed_and_replaced_files_become_whiteouts(self):
        image = self.image(BASE + "RUN mkdir /d && echo 1 > /d/1 && echo 2 > /d/2 && echo k > /kept\n"
                           "RUN rm /d/1\nRUN rm -r /d && mkdir /d && echo 3 > /d/3\nRUN rm -r /d\n")
        self.assertEqual(image.layer_names(2), ["d", "d/.wh.1"])
        self.assertEqual(set(image.layer_names(3)) & {"d/3", "d/.wh..wh..opq"}, {"d/3", "d/.wh..wh..opq"})
        self.assertEqual(image.layer_names(4), [".wh.d"])
        self.assertIn("kept", image.tree())

    def test_chmod_alone_and_xattr_alone_are_changes(self):
        image = self.image(BASE + "RUN echo f > /f\nRUN chmod 600 /f\n")
        self.assertEqual((image.layer_names(-1), image.tree()["f"].mode), (["f"], 0o600))

    def test_setuid_sticky_and_owners_come_out(self):
        tree = self.tree(BASE + "RUN cp /bin/busybox /su && chown 3:4 /su && chmod 6755 /su && mkdir -m 1777 /st && "
                         "mknod /null c 1 3 && mkfifo /p\n")
        self.assertEqual((tree["su"].mode, tree["su"].owner), (0o6755, (3, 4)))
        self.assertEqual((tree["st"].mode, tree["p"].type, tree["null"].device), (0o1777, "fifo", (1, 3)))

    def test_a_layer_of_a_whole_replaced_tree_from_an_archive(self):
        data = make_tar([("a/1", b"1"), ("a/2", b"2")])
        tree = self.tree("FROM busybox\nADD x.tar /\nRUN rm -r /a && mkdir /a && echo 3 > /a/3\n", files={"x.tar": data})
        self.assertEqual(sorted(name for name in tree if name.startswith("a/")), ["a/3"])
