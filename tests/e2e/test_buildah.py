"""buildah on both ends of a registry: it builds on what lade pushed, lade reads what it pushed."""

import json
import shutil
import tempfile
import unittest

from registries import RegistryTest
from support import environment


@unittest.skipUnless(shutil.which("buildah"), "buildah is not installed")
class Buildah(RegistryTest):
    def setUp(self):
        super().setUp()
        self.host = self.ws.registry().host
        runroot = tempfile.mkdtemp(prefix="buildah-", dir="/tmp")  # it wants a short path
        self.ws.defer(shutil.rmtree, runroot, True)
        self.storage = ["--root", self.ws.dir / "buildah", "--runroot", runroot, "--storage-driver", "vfs"]
        policy = self.ws.dir / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.policy = ["--signature-policy", policy]

    def buildah(self, command, *args):
        return self.ws.run("buildah", *self.storage, command, *args, env=environment())

    def made_by_buildah(self, name, *options):
        """An image on a base that lade pushed."""
        base = f"{self.host}/base:1"
        self.build("FROM busybox\nRUN mkdir /data && echo lade > /data/lade && chown 5:6 /data/lade\n", "--push", "-t", base,
                   env=self.env)
        container = self.buildah("from", *self.policy, "--tls-verify=false", base).strip()
        root = self.buildah("mount", container).strip()
        self.assertEqual(open(f"{root}/data/lade").read(), "lade\n")
        (self.ws.dir / "file").write_text("buildah\n")
        self.buildah("copy", "--chown", "7:8", container, self.ws.dir / "file", "/data/buildah")
        self.ws.run("rm", f"{root}/bin/wget")
        self.buildah("config", "--env", "WHO=buildah", "--workingdir", "/data", "--cmd", "cat lade buildah", "--label", "a=b",
                     container)
        self.buildah("umount", container)
        self.buildah("commit", *self.policy, "--tls-verify=false", *options, container, f"docker://{name}")

    def check(self, name):
        self.lade("pull", name, state=self.new)
        ran = self.lade("run", name, state=self.new)
        self.assertEqual(ran.stdout, "lade\nbuildah\n")
        ran = self.lade("run", name, "sh", "-c", "stat -c '%u:%g' lade buildah; echo $WHO; ls /bin/wget 2>&1", state=self.new, code=None)
        self.assertEqual(ran.stdout.split("\n")[:3], ["5:6", "7:8", "buildah"])
        self.assertIn("No such file", ran.stdout)
        shown = json.loads(self.lade("inspect", name, state=self.new).stdout)[0]
        self.assertEqual(shown["Config"]["Labels"]["a"], "b")
        built = self.ws.image(f"FROM {name}\nRUN cat lade buildah > both\n", env=self.env, state=self.new)
        self.assertEqual(built.tree()["data/both"].text, "lade\nbuildah\n")

    def test_lade_reads_oci_images_that_buildah_pushed(self):
        self.new = self.ws.new_state(None, "state-new")
        name = f"{self.host}/oci:1"
        self.made_by_buildah(name, "--format", "oci")
        self.check(name)

    def test_lade_reads_docker_images_that_buildah_pushed(self):
        self.new = self.ws.new_state(None, "state-new")
        name = f"{self.host}/docker:1"
        self.made_by_buildah(name, "--format", "docker")
        self.check(name)

    def test_lade_reads_a_manifest_list_that_buildah_pushed(self):
        self.new = self.ws.new_state(None, "state-new")
        name = f"{self.host}/list:1"
        self.made_by_buildah(f"{self.host}/oci:1", "--format", "oci")
        self.buildah("manifest", "create", "list")
        self.buildah("manifest", "add", "--tls-verify=false", "list", f"docker://{self.host}/oci:1")
        self.buildah("manifest", "push", *self.policy, "--tls-verify=false", "--all", "list", f"docker://{name}")
        self.check(name)

    def test_lade_loads_an_archive_of_buildahs(self):
        self.made_by_buildah(f"{self.host}/oci:1", "--format", "oci")
        self.buildah("pull", *self.policy, "--tls-verify=false", f"{self.host}/oci:1")
        for kind in ("oci-archive", "docker-archive"):
            state = self.ws.new_state(None, f"state-{kind}")
            archive = self.ws.dir / f"{kind}.tar"
            self.buildah("push", *self.policy, f"{self.host}/oci:1", f"{kind}:{archive}:example.org/app:1")
            self.lade("load", "-i", archive, state=state)
            self.assertEqual(self.lade("run", "example.org/app:1", state=state).stdout, "lade\nbuildah\n")
