"""How the command line is read: as docker reads it."""

import http.server
import json
import socket
import threading

from support import LadeTest

STEPS = "FROM busybox\nARG A=none\nRUN echo a=$A\n"


class Forms(LadeTest):
    def names(self):
        return sorted(self.ws.lade("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split())

    def test_values_stand_behind_an_equals_sign_a_blank_or_at_once(self):
        self.write({"Other": STEPS})
        self.ws.lade("build", f"-f={self.ws.context}/Other", "-t=one", "-ttwo:2", "-t", "three", "--tag=four",
                     self.ws.context)
        self.assertEqual(self.names(), ["busybox:latest", "four:latest", "one:latest", "three:latest", "two:2"])
        self.ws.lade("build", f"-f={self.ws.context}/Other", f"-o={self.ws.out}/tree", self.ws.context)
        self.assertTrue((self.ws.out / "tree/bin/busybox").exists())

    def test_flags_take_true_and_false(self):
        self.assertRegex(self.build(STEPS, "-q=true", "-t", "x").stdout, r"^sha256:\w{64}\n$")
        self.assertEqual(self.build(STEPS, "-q=false", "-t", "x").stdout, "")
        self.assertEqual(self.build(STEPS, "--no-cache=false").ran, [])
        self.assertEqual(len(self.build(STEPS, "--no-cache=1").ran), 1)
        self.assertIn("neither true nor false", self.build(STEPS, "-q=maybe", code=2).stderr)

    def test_an_empty_value_takes_no_other_word(self):
        self.build(STEPS, "--target=", "--iidfile=", "--metadata-file=", "--cache-from", "", "--cache-to=",
                   "--build-context", "", "--secret=", "--ssh=", "--output=", "-t", "empty")
        self.assertIn("empty:latest", self.names())

    def test_the_last_of_a_repeated_option_counts(self):
        args = ("--target=one", "--target", "two", "--build-arg", "A=1", "--build-arg=A=2", "--network=none",
                "--network", "default", "--label", "l=1", "--label", "l=2", "--progress=quiet", "--progress", "plain",
                "--ulimit", "nofile=100", "--ulimit", "nofile=200")
        result = self.build(f"{STEPS}FROM busybox AS one\nRUN false\nFROM busybox AS two\nARG A\nRUN echo $A; ulimit -n\n",
                            *args, "-t", "last")
        self.assertEqual(result.log(), ["2", "200"])
        self.assertEqual(self.ws.lade("inspect", "-f", "{{json .Config.Labels}}", "last").stdout, '{"l":"2"}\n')

    def test_the_last_context_and_the_last_secret_of_a_name_count(self):
        for name in "ab":
            self.write({f"{name}/f": name})
        steps = "FROM busybox\nRUN --mount=type=secret,id=s --mount=from=x,target=/x cat /run/secrets/s /x/f\n"
        args = [arg for name in "ab" for arg in ("--build-context", f"x={self.ws.context}/{name}", "--secret",
                                                 f"id=s,src={self.ws.context}/{name}/f")]
        self.assertEqual(self.build(steps, *args).log(), ["bb"])

    def test_what_runs_keeps_its_own_options(self):
        result = self.ws.lade("run", "-e=A=1", "--rm=true", "busybox", "echo", "-e", "a", "--rm", "--", "-q=x")
        self.assertEqual(result.stdout, "a --rm -- -q=x\n")
        self.assertEqual(self.ws.lade("run", "-e", "A=1", "-eB=2", "--", "busybox", "sh", "-c", "echo $A$B").stdout, "12\n")

    def test_an_unknown_option_is_what_the_error_is_about(self):
        for args in (("--frobnicate", "x", "."), ("--frobnicate=x",), (".", "--frobnicate")):
            result = self.ws.lade("build", *args, code=2)
            self.assertIn("there is no option '--frobnicate'", result.stderr)
        self.assertIn("did you mean --target?", self.ws.lade("build", "--tagret", "x", code=2).stderr)
        self.assertIn("CONTEXT is missing", self.ws.lade("build", "-t", "x", code=2).stderr)
        self.assertEqual(self.ws.lade("run", "--frobnicate", code=125).code, 125)

    def test_help_has_one_usage_line(self):
        self.assertEqual(self.ws.lade("run", "--help").stdout.count("Usage:"), 1)


class Values(LadeTest):
    def test_what_cannot_be_is_an_error_before_anything_runs(self):
        for args, message in (((f"--build-context=x={self.ws.dir}/nodir",), "there is no directory"),
                              (("--build-context", "a b=."), "--build-context"),
                              (("-o", "dest=x"), "names no type"),
                              (("--policy", "filename=p.rego"), "checks no policies"),
                              (("--disable-content-trust=false",), "content trust is not supported")):
            with self.subTest(args=args):
                result = self.build("FROM busybox\nRUN touch /ran\n", *args, code=2)
                self.assertIn(message, result.stderr)
                self.assertNotIn("#1", result.stderr)

    def test_what_only_dockers_builders_have_warns_or_is_so_anyway(self):
        result = self.build(STEPS, "--builder", "default", "--isolation=default", "--squash", "--compress", "--rm=false",
                            "--security-opt=label=disable")
        for option in ("--builder default", "--isolation default", "--squash", "--compress", "--rm=false",
                       "--security-opt"):
            self.assertIn(f"WARNING: {option} has no effect: ", result.stderr)
        self.assertNotIn("has no effect", self.build(STEPS, "--rm", "--force-rm", "--disable-content-trust").stderr)

    def test_options_that_nothing_takes_warn(self):
        result = self.build(STEPS, "--build-arg", "B=1", f"--build-context=unread={self.ws.context}",
                            "--no-cache-filter=biuld", "--retry=tset=1")
        self.assertIn("WARNING: One or more build-args [B] were not consumed", result.stderr)
        self.assertIn("WARNING: --build-context unread: nothing is FROM it", result.stderr)
        self.assertIn("WARNING: --no-cache-filter: there is no stage 'biuld'", result.stderr)
        self.assertIn("WARNING: --retry: there is no stage 'tset'", result.stderr)
        self.assertNotIn("not consumed", self.build(STEPS, "--build-arg", "A=1").stderr)

    def test_proxies_of_dockers_config_are_build_arguments(self):
        config = self.ws.dir / "docker"
        config.mkdir()
        (config / "config.json").write_text(json.dumps({"proxies": {
            "default": {"httpProxy": "http://user:pw@proxy.example:1", "noProxy": "a.example"},
            "tcp://other:1": {"httpsProxy": "https://proxy.example:2"}}}))
        steps = "FROM busybox\nRUN env | grep -i _proxy= | sort\n"
        env = {"DOCKER_CONFIG": str(config)}
        self.assertEqual(self.build(steps, "--no-cache", env=env).log(),
                         ["HTTP_PROXY=http://user:pw@proxy.example:1", "NO_PROXY=a.example",
                          "http_proxy=http://user:pw@proxy.example:1", "no_proxy=a.example"])
        self.assertEqual(self.build(steps, "--no-cache", env=env | {"DOCKER_HOST": "tcp://other:1"}).log(),
                         ["HTTPS_PROXY=https://proxy.example:2", "https_proxy=https://proxy.example:2"])
        result = self.build(steps, "--no-cache", "--build-arg=http_proxy=mine", "--build-arg", "NO_PROXY=", env=env)
        self.assertIn("HTTP_PROXY=mine", result.log())
        self.assertNotIn("pw@", result.stderr)
        # Whatever the proxy, the step is the same; and neither image nor provenance tells of it.
        path = self.ws.out / "image.tar"
        self.build(steps, "--provenance=mode=max", "-o", f"type=oci,dest={path},compression=uncompressed", env=env)
        self.assertEqual(self.build(steps).ran, [])
        self.assertNotIn(b"user:pw", path.read_bytes())

    def test_the_hosts_gateway_reaches_services_of_this_machine(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"from the host\n")

            def log_message(self, *args):
                pass

        # Loopback's addresses are never a step's to reach.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("203.0.113.1", 9))
            except OSError:
                self.skipTest("this machine has loopback only")
            address = probe.getsockname()[0]
        server = http.server.ThreadingHTTPServer((address, 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.ws.defer(thread.join)
        self.ws.defer(server.server_close)
        self.ws.defer(server.shutdown)
        url = f"http://host.docker.internal:{server.server_port}/"
        args = ("--add-host", "host.docker.internal:host-gateway")
        self.assertEqual(self.build(f"FROM busybox\nRUN wget -qO- {url}\n", *args).log(), ["from the host"])
        self.assertEqual(self.ws.lade("run", *args, "busybox", "wget", "-qO-", url).stdout, "from the host\n")
