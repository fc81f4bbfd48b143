"""The three images of examples/, built and run."""

import shutil
import unittest

import support
from image import Image
from support import EXAMPLES, LadeTest, Workspace


class SmallExample(LadeTest):
    """examples/small: one of everything that shapes a config."""

    def test_config_has_every_field_and_no_other(self):
        image = self.image(None, context=EXAMPLES / "small")
        self.assertEqual(image.config["config"], {
            "User": "app",
            "ExposedPorts": {"8080/tcp": {}, "8443/tcp": {}},
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "APP_HOME=/srv/app", "APP_VERSION=1.0"],
            "Entrypoint": ["/entrypoint.sh"],
            "Cmd": ["curl"],
            "ArgsEscaped": True,
            "Volumes": {"/srv/app/data": {}},
            "WorkingDir": "/srv/app",
            "Labels": {"org.opencontainers.image.title": "small",
                       "org.opencontainers.image.description":
                           "one of everything that shapes an image's config"},
            "StopSignal": "SIGQUIT",
            "Shell": ["/bin/sh", "-ec"],
            "Healthcheck": {"Test": ["CMD-SHELL", "test -f version.txt || exit 1"], "Interval": 30_000_000_000,
                            "Timeout": 3_000_000_000, "Retries": 2},
        })
        self.assertEqual((image.config["architecture"], image.config["os"]), ("amd64", "linux"))
        self.assertEqual(image.config["rootfs"]["type"], "layers")
        self.assertEqual(set(image.config), {"architecture", "os", "created", "config", "rootfs", "history"})

    def test_history_names_each_instruction_and_its_layer(self):
        config = self.image(None, context=EXAMPLES / "small").config
        history = [(entry.get("created_by", ""), entry.get("empty_layer", False)) for entry in config["history"]]
        self.assertEqual(sum(not empty for _, empty in history), len(config["rootfs"]["diff_ids"]))
        self.assertEqual(history[1], (
            "RUN /bin/sh -c echo \"triggered in $(hostname)\" > /onbuild.txt # buildkit", False))
        self.assertIn(("ENV APP_HOME=/srv/app APP_VERSION=1.0", True), history)
        self.assertIn(("WORKDIR /srv/app", False), history)
        self.assertIn(("COPY entrypoint.sh / # buildkit", False), history)
        self.assertIn(("USER app", True), history)
        self.assertIn(("VOLUME [/srv/app/data]", True), history)
        self.assertIn(("EXPOSE [8080/tcp 8443/tcp]", True), history)
        self.assertIn(("ENTRYPOINT [\"/entrypoint.sh\"]", True), history)
        self.assertIn(("CMD [\"curl\"]", True), history)
        run = next(text for text, _ in history if "version.txt\"" in text or "> version.txt" in text)
        self.assertTrue(run.startswith("RUN |1 VERSION=1.0 /bin/sh -ec echo 'app:x:1000"), run)
        self.assertTrue(all(entry.get("comment") == "buildkit.dockerfile.v0" for entry in config["history"][1:]))

    def test_files_have_owners_modes_and_contents(self):
        tree = self.image(None, "--build-arg", "VERSION=7", context=EXAMPLES / "small").tree()
        self.assertEqual(tree["srv/app/version.txt"].text, "version 7\n")
        self.assertEqual((tree["srv/app/data"].type, tree["srv/app/data"].owner), ("dir", (1000, 1000)))
        self.assertEqual((tree["entrypoint.sh"].owner, tree["entrypoint.sh"].data),
                         ((0, 0), (EXAMPLES / "small/entrypoint.sh").read_bytes()))
        self.assertTrue(tree["onbuild.txt"].text.startswith("triggered in "))

    def test_onbuild_of_a_base_image_runs_in_the_child_and_is_gone_there(self):
        parent = self.image(None, "--target", "base", "-t", "parent", context=EXAMPLES / "small")
        self.assertEqual(parent.config["config"]["OnBuild"],
                         ["RUN echo \"triggered in $(hostname)\" > /onbuild.txt"])
        self.assertNotIn("onbuild.txt", parent.tree())
        self.build(None, "--target", "base", "-t", "parent", context=EXAMPLES / "small")
        child = self.image("FROM parent\nENV a=b\n", name="child.tar")
        self.assertNotIn("OnBuild", child.config["config"])
        self.assertIn("onbuild.txt", child.tree())

    def test_second_build_runs_nothing_and_makes_the_same_image(self):
        first = self.build(None, "-t", "small", context=EXAMPLES / "small")
        second = self.build(None, "-t", "small", context=EXAMPLES / "small")
        self.assertEqual((second.ran, len(second.cached)), ([], len(first.ran)))
        self.assertEqual(second.digest, first.digest)


class SharedBuild(unittest.TestCase):
    """Tests that look at one expensive build; subclasses build it in set_up()."""

    shares_build = True
    base = "debian"
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        support.needs_network()
        cls.shared = Workspace(cls.__name__, cls.base)
        cls.addClassCleanup(cls.shared.close)
        cls.set_up()

    def tearDown(self):
        self.assertEqual(self.shared.leftovers(), [])

    def run_in_image(self, name, command):
        """Output of a RUN in an image that is in the state directory."""
        context = self.shared.dir / "run"
        context.mkdir(exist_ok=True)
        dockerfile = f"FROM {name}\nRUN {command}\n"
        return self.shared.build(dockerfile, "--no-cache", context=context).log("RUN")


class NginxExample(SharedBuild):
    """The image of every tutorial: apt-get in a RUN, on a base that was imported."""

    slow = 10

    @classmethod
    def set_up(cls):
        cls.archive = cls.shared.out / "nginx.tar"
        cls.first = cls.shared.build(None, "-t", "nginx", "-o", "type=image", "-o",
                                     f"type=oci,dest={cls.archive},compression=zstd", context=EXAMPLES / "nginx")

    def test_packages_are_installed_and_run(self):
        self.assertIn("nginx version: nginx/", "\n".join(self.run_in_image("nginx", "nginx -v && nginx -t && mkdir -p /run/sshd && sshd -t && "
                                                                           "apache2 -v && inotifywait --help || true")))

    def test_config_and_files_are_those_of_the_dockerfile(self):
        image = Image.read(self.archive)
        self.assertEqual(image.config["author"], "lade <lade@example.org>")
        self.assertEqual(image.config["config"]["ExposedPorts"], {"80/tcp": {}})
        self.assertEqual(image.config["config"]["Cmd"], ["nginx", "-g", "daemon off;"])
        tree = image.tree()
        self.assertTrue(tree["etc/apt/sources.list"].text.endswith(
            "deb http://deb.debian.org/debian bookworm-updates main\n"))
        for program in ("usr/sbin/nginx", "usr/sbin/apache2", "usr/sbin/sshd", "usr/bin/inotifywait"):
            self.assertEqual((tree[program].type, tree[program].mode), ("file", 0o755))
        self.assertEqual(tree["usr/bin/ssh-agent"].mode, 0o2755)
        self.assertIn("nginx", tree["var/lib/dpkg/status"].text)

    def test_second_build_says_cached_on_each_step(self):
        again = self.shared.build(None, "-t", "nginx", context=EXAMPLES / "nginx")
        self.assertEqual((again.ran, again.cached), ([], self.first.ran))
        self.assertLess(again.seconds, 5)

    def test_a_later_instruction_added_runs_alone(self):
        context = self.shared.dir / "more"
        context.mkdir()
        text = (EXAMPLES / "nginx/Dockerfile").read_text()
        result = self.shared.build(text + "RUN nginx -v\n", context=context)
        self.assertEqual((len(result.ran), result.cached), (1, [name.replace("/4]", "/5]") for name in self.first.ran]))


class DebianFromRegistry(SharedBuild):
    """The Debian base pulled from a registry that got it from lade's own OCI archive."""

    slow = 4

    @classmethod
    def set_up(cls):
        ws = cls.shared
        cls.registry = ws.registry()
        archive = ws.out / "debian.tar"
        ws.build("FROM debian:12\n", "-o", f"type=oci,dest={archive}")
        cls.digest = cls.registry.push(f"oci-archive:{archive}", "library/debian:12")
        archive.unlink()

    def build_from(self, name, **run):
        context = self.shared.dir / "from"
        context.mkdir(exist_ok=True)
        text = (EXAMPLES / "nginx/Dockerfile").read_text()
        # The first steps of the example; installing everything once is enough.
        text = text.replace("FROM debian:12", f"FROM {name}").partition("RUN apt-get install")[0]
        return self.shared.build(text, context=context, **run)

    def test_apt_works_on_the_base_by_tag_and_then_the_digest_hits_the_same_cache(self):
        state = self.shared.dir / "state-pulled"
        name = f"{self.registry.host}/library/debian"
        first = self.build_from(f"{name}:12", state=state)
        self.assertEqual(len(first.ran), 2)
        self.assertIn(self.digest, first.stderr)
        by_digest = self.build_from(f"{name}@{self.digest}", state=state)
        self.assertEqual((by_digest.ran, len(by_digest.cached)), ([], 2))
        shutil.rmtree(state)

    def test_a_digest_alone_is_pulled_into_an_empty_state(self):
        state = self.shared.dir / "state-digest"
        context = self.shared.dir / "digest"
        context.mkdir()
        result = self.shared.build(f"FROM {self.registry.host}/library/debian@{self.digest}\n"
                                   "RUN cat /etc/debian_version; stat -c %a:%U:%G /etc/shadow /tmp\n",
                                   context=context, state=state)
        log = result.log("RUN")
        self.assertRegex(log[0], r"^12\.\d+$")
        self.assertEqual(log[1:], ["640:root:shadow", "1777:root:root"])
        shutil.rmtree(state)


class MultistageExample(SharedBuild):
    """gcc in one stage, its program alone in the image, another stage beside it."""

    slow = 9

    @classmethod
    def set_up(cls):
        cls.archive = cls.shared.out / "hello.tar"
        cls.first = cls.shared.build(None, "-t", "hello", "-o", f"type=oci,dest={cls.archive}", "-o", "type=image",
                                     context=EXAMPLES / "multistage")

    def test_the_image_holds_what_was_copied_and_nothing_else(self):
        image = Image.read(self.archive)
        self.assertEqual(sorted(image.tree()), ["bin", "bin/hello", "notes.txt"])
        self.assertEqual(image.tree()["notes.txt"].text, "built beside the compiler\n")
        self.assertEqual((image.config["config"]["Entrypoint"], image.config["config"]["Cmd"]),
                         (["/bin/hello"], ["world"]))

    def test_the_program_says_hello(self):
        context = self.shared.dir / "say"
        context.mkdir()
        result = self.shared.build("FROM hello\nRUN [\"/bin/hello\", \"from a step\"]\n", "--no-cache", context=context)
        self.assertEqual(result.log("RUN"), ["hello, from a step"])

    def test_the_independent_stage_ran_beside_the_compiler(self):
        lines = self.first.stderr.splitlines()
        numbers = {text.split("] ", 1)[1][:20]: line.split()[0] for line in lines
                   if (text := line.partition(" ")[2]).startswith("[")}
        notes = next(number for name, number in numbers.items() if name.startswith("RUN echo \"built"))
        apt = next(number for name, number in numbers.items() if name.startswith("RUN apt-get"))
        done = {number: next(i for i, line in enumerate(lines) if line.startswith(f"{number} DONE"))
                for number in (notes, apt)}
        self.assertLess(done[notes], done[apt])

    def test_changing_the_source_recompiles_but_does_not_reinstall(self):
        context = self.shared.dir / "changed"
        shutil.copytree(EXAMPLES / "multistage", context)
        source = context / "hello.c"
        source.write_text(source.read_text().replace("hello, ", "bonjour, "))
        result = self.shared.build(None, context=context)
        self.assertEqual([name.split("] ")[1].split()[0:2] for name in result.ran],
                         [["COPY", "hello.c"], ["RUN", "gcc"], ["COPY", "--from=build"], ["COPY", "--from=notes"]])

    def test_a_comment_in_the_source_compiles_to_the_same_and_stops_there(self):
        context = self.shared.dir / "comment"
        shutil.copytree(EXAMPLES / "multistage", context)
        source = context / "hello.c"
        source.write_text(source.read_text() + "// the end\n")
        result = self.shared.build(None, context=context)
        self.assertEqual([name.split("] ")[1].split()[0] for name in result.ran], ["COPY", "RUN"])


del SharedBuild  # only its subclasses are tests
