"""Options of `lade build` that shape steps and what is written about the result."""

import base64
import json
import os
import pathlib
import subprocess

import support
from support import LadeTest


def files_with(text, directory):
    """Files below the directory, whatever they are for, that hold these bytes."""
    found = []
    for parent, _, names in os.walk(directory):
        for path in (os.path.join(parent, name) for name in names):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    if text in file.read():
                        found.append(path)
    return found


class Secrets(LadeTest):
    def test_no_file_lade_writes_holds_a_secret(self):
        value = b"correct-horse-battery-" + os.urandom(8).hex().encode()
        secret = self.ws.dir / "secret"
        secret.write_bytes(value)
        steps = ("FROM busybox\n"
                 "RUN --mount=type=secret,id=f --mount=type=secret,id=e,env=TOKEN "
                 "wc -c < /run/secrets/f; [ ${#TOKEN} = 38 ] && echo $TOKEN | md5sum > /sum\n"
                 "RUN --mount=type=secret,id=f,required cat /run/secrets/f | md5sum && false\n")
        self.build(steps, "--secret", f"id=f,src={secret}", "--secret", "id=e,env=T", "--metadata-file",
                   self.ws.out / "metadata", "-o", f"type=oci,dest={self.ws.out}/image.tar,compression=uncompressed",
                   env={"T": value.decode()}, code=1)
        self.image(steps.rpartition("RUN")[0], "--secret", f"id=f,src={secret}", "--secret", "id=e,env=T",
                   "--metadata-file", self.ws.out / "metadata", options=",compression=uncompressed",
                   env={"T": value.decode()})
        self.assertEqual(files_with(value, self.ws.state) + files_with(value, self.ws.out), [])
        self.assertEqual(files_with(value, self.ws.dir), [str(secret)])


class StepLimits(LadeTest):
    def test_ulimits_and_shm_size_reach_the_step(self):
        result = self.build("FROM busybox\nRUN ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1\n",
                            "--ulimit", "nofile=100:200", "--shm-size", "32m")
        self.assertEqual(result.log()[:2], ["100", "200"])
        self.assertRegex(result.log()[2], r"^shm +32768 ")

    def test_ulimits_are_part_of_the_key(self):
        steps = "FROM busybox\nRUN ulimit -n\n"
        self.build(steps, "--ulimit", "nofile=100")
        self.assertEqual(len(self.build(steps, "--ulimit", "nofile=100").cached), 1)
        self.assertEqual(self.build(steps, "--ulimit", "nofile=101").log(), ["101"])

    def test_resources_limit_the_step_and_are_not_part_of_the_key(self):
        steps = "FROM busybox\nRUN nproc\n"
        self.assertEqual(self.build(steps, "--resource", "cpuset-cpus=0", "--resource", "memory=64m").log(), ["1"])
        self.assertEqual(self.build(steps, "--memory", "65m", "--cpuset-cpus", "0-1").ran, [])
        hungry = "FROM busybox\nRUN set -o pipefail; head -c 200m /dev/zero | tail -c 200m | wc -c\n"
        self.assert_fails(hungry, "out of memory", args=("-m", "32m", "--memory-swap", "32m"))
        self.assertEqual(self.build(hungry).log(), [str(200 << 20)])

    def test_a_fork_bomb_is_bounded_and_the_error_names_the_limit(self):
        # Each copy makes two more and waits for them, until nobody can make any.
        bomb = ("FROM busybox\nRUN printf '#!/bin/sh\\n/bomb & a=$!; /bomb & wait $a && wait $!\\n' >/bomb; chmod 755 /bomb\n"
                "RUN ulimit -u; /bomb 2>/dev/null\n")
        self.assert_fails(bomb, "it met its limit of 50 processes", args=("--resource", "pids=50"))
        step = "FROM busybox\nRUN cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true\n"
        self.assertEqual(self.build(step, "--resource", "pids=1234").log(), ["1234"])
        self.assertEqual(self.build(step, "--resource", "pids=99").ran, [])
        self.assertIn("invalid pids value '0': it must be above 0",
                      self.build("FROM busybox\n", "--resource", "pids=0", code=2).stderr)

    def test_a_parent_with_processes_cannot_limit_steps_and_nothing_of_limits_stays(self):
        top = pathlib.Path("/sys/fs/cgroup")
        controllers = top / "cgroup.controllers"
        if not controllers.exists() or "memory" not in controllers.read_text().split():
            self.skipTest("needs a kernel whose cgroup v2 limits memory")
        own = next(line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        if own == "/":
            self.skipTest("needs a kernel's cgroup that is not the topmost")
        for limit in ("memory=64m", "cpuset-cpus=0", "cpu-shares=100"):
            self.assert_fails("FROM busybox\nRUN true\n", f"{top}{own}' has processes of its own", "name a parent without any",
                              args=("--cgroup-parent", own, "--resource", limit))
        groups = "FROM busybox\nRUN --network=none cat /proc/self/cgroup; grep -c cgroup2 /proc/mounts\n"
        self.assertEqual(self.build(groups, "--cgroup-parent", own).log(), ["0::/", "1"])
        before = set(top.iterdir())
        parent = f"/lade-test-{os.getpid()}/below"
        self.assertEqual(self.build(groups, "--no-cache", "--cgroup-parent", parent, "--resource", "memory=64m",
                                    "--resource", "cpuset-cpus=0").log()[0], "0::/")
        left = {path for path in set(top.iterdir()) - before if path.name.startswith("lade-test")}
        self.assertEqual(left, set())

    def test_bad_limits_are_usage_errors(self):
        self.write({"Dockerfile": "FROM busybox\n"})
        for options, message in ((("--ulimit", "nofil=1"), "did you mean nofile"),
                                 (("--ulimit", "nofile=2:1"), "the soft limit is above the hard one"),
                                 (("--shm-size", "lots"), "'lots' is not a size"),
                                 (("--resource", "memory"), "'memory' is not of the form NAME=VALUE"),
                                 (("--resource", "memroy=1g"), "did you mean memory"),
                                 (("--memory", "0"), "--memory: invalid memory value '0'"),
                                 (("--memory-swap", "1g"), "it needs memory"),
                                 (("--cpuset-cpus", "3-1"), "it must be a list like 0-3,5"),
                                 (("--timeout", "soon"), "'soon' is not a duration"),
                                 (("--retry", "-1"), "'-1' is not a number of attempts")):
            self.assertIn(message, self.build(None, *options, code=2).stderr)

    def test_the_hostname_is_that_of_the_build_arg(self):
        result = self.build("FROM busybox\nRUN hostname; grep -c box1 /etc/hosts\n",
                            "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=box1")
        self.assertEqual(result.log(), ["box1", "1"])

    def test_a_failing_run_is_tried_again(self):
        steps = ("FROM busybox\n"
                 "RUN --mount=type=cache,target=/c echo x >> /c/n; echo try >> /tries; [ $(wc -l < /c/n) = 3 ]\n")
        self.assertIn("exit code: 1", self.build(steps, "--retry", "1", code=1).stderr)
        tree = self.tree(steps, "--retry", "1")
        # Each attempt starts afresh: only the cache mount remembers.
        self.assertEqual(tree["tries"].data, b"try\n")

    def test_retries_of_another_stage_do_not_count(self):
        result = self.build("FROM busybox AS one\nRUN false\n", "--retry", "two=5", code=1)
        self.assertNotIn("attempt", result.stderr)

    def test_a_run_that_takes_too_long_is_ended(self):
        result = self.build("FROM busybox AS slow\nRUN echo started; sleep 60\n", "--timeout", "slow=1s", code=1)
        self.assertIn("ran for longer than 1 s", result.stderr)
        self.assertIn("Dockerfile:2", result.stderr)
        self.assertLess(result.seconds, 20)


class CacheFilter(LadeTest):
    STEPS = ("FROM busybox AS one\nRUN cat /proc/sys/kernel/random/uuid > /one\n"
             "FROM one AS two\nRUN cat /one > /two\nRUN echo same > /three\n")

    def setUp(self):
        super().setUp()
        self.build(self.STEPS)

    def ran(self, *args):
        return [name.partition("] ")[2] for name in self.build(None, *args).ran]

    def test_without_it_nothing_runs(self):
        self.assertEqual(self.ran(), [])

    def test_a_stage_runs_again_and_what_sees_a_difference(self):
        ran = self.ran("--no-cache-filter", "one")
        self.assertEqual(len(ran), 3, ran)
        self.assertTrue(ran[0].startswith("RUN cat /proc/"))

    def test_a_stage_that_makes_the_same_again_reruns_itself_only(self):
        ran = self.ran("--no-cache-filter", "TWO")
        self.assertEqual(ran, ["RUN cat /one > /two", "RUN echo same > /three"])

    def test_a_line_names_one_instruction(self):
        self.assertEqual(self.ran("--no-cache-filter", "4"), ["RUN cat /one > /two"])


class Reports(LadeTest):
    STEPS = "FROM busybox\nRUN echo hi > /hi\n"

    def test_iidfile_and_quiet_give_the_configs_digest(self):
        iid = self.ws.dir / "iid"
        result = self.build(self.STEPS, "-q", "-t", "app", "--iidfile", iid)
        self.assertEqual(iid.read_text(), result.stdout.strip())
        image = self.image(self.STEPS)
        self.assertEqual(iid.read_text(), image.manifest["config"]["digest"])

    def test_progress_can_be_lines_of_json_or_nothing(self):
        result = self.build(self.STEPS + "RUN printf 'a\\nb'; echo c >&2\n", "--progress=rawjson", "-o", "type=cacheonly")
        lines = [json.loads(line) for line in result.stderr.splitlines()]
        vertexes = [vertex for line in lines for vertex in line.get("vertexes", [])]
        names = {vertex["digest"]: vertex["name"] for vertex in vertexes}
        finished = {vertex["name"] for vertex in vertexes if vertex.get("completed", "") >= vertex.get("started", "x")}
        self.assertIn("[2/3] RUN echo hi > /hi", finished)
        said = {1: b"", 2: b""}
        for log in [log for line in lines for log in line.get("logs", [])]:
            self.assertIn("printf", names[log["vertex"]])
            said[log["stream"]] += base64.b64decode(log["data"])
        self.assertEqual(said, {1: b"a\nb", 2: b"c\n"})
        self.assertEqual(self.build(self.STEPS, "--progress=none").stderr, "")

    def test_a_lower_case_dockerfile_is_found_by_its_usual_name(self):
        self.write({"sub/dockerfile": self.STEPS})
        self.ws.lade("build", "-f", self.ws.context / "sub/Dockerfile", self.ws.context)
        self.assertEqual(self.ws.lade("build", "-f", self.ws.context / "sub/Other", self.ws.context, code=None).code, 1)

    def test_a_directory_called_dockerignore_ignores_nothing(self):
        image = self.image("FROM scratch\nCOPY . /\n", files={".dockerignore/f": "f"})
        self.assertIn(".dockerignore/f", image.tree())

    def test_archives_go_to_standard_output_unless_it_is_a_terminal(self):
        for output in ("type=oci", "type=tar"):
            with self.subTest(output=output):
                result = self.build(self.STEPS, "-o", output)
                self.assertIn("ustar", result.stdout)
                main, side = os.openpty()
                try:
                    failed = subprocess.run(self.ws.command("build", "-o", output, self.ws.context), stdout=side,
                                            stderr=subprocess.PIPE, env=support.environment(), check=False)
                finally:
                    os.close(side)
                    os.close(main)
                self.assertEqual(failed.returncode, 2)
                self.assertIn(b"standard output is a terminal", failed.stderr)

    def test_the_metadata_file_describes_the_image(self):
        path = self.ws.dir / "metadata.json"
        image = self.image(self.STEPS, "-t", "app:1", "--metadata-file", path)
        metadata = json.loads(path.read_text())
        self.assertEqual(metadata["image.name"], "docker.io/library/app:1")
        self.assertEqual(metadata["containerimage.config.digest"], image.manifest["config"]["digest"])
        self.assertEqual(metadata["containerimage.digest"], metadata["containerimage.descriptor"]["digest"])

    def test_provenance_names_the_language_that_the_docs_do(self):
        self.build("FROM busybox\n", "--provenance=mode=max", "-o", f"type=local,dest={self.ws.out}/tree")
        statement = json.loads((self.ws.out / "tree/provenance.json").read_text())
        version = statement["predicate"]["buildDefinition"]["internalParameters"]["dockerfileVersion"]
        self.assertEqual(version, "1.26.0")  # what BuildKit v0.32 says of its own
        page = (support.REPO / "docs/DOCKERFILE.md").read_text()
        self.assertIn(f"(reference {version.removesuffix('.0')},", page)

    def test_annotations_are_the_manifests(self):
        image = self.image(self.STEPS, "--annotation", "a=b=c", "--annotation", "manifest[linux/s390x]:no=1",
                           "--annotation", "manifest-descriptor:d=e")
        self.assertEqual(image.manifest["annotations"], {"a": "b=c"})
        index = json.loads(self.ws.run("tar", "xOf", self.ws.out / "image.tar", "index.json"))
        self.assertEqual(index["manifests"][0]["annotations"]["d"], "e")

    def test_index_annotations_need_an_index(self):
        self.write({"Dockerfile": self.STEPS})
        result = self.build(None, "-t", "x", "--annotation", "index:a=b", code=2)
        self.assertIn("several platforms", result.stderr)


class SshKeys(LadeTest):
    """What a step gets of an agent is tested in tests/solver; here: that a key file becomes one."""

    base = "debian"

    def key(self):
        path = self.ws.dir / "key"
        self.ws.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-comment", "-f", path)
        return path

    # The request for identities, by hand, with what Debian's perl-base has.
    ASK = r"""perl -MIO::Socket::UNIX -e '
  my $agent = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die "no agent: $!\n";
  syswrite $agent, "\0\0\0\x01\x0b"; sysread $agent, my $answer, 4096;
  print $answer =~ /(the-comment)/, "\n"; my @s = stat $ENV{SSH_AUTH_SOCK}; printf "%o %d\n", $s[2], $s[4];'
"""

    def test_a_key_file_is_lent_and_leaves_nothing(self):
        key = self.key()
        steps = f"FROM debian:12\nRUN --mount=type=ssh,uid=7,mode=0660 <<\"EOF\"\n{self.ASK}EOF\n"
        result = self.build(steps, "--ssh", f"default={key}")
        self.assertEqual(result.log(), ["the-comment", "140660 7"])
        secret = "".join(key.read_text().splitlines()[1:-1])[80:140].encode()
        self.assertEqual(files_with(secret, self.ws.state), [])


class Ssh(LadeTest):
    def test_a_required_agent_that_is_missing_says_how_to_lend_it(self):
        result = self.build("FROM busybox\nRUN --mount=type=ssh,required true\n", code=1)
        self.assertIn("lend it with --ssh default", result.stderr)
        self.assertIn("Dockerfile:2", result.stderr)

    def test_without_an_agent_the_variable_is_set_all_the_same(self):
        result = self.build("FROM busybox\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK\n")
        self.assertEqual(result.log(), ["/run/buildkit/ssh_agent.0"])

    def test_no_running_agent_to_lend_is_a_usage_error(self):
        self.write({"Dockerfile": "FROM busybox\n"})
        result = self.build(None, "--ssh", "default", code=2, env={"SSH_AUTH_SOCK": ""})
        self.assertIn("SSH_AUTH_SOCK is not set", result.stderr)
