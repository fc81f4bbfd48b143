"""How `lade daemon` is reached, configured and fed: TLS, buildkitd.toml, credentials, remote contexts, provenance."""

import crypt
import json
import os
import re
import select
import signal
import subprocess
import tarfile
import time
import uuid

import support
from image import Image
from test_daemon import BuildctlTest, Daemon, needs
from test_remote import Site


class Authority:
    """An authority, and certificates of it for a server on loopback and a client."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        (directory / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={directory.name}", "-keyout",
                     "ca.key", "-out", "ca.crt")
        for leaf in ("server", "client"):
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={leaf}", "-keyout", f"{leaf}.key", "-out",
                         f"{leaf}.csr")
            self.openssl("x509", "-req", "-in", f"{leaf}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                         2, "-extfile", "ext", "-out", f"{leaf}.crt")

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], check=True, cwd=self.directory, stderr=subprocess.DEVNULL)

    def __getattr__(self, name):
        return self.directory / name.replace("_", ".")


class Tls(BuildctlTest):
    def setUp(self):
        super().setUp()
        self.mine, self.other = Authority(self.ws.dir / "mine"), Authority(self.ws.dir / "other")

    def serve(self, *args):
        self.daemon.stop()
        self.tcp = f"tcp://127.0.0.1:{support.free_port()}"
        self.daemon = Daemon(self.ws, "--addr", self.tcp, *args, name="tls")

    def workers(self, *args, code=0):
        done = subprocess.run(list(map(str, [self.buildctl, "--addr", self.tcp, "--timeout", "5", *args, "debug", "workers"])),
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=support.environment())
        return self.checked(done, code)

    def client(self, trusted, owner=None):
        own = ["--tlscert", owner.client_crt, "--tlskey", owner.client_key] if owner else []
        return ["--tlscacert", trusted.ca_crt, *own]

    def test_only_clients_with_a_certificate_of_the_authority_are_served(self):
        self.serve("--tlscert", self.mine.server_crt, "--tlskey", self.mine.server_key, "--tlscacert", self.mine.ca_crt)
        self.assertIn("linux/", self.workers(*self.client(self.mine, self.mine)))
        self.workers(*self.client(self.mine), code=1)
        self.workers(*self.client(self.mine, self.other), code=1)
        self.workers(*self.client(self.other, self.mine), code=1)  # the client does not know the server
        self.workers(code=1)
        self.assertIn("linux/", self.ctl("debug", "workers"), "the socket needs none")

    def test_without_an_authority_any_client_is_served(self):
        self.serve("--tlscert", self.mine.server_crt, "--tlskey", self.mine.server_key)
        self.assertIn("linux/", self.workers(*self.client(self.mine)))
        self.workers(*self.client(self.other), code=1)

    def test_the_configuration_has_the_same(self):
        config = self.ws.dir / "buildkitd.toml"
        self.daemon.stop()
        self.tcp = f"tcp://127.0.0.1:{support.free_port()}"
        config.write_text(f'[grpc]\naddress = ["{self.tcp}"]\n[grpc.tls]\ncert = "{self.mine.server_crt}"\n'
                          f'key = "{self.mine.server_key}"\nca = "{self.mine.ca_crt}"\n')
        self.daemon = Daemon(self.ws, "--addr", self.tcp, config=config, name="toml")
        self.assertIn("linux/", self.workers(*self.client(self.mine, self.mine)))
        self.workers(*self.client(self.mine), code=1)


class Toml(BuildctlTest):
    def configure(self, text):
        self.daemon.stop()
        config = self.ws.dir / f"{uuid.uuid4().hex}.toml"
        config.write_text(text)
        self.daemon = Daemon(self.ws, config=config, name=config.stem)

    def push(self, host, text, name="app:1"):
        """From the daemon as it is, with an image that says `text`."""
        self.solve(f"FROM busybox\nRUN echo {text} > /said\n", "--output", f"type=image,name={host}/{name},push=true,store=false")

    def said(self, dockerfile, **run):
        return self.oci(dockerfile, name=f"{uuid.uuid4().hex}.tar", **run).tree()["said"].text.strip()

    def test_mirrors_are_asked_first(self):
        registry = self.ws.registry()
        self.push(registry.host, "mirrored", "team/app:1")
        self.configure(f'[registry."nowhere.example"]\nmirrors = ["{registry.host}"]\n[registry."{registry.host}"]\nhttp = true\n')
        self.assertEqual(self.said("FROM nowhere.example/team/app:1\n"), "mirrored")

    def test_an_authority_is_believed_and_client_certificates_are_shown(self):
        mine = Authority(self.ws.dir / "mine")
        registry = self.ws.registry(http=f"  tls: {{certificate: {mine.server_crt}, key: {mine.server_key}, "
                                         f"clientcas: [{mine.ca_crt}]}}\n")
        table = f'[registry."{registry.host}"]\nca = ["{mine.ca_crt}"]\n'
        self.configure(table)
        dockerfile = f"FROM busybox\nRUN echo {uuid.uuid4().hex} > /said\n"
        output = ("--output", f"type=image,name={registry.host}/app:1,push=true")
        self.solve(dockerfile, *output, code=1)
        self.configure(table + f'[[registry."{registry.host}".keypair]]\nkey = "{mine.client_key}"\ncert = "{mine.client_crt}"\n')
        self.solve(dockerfile, *output)

    def test_garbage_is_collected_by_policy(self):
        for number in range(3):
            self.solve(f"FROM busybox\nRUN dd if=/dev/urandom of=/big{number} bs=1M count=8\n")
        # It collects when it starts, and now and then.
        self.configure("[worker.oci]\ngc = true\n[[worker.oci.gcpolicy]]\nall = true\nkeepBytes = \"1MB\"\n")
        deadline = time.monotonic() + 30
        while True:
            total = re.search(r"Total:\s+([\d.]+)(\w+)", self.ctl("du"))
            if total[2] in ("B", "kB") or (total[2] == "MB" and float(total[1]) < 12):
                return
            self.assertLess(time.monotonic(), deadline, total[0])
            time.sleep(0.5)

    def test_steps_run_one_at_a_time_with_max_parallelism_1(self):
        self.configure("[worker.oci]\nmax-parallelism = 1\n")
        step = "RUN cat /proc/uptime > /{0}; sleep 0.5; cat /proc/uptime >> /{0}\n"
        stages = "".join(f"FROM busybox AS s{i}\n" + step.format(i) for i in range(3))
        tree = self.oci(stages + "FROM scratch\n" + "".join(f"COPY --from=s{i} /{i} /\n" for i in range(3))).tree()
        times = sorted([float(line.split()[0]) for line in tree[str(i)].text.splitlines()] for i in range(3))
        for (_, end), (begin, _) in zip(times, times[1:]):
            self.assertLessEqual(end, begin)

    def test_labels_of_the_worker_and_mistakes(self):
        self.configure('[worker.oci.labels]\ncolour = "red"\n')
        self.assertIn("red", self.ctl("debug", "workers", "-v"))
        with self.assertRaisesRegex(AssertionError, "worker.oci.nonsense"):
            self.configure("[worker.oci]\nnonsense = 1\n")


class Sessions(BuildctlTest):
    def test_pushes_and_pulls_with_the_clients_credentials(self):
        path = self.ws.dir / "htpasswd"
        path.write_text(f"user:{crypt.crypt('hunter2', crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        registry = self.ws.registry(extra=f"auth:\n  htpasswd: {{realm: r, path: {path}}}\n")
        output = ("--output", f"type=image,name={registry.host}/app:1,push=true,store=false")
        dockerfile = f"FROM busybox\nRUN echo {uuid.uuid4().hex} > /p\n"
        config = self.ws.dir / "docker"
        config.mkdir()
        env = {"DOCKER_CONFIG": str(config)}
        self.assertIn("401", self.solve(dockerfile, *output, code=1, env=env))
        subprocess.run(["skopeo", "login", "--tls-verify=false", "--authfile", config / "config.json", "-u", "user", "-p",
                        "hunter2", registry.host], check=True, capture_output=True)
        self.solve(dockerfile, *output, env=env)
        self.assertIn("p", self.oci(f"FROM {registry.host}/app:1\n", env=env).tree())

    def test_a_client_that_vanishes_while_its_context_comes(self):
        with open(self.ws.context / "big", "wb") as big:
            for _ in range(64):
                big.write(os.urandom(1 << 20))
        self.write({"Dockerfile": "FROM scratch\nCOPY . /\n"})
        process = subprocess.Popen(list(map(str, self.build_command())), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=support.environment())
        self.ws.defer(self.ws._end, process)
        contexts = self.ws.state / "contexts"
        deadline = time.monotonic() + 60
        while process.poll() is None and not any(path.stat().st_size > 1 << 20 for path in contexts.rglob("*")
                                                 if path.is_file()):
            self.assertLess(time.monotonic(), deadline)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        # What came is no part of what the next one has.
        (self.ws.context / "big").write_bytes(b"small")
        self.assertEqual(self.oci("FROM scratch\nCOPY big /\n").tree()["big"].text, "small")


class Remotes(BuildctlTest):
    def setUp(self):
        super().setUp()
        self.site = Site(self.ws.dir / "site")
        self.ws.defer(self.site.stop)

    def remote(self, context, *args, name="remote.tar", code=0):
        path = self.ws.out / name
        text = self.ctl("build", "--progress=plain", "--frontend", "dockerfile.v0", "--opt", f"context={context}", "--output",
                        f"type=oci,dest={path}", *args, code=code)
        return Image.read(path) if code == 0 else text

    def test_a_git_repository_is_a_context(self):
        url = self.site.commit("r", {"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "from git"})
        self.assertEqual(self.remote(url).tree()["f"].text, "from git")
        self.site.commit("r", {"sub/Dockerfile": "FROM scratch\nCOPY g /\n", "sub/g": "below"})
        self.assertEqual(self.remote(url + "#main:sub").tree()["g"].text, "below")
        self.assertIn("none", self.remote(url + "#none", code=1))

    def test_a_tar_over_http_is_a_context(self):
        with tarfile.open(self.site.www / "c.tar", "w") as tar:
            self.write({"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "from http"})
            for name in ("Dockerfile", "f"):
                tar.add(self.ws.context / name, name)
        self.assertEqual(self.remote(f"{self.site.url}/c.tar").tree()["f"].text, "from http")

    def test_provenance_names_the_commit_and_the_file(self):
        url = self.site.commit("r", {"Dockerfile": f"FROM scratch\nADD {self.site.url}/file /\n", "f": "x"})
        self.site.file("file", "content")
        self.ctl("build", "--frontend", "dockerfile.v0", "--opt", f"context={url}", "--opt", "attest:provenance=mode=min",
                 "--output", f"type=oci,dest={self.ws.out}/git.tar")
        predicate = Attested(self.ws.out / "git.tar").predicate()
        commit = self.site.git("r", "rev-parse", "HEAD")
        definition = predicate["buildDefinition"]
        self.assertEqual(definition["externalParameters"]["configSource"]["digest"], {"sha1": commit})
        materials = {entry["uri"]: entry["digest"] for entry in definition["resolvedDependencies"]}
        self.assertEqual(materials[url], {"sha1": commit})
        self.assertIn("sha256", materials[f"{self.site.url}/file"])
        self.assertTrue(predicate["runDetails"]["metadata"]["buildkit_completeness"]["resolvedDependencies"])


class Attested:
    """An OCI tar with attestations."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self.files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        self.top = json.loads(self.files["index.json"])["manifests"][0]
        self.index = self.document(self.top)

    def document(self, descriptor):
        return json.loads(self.files["blobs/" + descriptor["digest"].replace(":", "/")])

    def images(self):
        return [entry for entry in self.index["manifests"] if entry["platform"]["os"] != "unknown"]

    def attestations(self):
        return [entry for entry in self.index["manifests"] if entry["platform"]["os"] == "unknown"]

    def statement(self, number=0):
        return self.document(self.document(self.attestations()[number])["layers"][0])

    def predicate(self, number=0):
        return self.statement(number)["predicate"]


class Provenance(BuildctlTest):
    def attested(self, *args, dockerfile="FROM busybox\nARG V\nRUN --mount=type=secret,id=tok echo $V > /v\nCOPY f /\n",
                 attributes="mode=min", name="a.tar", options=",name=example.com/app:1"):
        path = self.ws.out / name
        self.solve(dockerfile, "--opt", f"attest:provenance={attributes}", "--opt", "build-arg:V=3", "--secret",
                   "id=tok,env=TOKEN", "--output", f"type=oci,dest={path}{options}", *args, files={"f": "x"},
                   env={"TOKEN": "hush-hush"})
        return Attested(path)

    def test_it_lies_beside_the_image_in_an_index(self):
        attested = self.attested()
        (image,), (manifest,) = attested.images(), attested.attestations()
        self.assertEqual(manifest["platform"], {"architecture": "unknown", "os": "unknown"})
        self.assertEqual(manifest["annotations"], {"vnd.docker.reference.type": "attestation-manifest",
                                                   "vnd.docker.reference.digest": image["digest"]})
        document = attested.document(manifest)
        self.assertEqual(document["artifactType"], "application/vnd.docker.attestation.manifest.v1+json")
        self.assertEqual(document["subject"]["digest"], image["digest"])
        self.assertEqual(document["layers"][0]["mediaType"], "application/vnd.in-toto+json")
        self.assertEqual(document["layers"][0]["annotations"], {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"})
        statement = attested.statement()
        self.assertEqual(statement["subject"], [{"name": "pkg:docker/example.com/app@1?platform=linux%2Famd64",
                                                 "digest": {"sha256": image["digest"][7:]}}])
        self.assertEqual(statement["predicateType"], "https://slsa.dev/provenance/v1")
        self.assertEqual(statement["predicate"]["buildDefinition"]["externalParameters"]["request"]["locals"],
                         [{"name": "context"}, {"name": "dockerfile"}])
        self.ws.run("skopeo", "inspect", f"oci-archive:{self.ws.out}/a.tar:1")

    def test_the_greatest_mode_tells_all_but_the_secrets(self):
        attested = self.attested(attributes="mode=max")
        predicate = attested.predicate()
        request = predicate["buildDefinition"]["externalParameters"]["request"]
        self.assertEqual(request["args"], {"build-arg:V": "3"})
        self.assertEqual(request["secrets"], [{"id": "tok", "optional": True}])
        internal = predicate["buildDefinition"]["internalParameters"]
        self.assertTrue(any("exec" in step["op"]["Op"] for step in internal["buildConfig"]["llbDefinition"]))
        metadata = predicate["runDetails"]["metadata"]["buildkit_metadata"]
        self.assertIn("layers", metadata)
        self.assertEqual(metadata["source"]["infos"][0]["filename"], "Dockerfile")
        for data in attested.files.values():
            self.assertNotIn(b"hush-hush", data)

    def test_several_platforms_each_have_theirs_in_the_older_version_too(self):
        attested = self.attested("--opt", "platform=linux/amd64,linux/arm64", dockerfile="FROM scratch\nCOPY f /\n",
                                 attributes="mode=min,version=v0.2", options="")
        self.assertEqual(len(attested.images()), 2)
        about = [entry["annotations"]["vnd.docker.reference.digest"] for entry in attested.attestations()]
        self.assertEqual(about, [entry["digest"] for entry in attested.images()])
        self.assertEqual(attested.statement()["predicateType"], "https://slsa.dev/provenance/v0.2")
        self.assertEqual(attested.predicate()["invocation"]["parameters"]["frontend"], "dockerfile.v0")

    def test_trees_have_it_as_a_file_about_their_files(self):
        self.attested("--output", f"type=local,dest={self.ws.out}/tree,attestation-prefix=my-", "--output",
                      f"type=tar,dest={self.ws.out}/tree.tar")
        statement = support.read_json(self.ws.out / "tree/my-provenance.json")
        digests = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
        self.assertEqual(digests["v"], "1121cfccd5913f0a63fec40a6ffd44ea64f9dc135c66634ba001d10bcf4302a2")
        with tarfile.open(self.ws.out / "tree.tar") as tar:
            self.assertEqual(json.load(tar.extractfile("provenance.json"))["_type"], "https://in-toto.io/Statement/v1")

    def test_what_is_meant_for_images_alone_is_left_out_elsewhere(self):
        attested = self.attested(attributes="mode=min,inline-only=true")
        self.assertNotIn("manifests", attested.index)

    def test_it_goes_to_registries_and_into_docker_tarballs(self):
        registry = self.ws.registry()
        self.attested("--output", f"type=image,name={registry.host}/app:1,push=true", "--output",
                      f"type=docker,name=app:1,dest={self.ws.out}/docker.tar")
        raw = json.loads(self.ws.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/app:1"))
        self.assertEqual(len(raw["manifests"]), 2)
        self.ws.run("skopeo", "inspect", f"docker-archive:{self.ws.out}/docker.tar")
        self.ws.lade("run", "--rm", f"{registry.host}/app:1", "true")


# Says of each tree how many files it has, and of the result which, as SPDX has it.
SCANNER = r"""FROM busybox
COPY <<"EOF" /scan.sh
set -eu
if touch "$BUILDKIT_SCAN_SOURCE/x"; then exit 1; fi
statement() {
    echo '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":null,' \
        '"predicate":{"spdxVersion":"SPDX-2.3","name":"'$1'","creationInfo":{"creators":["Tool: mine"]},"files":[' \
        $(cd $2; find . -type f | sort | sed 's/.*/{"fileName":"&"}/' | tr '\n' , | sed 's/,$//') ']}}' \
        > $BUILDKIT_SCAN_DESTINATION/$(basename $2).spdx.json
}
statement ${BUILDKIT_SCAN_LABEL:-core} $BUILDKIT_SCAN_SOURCE
for extra in ${BUILDKIT_SCAN_SOURCE_EXTRAS:-/none}/*; do
    test ! -d $extra || statement extra $extra
done
EOF
ENTRYPOINT ["sh", "/scan.sh"]
"""
SCANNED = """ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM busybox AS made
ARG BUILDKIT_SBOM_SCAN_STAGE=true
RUN mkdir /out && echo 1 > /out/made
FROM scratch
COPY f /
COPY --from=made /out/ /
"""


class Sboms(BuildctlTest):
    """The same through the daemon and by the command line."""

    def setUp(self):
        super().setUp()
        self.build(SCANNER, "-t", "my/scanner", context=self.ws.dir / "scanner")
        self.write({"Dockerfile": SCANNED, "f": "x"})
        self.path = self.ws.out / "a.tar"

    def predicates(self):
        attested = Attested(self.path)
        layers = attested.document(attested.attestations()[0])["layers"]
        self.assertEqual({layer["annotations"]["in-toto.io/predicate-type"] for layer in layers}, {"https://spdx.dev/Document"})
        statements = [attested.document(layer) for layer in layers]
        for statement in statements:
            self.assertEqual(statement["_type"], "https://in-toto.io/Statement/v1")
            self.assertEqual(statement["subject"][0]["digest"]["sha256"], attested.images()[0]["digest"][7:])
        return [statement["predicate"] for statement in statements]

    def check(self, name):
        core, *extras = self.predicates()
        layers = Attested(self.path)
        layers = [layer["digest"] for layer in layers.document(layers.images()[0])["layers"]]
        self.assertEqual(core["name"], name)
        self.assertEqual(core["files"], [{"fileName": "./f", "comment": f"layerID: {layers[0]}"},
                                         {"fileName": "./made", "comment": f"layerID: {layers[1]}"}])
        self.assertEqual(core["creationInfo"]["creators"][0], "Tool: mine")
        self.assertRegex(core["creationInfo"]["creators"][1], "^Tool: lade-")
        self.assertEqual([extra["name"] for extra in extras], ["extra", "extra"])
        files = [[file["fileName"] for file in extra["files"]] for extra in extras]
        self.assertEqual(files[0], ["./Dockerfile", "./f"])
        self.assertIn("./out/made", files[1])

    def test_a_scanner_says_what_is_in_results_contexts_and_stages(self):
        by_daemon = ("--opt", "attest:sbom=generator=my/scanner,LABEL=told", "--output",
                     f"type=oci,dest={self.path},name=example.com/app:1")
        self.solve(None, *by_daemon)
        self.check("told")
        again = self.solve(None, *by_daemon)
        self.assertRegex(again, r"generating sbom using docker.io/my/scanner:latest[^\n]*\n#\d+ CACHED")
        self.path.unlink()
        result = self.build(None, "--sbom=generator=my/scanner,LABEL=told", "-t", "example.com/app:1", "-o",
                            f"type=oci,dest={self.path}")
        self.assertEqual(result.ran, [])
        self.check("told")
        self.build(None, "--attest", "type=sbom,generator=my/scanner", "-o", f"type=local,dest={self.ws.out}/tree")
        statement = support.read_json(self.ws.out / "tree/sbom.spdx.json")
        self.assertEqual(sorted(subject["name"] for subject in statement["subject"]), ["f", "made"])
        self.assertEqual(statement["predicate"]["name"], "core")

    def test_what_is_no_sbom_is_an_error(self):
        for script, word in (("echo '{\"predicateType\":\"x\",\"predicate\":{}}'", "does not match required predicate type"),
                             ("echo nothing", "not an in-toto statement")):
            self.build(f"FROM busybox\nCMD {script} > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json\n", "-t", "my/liar",
                       context=self.ws.dir / "liar")
            self.assertIn(word, self.build(None, "--sbom=generator=my/liar", "-o", f"type=oci,dest={self.path}", code=1).stderr)
        self.build("FROM scratch\nCOPY Dockerfile /\n", "-t", "my/mute", context=self.ws.dir / "mute")
        self.assertIn("does not have cmd", self.build(None, "--sbom=generator=my/mute", code=1).stderr)


class CommandLine(support.LadeTest):
    def test_provenance_is_made_when_asked_for(self):
        path = self.ws.out / "a.tar"
        self.build("FROM busybox\nRUN true\n", "--provenance=mode=max", "-t", "app:1", "-o", f"type=oci,dest={path}")
        predicate = Attested(path).predicate()
        request = predicate["buildDefinition"]["externalParameters"]["request"]
        self.assertEqual(request["frontend"], "dockerfile.v0")
        uri = predicate["buildDefinition"]["resolvedDependencies"][0]["uri"]
        self.assertRegex(uri, r"^pkg:docker/busybox@latest\?platform=linux%2F")
        self.build(None, "-o", f"type=oci,dest={path}")
        self.assertNotIn("manifests", Attested(path).index)
        self.build(None, "--attest", "type=provenance,mode=min,version=v0.2", "-o", f"type=local,dest={self.ws.out}/t")
        self.assertEqual(support.read_json(self.ws.out / "t/provenance.json")["predicateType"], "https://slsa.dev/provenance/v0.2")

    def test_mistakes_are_usage_errors(self):
        for flag, word in (("--provenance=mode=x", "mode"), ("--attest=mode=max", "type"), ("--sbom=generator=my/X", "scanner")):
            self.write_dockerfile()
            self.assertIn(word, self.build(None, flag, code=2).stderr)

    def write_dockerfile(self):
        self.write({"Dockerfile": "FROM scratch\n"})


class Containers(BuildctlTest):
    def test_buildx_opens_a_shell_in_the_result(self):
        terminal = self.debug("always", "FROM busybox\nRUN echo made > /made\nENV X=from-the-image\n")
        said = self.converse(terminal, b"# ", b"cat /made; echo $X-1 $((6 * 7))\n", b"from-the-image-1 42")
        self.assertIn(b"made\r\n", said)

    def test_buildx_opens_a_shell_in_what_a_failed_step_left(self):
        terminal = self.debug("error", "FROM busybox\nENV X=of-the-step\nRUN echo left > /left; exit 7\n")
        said = self.converse(terminal, b"# ", b"cat /left; echo $X-1 $((6 * 7))\n", b"of-the-step-1 42")
        self.assertRegex(said, rb"\nleft\r")

    def debug(self, when, dockerfile):
        """The terminal of a `buildx debug` that opens a shell."""
        buildx = needs("docker-buildx")
        env = support.environment({"DOCKER_CONFIG": str(self.ws.dir / "docker"), "BUILDX_CONFIG": str(self.ws.dir / "bx"),
                                   "BUILDX_EXPERIMENTAL": "1"})
        run = dict(env=env, capture_output=True, timeout=120)
        subprocess.run([buildx, "create", "--name", "lade", "--driver", "remote", self.daemon.address], check=True, **run)
        self.write({"Dockerfile": dockerfile})
        ours, its = os.openpty()
        process = subprocess.Popen([buildx, "--builder", "lade", "debug", "--invoke", "/bin/sh", "--on", when, "build",
                                    "--progress=plain", self.ws.context], stdin=its, stdout=its, stderr=its, env=env,
                                   start_new_session=True)
        os.close(its)
        self.addCleanup(os.close, ours)
        self.ws.defer(self.ws._end, process)
        return ours

    def converse(self, terminal, prompt, typed, answer):
        """Types when the prompt is there; all that is said until the answer."""
        said, asked, deadline = b"", False, time.monotonic() + 60
        while answer not in said:
            ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, said.decode(errors="replace"))
            said += os.read(terminal, 4096)
            if not asked and prompt in said:
                asked = True
                os.write(terminal, typed)
        return said
