"""What is said when something is wrong, in the words of what the user did."""

import http.server
import json
import os
import subprocess
import threading
import time

from image import make_tar
from support import LadeTest, environment

BASE = "FROM busybox\n"


class Policies(LadeTest):
    WARNING = "WARNING: the policy {} is not evaluated, as docker buildx would: lade checks no policies"

    def test_a_policy_beside_the_dockerfile_is_not_passed_over(self):
        self.write({"Dockerfile.rego": "package docker\n", "sub/other.rego": "package docker\n",
                    "sub/other": "FROM scratch\nCOPY Dockerfile /\n"})
        result = self.build("FROM scratch\nCOPY Dockerfile /\n")
        self.assertIn(self.WARNING.format(f"'{self.ws.context}/Dockerfile.rego'"), result.stderr)
        result = self.build(None, "-f", self.ws.context / "sub/other")
        self.assertIn(self.WARNING.format(f"'{self.ws.context}/sub/other.rego'"), result.stderr)
        # One of another Dockerfile, or of none.
        self.write({"third": "FROM scratch\nCOPY third /\n"})
        for result in (self.build(None, "-f", self.ws.context / "third"),
                       self.ws.lade("build", "-f", "-", self.ws.context, stdin=b"FROM scratch\nCOPY third /\n")):
            self.assertNotIn("policy", result.stderr)

    def test_of_a_context_that_is_an_archive(self):
        archive = make_tar([("Dockerfile", b"FROM scratch\nCOPY Dockerfile /\n"), ("Dockerfile.rego", b"package docker\n")])
        self.assertIn(self.WARNING.format("'Dockerfile.rego'"), self.ws.lade("build", "-", stdin=archive).stderr)


class Sources(LadeTest):
    def test_a_link_that_leads_nowhere_says_so(self):
        (self.ws.context / "dangling").symlink_to("nowhere")
        (self.ws.context / "hidden").symlink_to("secret")
        self.write({"secret": "x", ".dockerignore": "secret\n"})
        result = self.assert_fails(BASE + "COPY dangling /\n", "it is a link to '/nowhere', which is not there")
        self.assertNotIn("did you mean", result.stderr)
        self.assert_fails(BASE + "COPY hidden /\n", "a link to '/secret', which is not there: it exists but is excluded by "
                          ".dockerignore:1")
        self.assert_fails("FROM busybox AS a\nRUN ln -s gone /link\nFROM busybox\nCOPY --from=a /link /\n",
                          "it is a link to '/gone', which is not there")

    def test_a_dockerfile_on_standard_input_has_no_context(self):
        result = self.ws.lade("build", "-", stdin=b"FROM busybox\nCOPY f /f\n", code=1)
        self.assertIn("the build context, which is empty: the Dockerfile came on standard input", result.stderr)
        self.assertIn("lade build -f - DIR", result.stderr)
        # All of nothing is nothing, always the same.
        steps = b"FROM busybox\nCOPY . /all\nRUN ls -A /all\n"
        self.assertEqual(self.ws.lade("build", "-", stdin=steps).log(), [])
        self.assertEqual(self.ws.lade("build", "-", stdin=steps).ran, [])

    def test_a_context_with_a_slip_of_the_pen_is_suggested(self):
        self.assert_fails(BASE + "COPY --from=deps f /\n", "did you mean the context dep?",
                          args=("--offline", f"--build-context=dep={self.ws.context}"))
        self.assert_fails("FROM busybox AS stage\nFROM busybox\nCOPY --from=stag f /\n", "did you mean the stage stage?",
                          args=("--offline",))

    def test_a_cache_that_is_not_there_is_a_warning(self):
        result = self.build(BASE, "--cache-from", f"type=local,src={self.ws.dir}/none")
        self.assertIn(f"the cache local:{self.ws.dir}/none:latest is not used: there is none yet", result.stderr)
        registry = self.ws.registry()
        result = self.build(BASE, "--cache-from", f"{registry.host}/none")
        self.assertIn("is not used: there is none yet", result.stderr)

    def test_all_that_git_says_is_passed_on(self):
        key = self.ws.dir / "key"
        self.ws.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        result = self.build(BASE + "ADD ssh://git@127.0.0.1:1/none.git /\n", "--ssh", f"default={key}", code=1)
        self.assertIn("port 1: Connection refused", result.stderr)
        self.assertIn("Could not read from remote repository", result.stderr)
        self.assertIn("Please make sure you have the correct access rights", result.stderr)


class Registries(LadeTest):
    def test_what_is_no_image_is_named_with_its_type(self):
        registry = self.ws.registry()
        self.build(BASE + "LABEL a=b\n", "-o", f"type=oci,tar=false,dest={self.ws.out}/layout")
        layout = self.ws.out / "layout"
        index = json.loads((layout / "index.json").read_text())
        blobs = layout / "blobs/sha256"
        manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())

        def put(text):
            name = subprocess.run(["sha256sum"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout.split()[0]
            (blobs / name.decode()).write_text(text)
            return {"digest": f"sha256:{name.decode()}", "size": len(text)}

        chart = "application/vnd.cncf.helm.config.v1+json"
        manifest["config"] = {"mediaType": chart, **put('{"name":"chart","version":"1"}')}
        index["manifests"][0].update(put(json.dumps(manifest)))
        (layout / "index.json").write_text(json.dumps(index))
        self.ws.run("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{registry.host}/chart:1")
        name = f"{registry.host}/chart:1"
        self.assert_fails(f"FROM {name}\nRUN true\n", "Dockerfile:1", name, f"not a container image but an artifact of type '{chart}'")
        for command in ("pull", "run"):
            result = self.ws.lade(command, name, code=None)
            self.assertNotEqual(result.code, 0)
            self.assertIn("not a container image", result.stderr)

    def test_a_login_page_in_the_registrys_place_is_called_a_web_page(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = b"<!DOCTYPE html><html><body>Please log in</body></html>"
                self.send_response(200)
                if self.path.startswith("/v2/") and "manifests" in self.path:
                    self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.ws.defer(thread.join)
        self.ws.defer(server.server_close)
        self.ws.defer(server.shutdown)
        result = self.assert_fails(f"FROM 127.0.0.1:{server.server_port}/app\n", "is a web page, not JSON", "login page or a proxy")
        self.assertNotIn("parse_error", result.stderr)


class Long(LadeTest):
    def test_a_huge_word_is_left_out_in_the_middle(self):
        word = "\\\n".join(["w" * 50_000] * 10)  # a line may have 65,535 bytes
        for steps in (f"{BASE}RUN false {word}\n", f"{BASE}COPY {word} /\n", f"{BASE}FRMO {word}\n"):
            result = self.build(steps, code=1)
            self.assertLess(len(result.stderr), 30_000)
            self.assertIn(" bytes ...] ", result.stderr)
            self.assertIn("ERROR: ", result.stderr)
        result = self.ws.lade("build", "--" + "w" * 100_000, code=2)
        self.assertLess(len(result.stderr), 10_000)


class Progress(LadeTest):
    STEPS = ("FROM busybox AS a\nRUN echo a1 > /a1\nRUN echo a2 > /a2\nFROM busybox AS b\nCOPY f /f\nRUN echo b1 > /b1\n"
             "FROM busybox\nWORKDIR /w\nCOPY --from=b /f /f\nRUN echo c\nCOPY --from=a /a1 /a1\nCOPY f /f2\n")

    def test_cached_steps_come_in_the_order_of_the_file(self):
        self.build(self.STEPS, files={"f": "1"})
        cached = [step.name.partition("] ")[2].split(" docker")[0] for step in self.build(None).steps() if step.status == "CACHED"]
        lines = [line.replace("FROM busybox AS a", "FROM") for line in self.STEPS.splitlines()]
        self.assertEqual(cached, [line for line in lines if not line.startswith("FROM busybox")])

    def test_a_step_that_another_build_ran_ends_as_cached(self):
        self.write({"Dockerfile": f"{BASE}RUN echo running; sleep 2; echo end\n"})
        first = self.ws.spawn("build", self.ws.context, env=environment())
        time.sleep(0.7)
        second = self.build(None)
        self.assertEqual(self.ws.finish(first).log(), ["running", "end"])
        self.assertIn("waiting for another build that runs this step", second.stderr)
        self.assertEqual([step.status for step in second.steps() if "sleep" in step.name], ["CACHED"])

    def test_one_layer_is_not_several(self):
        result = self.build("FROM scratch\nCOPY f /f\n", "-t", "one", files={"f": "1"})
        self.assertIn(" 1 layer, ", result.stderr)


class Terminals(LadeTest):
    """What steps and images say is shown on a terminal, and never obeyed by it."""
    TITLE = "\x1b]0;owned\x07"
    RUN = r"""RUN printf '\033]0;owned\007\033[31mred\033[0m \033[2J\n'; printf '10%%\r100%%\n'; exit 3"""

    def on_a_terminal(self, *args, code=0):
        """The bytes that a terminal gets from lade."""
        master, slave = os.openpty()
        process = subprocess.Popen(self.ws.command(*args), stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                   env=environment())
        self.ws.defer(self.ws._end, process)
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:  # EIO: the other end is closed
            pass
        os.close(master)
        self.assertEqual(process.wait(60), code, shown)
        return shown.decode()

    def test_a_steps_output(self):
        self.write({"Dockerfile": BASE + self.RUN + "\n"})
        for flags, times in ((), 2), (("-q",), 1):
            shown = self.on_a_terminal("build", *flags, self.ws.context, code=1)
            self.assertEqual(shown.count("^[]0;owned^G\x1b[31mred\x1b[0m ^[[2J"), times, shown)
            self.assertNotIn(self.TITLE, shown)
            self.assertNotIn("\x1b[2J", shown)
            self.assertRegex(shown, r"(?m)^(#2 \S+ )?100%\r$")
            self.assertNotRegex(shown, r"(?m)^[^>]* 10%\r100%")

    def test_files_and_pipes_get_every_byte(self):
        result = self.build(BASE + self.RUN + "\n", code=1)
        self.assertIn(self.TITLE, result.stderr)
        self.assertIn("10%\r100%\n", result.stderr)

    def test_an_images_history_and_labels(self):
        self.build(BASE + f'LABEL a="{self.TITLE}"\n', "-t", "x")
        for command in (("history", "x"), ("inspect", "-f", "{{.Config.Labels}}", "x")):
            shown = self.on_a_terminal(*command)
            self.assertIn("^[]0;owned^G", shown)
            self.assertNotIn(self.TITLE, shown)
            self.assertIn(self.TITLE, self.ws.lade(*command).stdout)
