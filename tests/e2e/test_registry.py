"""Registries: pushing and pulling, and what is not sent twice."""

import json
import os
import shutil
import tempfile
import unittest

from image import Image
from registries import RegistryTest
from support import environment

PODMAN = ["podman", "--runtime", "runc"]


class Pushing(RegistryTest):
    dockerfile = "FROM busybox\nRUN echo hello > /greeting\nLABEL a=b\nCMD [\"cat\", \"/greeting\"]\n"

    def test_peers_read_what_was_pushed(self):
        registry = self.ws.registry()
        name = f"{registry.host}/team/app:1"
        metadata = self.ws.out / "metadata.json"
        result = self.build(self.dockerfile, "--push", "-t", name, "--metadata-file", metadata, env=self.env)
        self.assertIn("pushing layers", result.stderr)
        digest = json.loads(metadata.read_text())["containerimage.digest"]
        self.assertIn(f"pushing manifest for {name}@{digest}", result.stderr)
        seen = self.inspect(name)
        self.assertEqual((seen["Digest"], seen["Labels"]), (digest, {"a": "b"}))

        layout = self.ws.dir / "layout"
        self.ws.run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}:x")
        self.assertEqual(Image.read(layout).tree()["greeting"].text, "hello\n")
        bundle = self.ws.dir / "bundle"
        self.ws.run("umoci", "unpack", "--image", f"{layout}:x", bundle)
        self.assertEqual((bundle / "rootfs/greeting").read_text(), "hello\n")

    @unittest.skipUnless(shutil.which("podman"), "podman is not installed")
    def test_podman_pulls_what_was_pushed(self):
        registry = self.ws.registry()
        name = f"{registry.host}/app:1"
        self.build(self.dockerfile, "--push", "-t", name, env=self.env)
        runroot = tempfile.mkdtemp(prefix="podman-", dir="/tmp")  # podman wants a short path
        self.ws.defer(shutil.rmtree, runroot, True)
        storage = ["--root", self.ws.dir / "podman", "--runroot", runroot, "--storage-driver", "vfs"]
        self.ws.run(*PODMAN, *storage, "pull", "--tls-verify=false", name, env=environment())
        shown = json.loads(self.ws.run(*PODMAN, *storage, "image", "inspect", name, env=environment()))
        self.assertEqual(shown[0]["Config"]["Cmd"], ["cat", "/greeting"])

    def test_an_image_that_is_there_moves_no_bytes(self):
        registry, proxy = self.proxied()
        name = f"{proxy.host}/app:1"
        self.build(self.dockerfile, "--push", "-t", name, env=self.env)
        self.assertGreater(proxy.counts()["up bytes"], 100_000)
        proxy.reset()
        result = self.build(self.dockerfile, "--push", "-t", name, env=self.env)
        self.assertEqual(result.ran, [])
        counts = proxy.counts()
        self.assertEqual((counts.get("up bytes", 0), counts.get("down bytes", 0)), (0, 0), counts)
        self.assertEqual(counts.get("POST uploads", 0), 0, counts)

    def test_a_base_of_the_same_registry_is_mounted_and_never_fetched(self):
        registry, proxy = self.proxied()
        base, name = f"{proxy.host}/base:1", f"{proxy.host}/app:1"
        self.build(self.dockerfile, "--push", "-t", base, env=self.env)
        layers = [layer["digest"] for layer in self.inspect(base, "--raw")["layers"]]
        proxy.reset()
        state = self.ws.new_state(None, "state-2")
        self.build(f"FROM {base}\nLABEL c=d\n", "--push", "-t", name, env=self.env, state=state)
        counts = proxy.counts()
        self.assertLess(counts["up bytes"], 5000, counts)
        self.assertLess(counts["down bytes"], 5000, counts)
        self.assertEqual([layer["digest"] for layer in self.inspect(name, "--raw")["layers"]], layers)
        self.assertEqual(self.inspect(name)["Labels"], {"a": "b", "c": "d"})

    def test_layers_of_a_shared_cache_in_the_same_registry_are_mounted(self):
        registry, proxy = self.proxied()
        cache, name = f"{proxy.host}/cache:1", f"{proxy.host}/app:1"
        dockerfile = "FROM busybox\nRUN head -c 5000000 /dev/urandom > /big\n"
        self.build(dockerfile, "--cache-to", f"type=registry,ref={cache},mode=max", env=self.env)
        proxy.reset()
        result = self.build(dockerfile, "--cache-from", f"type=registry,ref={cache}", "--push", "-t", name, env=self.env,
                            state=self.ws.new_state("busybox", "state-2"))
        self.assertEqual(result.ran, [])
        counts = proxy.counts()
        self.assertLess(counts["up bytes"], 2_000_000, counts)  # the base alone, which the cache has not
        self.assertLess(counts["down bytes"], 100_000, counts)
        self.ws.run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{registry.host}/app:1",
                    f"oci:{self.ws.dir}/layout:x")

    def test_a_base_of_another_registry_goes_through_without_staying(self):
        first, second = self.ws.registry("registry-1"), self.ws.registry("registry-2")
        self.build(self.dockerfile, "--push", "-t", f"{first.host}/base", env=self.env)
        state = self.ws.new_state(None, "state-2")
        self.build(f"FROM {first.host}/base\nLABEL c=d\n", "--push", "-t", f"{second.host}/app", env=self.env, state=state)
        layout = self.ws.dir / "layout"
        self.ws.run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{second.host}/app",
                    f"oci:{layout}:x")
        self.assertEqual(Image.read(layout).tree()["greeting"].text, "hello\n")
        kept = [path.stat().st_size for path in (state / "blobs/sha256").iterdir()]
        self.assertLess(max(kept), 5000, "a layer was kept")

    def test_outputs_of_type_image_and_registry(self):
        registry = self.ws.registry()
        host = registry.host
        self.build(self.dockerfile, "-o", f"type=image,name={host}/both:1,push=true", env=self.env)
        self.inspect(f"{host}/both:1")
        self.build(f"FROM {host}/both:1\n", "--pull=never", env=self.env)  # it is named here, too
        self.build(self.dockerfile, "-o", f"type=registry,name={host}/far:1", env=self.env)
        self.inspect(f"{host}/far:1")
        self.assert_fails(f"FROM {host}/far:1\n", "is not on this machine", args=["--pull=never"], env=self.env)
        metadata = self.ws.out / "m.json"
        self.build(self.dockerfile, "-o", f"type=image,name={host}/bare,push=true,push-by-digest=true",
                   "--metadata-file", metadata, env=self.env)
        digest = json.loads(metadata.read_text())["containerimage.digest"]
        self.assertEqual(self.inspect(f"{host}/bare@{digest}", "--no-tags")["Digest"], digest)
        for options, message in [("type=registry", "needs a name"),
                                 (f"type=image,name={host}/x:1,push=true,push-by-digest=true", "has a tag"),
                                 ("type=oci,dest=x,push=true", "are for type=image")]:
            self.assert_fails(self.dockerfile, message, code=2, args=["-o", options], env=self.env)
        self.assert_fails(self.dockerfile, "needs a name", code=2, args=["--push"], env=self.env)

    def test_pushes_all_platforms_as_an_index(self):
        registry = self.ws.registry()
        name = f"{registry.host}/multi:1"
        self.build("FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /f\n", "--push", "-t", name,
                   "--platform=linux/amd64,linux/arm64", files={"f": "x"}, env=self.env)
        for arch in ("amd64", "arm64"):
            seen = json.loads(self.ws.run("skopeo", "--override-arch", arch, "inspect", "--tls-verify=false",
                                          f"docker://{name}", env=environment(self.env)))
            self.assertEqual(seen["Labels"], {"arch": arch})

    def test_survives_what_goes_wrong_on_the_way(self):
        registry, proxy = self.proxied()
        self.write({"big": os.urandom(3_000_000)})
        for number, fault in enumerate(["cut_request PUT /uploads/ 2 1000000", "status PUT /uploads/ 2 503",
                                        "status POST /uploads/ 1 429 0", "cut_response PUT /manifests/ 1 0"]):
            proxy.reset(fault)
            name = f"{proxy.host}/app{number}:1"
            self.build("FROM busybox\nCOPY big /\n", "--push", "-t", name, env=self.env)
            self.assertGreaterEqual(proxy.counts()["hit faults"], 1, fault)
            self.ws.run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false",
                        f"docker://{registry.host}/app{number}:1", f"oci:{self.ws.dir}/layout-{number}:x")
        proxy.reset("status PUT /manifests/ -1 500")
        self.assert_fails("FROM busybox\nCOPY big /\n", "could not push the manifest of", f"{proxy.host} answered 500",
                          args=["--push", "-t", f"{proxy.host}/never:1"], env=self.env)


class Indexes(RegistryTest):
    base = None

    def make(self, arch, text):
        self.build("FROM scratch\nCOPY f /\n", "--platform", f"linux/{arch}", "-t", f"app:{arch}", files={"f": text}, env=self.env)

    def architectures(self, name):
        return [one["platform"]["architecture"] for one in self.inspect(name, "--raw")["manifests"]]

    def test_manifest_push_brings_an_index_with_its_images(self):
        name = f"{self.ws.registry().host}/app:1"
        for arch in ("amd64", "arm64"):
            self.make(arch, arch)
        self.lade("manifest", "create", "multi", "app:amd64", "app:arm64")
        self.assert_fails(self.lade("manifest", "push", "app:amd64", name, code=None), "is not an index of images")
        pushed = self.lade("manifest", "push", "--all", "multi", name)
        self.assertRegex(pushed.stdout, rf"{name}: digest: sha256:[0-9a-f]{{64}} size: \d+\n")
        self.assertEqual(self.architectures(name), ["amd64", "arm64"])
        self.ws.run("skopeo", "copy", "--all", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}",
                    f"oci:{self.ws.dir}/layout:x")
        self.lade("manifest", "push", "--purge", "multi", name)
        self.assert_fails(self.lade("manifest", "inspect", "multi", code=None), "multi")
        self.lade("inspect", "app:arm64")  # which stays under its own name

    def test_all_tags_of_a_repository_are_pushed(self):
        host = self.ws.registry().host
        self.make("amd64", "x")
        for tag in ("1", "2", "latest"):
            self.lade("tag", "app:amd64", f"{host}/app:{tag}")
        self.lade("tag", "app:amd64", f"{host}/app/other:3")
        self.lade("push", "--all-tags", f"{host}/app")
        self.assertEqual(sorted(self.inspect(f"{host}/app")["RepoTags"]), ["1", "2", "latest"])
        self.assert_fails(self.lade("push", "-a", f"{host}/app:1", code=None), "must have no tag", code=2)
        self.assert_fails(self.lade("push", "-a", f"{host}/nobody", code=None), "no image of")

    def test_an_index_is_amended_and_removed(self):
        for arch in ("amd64", "arm64", "riscv64"):
            self.make(arch, arch)
        self.lade("manifest", "create", "multi", "app:amd64", "app:arm64")
        before = json.loads(self.lade("manifest", "inspect", "multi").stdout)["manifests"]
        self.make("arm64", "other")
        self.lade("manifest", "create", "--amend", "multi", "app:arm64", "app:riscv64")
        after = json.loads(self.lade("manifest", "inspect", "multi").stdout)["manifests"]
        self.assertEqual([one["platform"]["architecture"] for one in after], ["amd64", "arm64", "riscv64"])
        self.assertEqual(after[0], before[0])
        self.assertNotEqual(after[1]["digest"], before[1]["digest"])
        self.lade("manifest", "create", "multi", "app:riscv64")
        self.assertEqual(len(json.loads(self.lade("manifest", "inspect", "multi").stdout)["manifests"]), 1)
        self.assertEqual(self.lade("manifest", "rm", "multi").stdout, "Untagged: multi:latest\n")
        self.assert_fails(self.lade("manifest", "rm", "multi", code=None), "multi")
        self.assert_fails(self.lade("manifest", "rm", "app:amd64", code=None), "is not a name of an index of images")


class Commands(RegistryTest):
    base = None

    def source(self, registry, name="app:1", label="one"):
        """An image that skopeo pushes: made by lade in another state directory."""
        state = self.ws.dir / "state-source"
        if not state.exists():
            self.ws.new_state("busybox", "state-source")
        tar = self.ws.dir / f"{label}.tar"
        self.ws.build(f"FROM busybox\nRUN echo {label} > /label\nLABEL label={label}\n", "-o", f"type=oci,dest={tar}",
                      state=state, env=self.env)
        return registry.push(f"oci-archive:{tar}", name)

    def label(self, name, *args, **run):
        return self.ws.tree(f"FROM {name}\n", *args, env=self.env, **run)["label"].text.strip()

    def test_pull_brings_an_image_with_its_layers(self):
        registry, proxy = self.proxied()
        digest = self.source(registry)
        name = f"{proxy.host}/app:1"
        result = self.lade("pull", name)
        self.assertEqual(result.stdout, f"Digest: {digest}\nStatus: Downloaded newer image for {name}\n{name}\n")
        self.assertIn("up to date", self.lade("pull", name).stdout)
        self.assertEqual(self.lade("pull", "-q", name).stdout, f"{name}\n")
        proxy.reset()
        self.assertEqual(self.label(name, "--offline"), "one")
        self.assertEqual(proxy.counts(), {})
        self.assertEqual(self.lade("pull", f"{proxy.host}/app@{digest}").stdout.splitlines()[0], f"Digest: {digest}")
        failed = self.lade("pull", f"{proxy.host}/app:2", code=1)
        self.assertIn(f"{proxy.host} answered 404", failed.stderr)

    def test_pull_of_a_platform_and_of_all(self):
        registry = self.ws.registry()
        name = f"{registry.host}/multi:1"
        self.build("FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n", "--push", "-t", name,
                   "--platform=linux/amd64,linux/arm64", files={"f": "x"}, env=self.env, state=self.ws.new_state(None, "state-p"))
        self.lade("pull", "--platform=linux/arm64", name)
        self.lade("push", name, f"{registry.host}/copy:arm")  # what is here: one platform
        only = self.inspect(f"{registry.host}/copy:arm", "--raw")
        self.assertEqual([m["platform"]["architecture"] for m in only["manifests"]], ["arm64"])
        self.lade("pull", "--all-platforms", name)
        self.lade("push", name, f"{registry.host}/copy:all")
        self.assertEqual(self.inspect(f"{registry.host}/copy:all", "--raw"), self.inspect(name, "--raw"))

    def test_pull_of_a_platform_that_is_not_there_fails(self):
        registry = self.ws.registry()
        state = self.ws.new_state(None, "state-p")
        for name, platforms in (("multi", "linux/amd64,linux/arm64"), ("single", "linux/amd64")):
            self.build("FROM scratch\nCOPY f /\n", "--push", "-t", f"{registry.host}/{name}", f"--platform={platforms}",
                       files={"f": "x"}, env=self.env, state=state)
        for platform in ("linux/s390x", "linux/arm/v6", "bogus/x", "windows/amd64"):
            for name, has in (("multi", "linux/amd64, linux/arm64"), ("single", "linux/amd64")):
                failed = self.lade("pull", "--platform", platform, f"{registry.host}/{name}", code=None)
                self.assert_fails(failed, f"{registry.host}/{name}:latest has no image for {platform}; it has {has}")
        self.assertEqual(self.lade("images", "-q").stdout, "")
        self.lade("pull", "--platform", "linux/amd64", f"{registry.host}/single")

    def test_what_images_lists_all_other_commands_know(self):
        registry = self.ws.registry()
        digest = self.source(registry)
        name = f"{registry.host}/app:1"
        self.build(f"FROM {name}\nRUN true\n", "-t", "mine", env=self.env)
        self.assertNotIn(f"{registry.host}/app", self.lade("images").stdout)
        row = json.loads(self.lade("images", "-a", "--format", "json", f"{registry.host}/app").stdout)
        self.assertEqual(row["Digest"], digest)
        for called in (name, row["ID"], f"{registry.host}/app@{digest}"):
            self.assertEqual(json.loads(self.lade("inspect", called).stdout)[0]["Config"]["Labels"], {"label": "one"}, called)
            self.lade("history", called)
        self.lade("tag", name, "again")
        self.assertEqual(json.loads(self.lade("inspect", "again").stdout)[0]["Id"],
                         json.loads(self.lade("inspect", name).stdout)[0]["Id"])
        self.assertEqual(self.lade("run", row["ID"], "cat", "/label").stdout, "one\n")
        self.lade("save", "-o", self.ws.out / "saved.tar", "again")
        self.assertIn(f"Untagged: {name}\n", self.lade("rmi", name).stdout)
        self.assert_fails(self.lade("inspect", name, code=None), "no such image")
        self.assertNotIn(f"{registry.host}/app", self.lade("images", "-a").stdout)
        self.assertEqual(self.lade("run", "again", "cat", "/label").stdout, "one\n")

    def test_what_run_pulled_is_an_image_of_this_machine(self):
        registry = self.ws.registry()
        digest = self.source(registry)
        name = f"{registry.host}/app:1"
        self.assertEqual(self.lade("run", name, "cat", "/label").stdout, "one\n")
        row = json.loads(self.lade("images", "--format", "json").stdout)
        self.assertEqual((row["Repository"], row["Tag"], row["Digest"]), (f"{registry.host}/app", "1", digest))
        self.lade("prune", "-af")
        self.assertEqual(self.lade("run", "--pull=never", name, "cat", "/label").stdout, "one\n")
        self.lade("save", "-o", self.ws.out / "saved.tar", name)
        self.assertIn("Deleted: ", self.lade("rmi", name).stdout)
        # What only a build has asked for becomes one, too.
        self.build(f"FROM {name}\n", env=self.env)
        self.assertEqual(self.lade("images", "-q", f"{registry.host}/app").stdout, "")
        self.lade("run", name, "true")
        self.assertNotEqual(self.lade("images", "-q", f"{registry.host}/app").stdout, "")

    def test_push_brings_it_back_and_mounts_what_is_there(self):
        registry, proxy = self.proxied()
        digest = self.source(registry)
        name = f"{proxy.host}/app:1"
        self.lade("pull", name)
        proxy.reset()
        result = self.lade("push", name, f"{proxy.host}/copy:2")
        self.assertIn(f"digest: {digest}", result.stdout)
        self.assertEqual(proxy.counts().get("up bytes", 0), 0)
        self.assertEqual(self.inspect(f"{registry.host}/copy:2")["Digest"], digest)
        self.assertEqual(self.lade("push", "-q", name).stdout, f"{name}\n")
        other = self.ws.registry("registry-2")
        self.lade("push", name, f"{other.host}/moved:1")
        self.assertEqual(self.inspect(f"{other.host}/moved:1")["Digest"], digest)
        self.assertIn("is not on this machine", self.lade("push", f"{other.host}/none", code=1).stderr)

    def test_pulling_policies(self):
        registry, proxy = self.proxied()
        self.source(registry)
        name = f"{proxy.host}/app:1"
        self.assertEqual(self.label(name), "one")
        self.source(registry, label="two")
        proxy.reset()
        self.assertEqual(self.label(name), "one")
        self.assertEqual(self.label(name, "--pull=missing"), "one")
        self.assertEqual(self.label(name, "--pull=never"), "one")
        self.assertEqual(self.label(name, "--offline"), "one")
        self.assertEqual(proxy.counts(), {})
        self.assertEqual(self.label(name, "--pull=newer"), "two")
        proxy.reset()
        self.label(name, "--pull")
        # It is what is known: its digest was enough.
        self.assertEqual({kind: n for kind, n in proxy.counts().items() if "other" not in kind}, {"HEAD manifests": 1})
        proxy.reset("status * * -1 404")
        self.assertEqual(self.label(name, "--pull=newer"), "two")
        self.assert_fails(f"FROM {name}\n", f"{proxy.host} answered 404", args=["--pull=always"], env=self.env)

    def test_offline_says_what_it_would_need(self):
        registry, proxy = self.proxied()
        self.source(registry)
        name = f"{proxy.host}/app:1"
        self.assert_fails(f"FROM {name}\n", f"image '{name}' is not on this machine, and lade is offline",
                          args=["--offline"], env=self.env)
        # Resolved, but its layers were never needed.
        self.build(f"FROM {name}\nLABEL x=y\n", env=self.env)
        proxy.reset()
        self.assert_fails(f"FROM {name}\nRUN true\n", f"{proxy.host} would have to be asked, but lade is offline",
                          args=["--offline"], env=self.env)
        url = f"http://{proxy.host}/v2/"
        self.assert_fails(f"FROM scratch\nADD {url} /x\n", "would have to be asked, but lade is offline",
                          args=["--offline"], env=self.env)
        self.assert_fails("FROM scratch\nADD https://127.0.0.1:1/r.git#main /x\n",
                          "would have to be asked, but lade is offline", args=["--offline"], env=self.env)
        self.assertEqual(proxy.counts(), {})
        self.assert_fails("FROM scratch\n", "--offline", code=2, args=["--offline", "--pull=always"], env=self.env)
        self.assert_fails("FROM scratch\n", "--offline", code=2, args=["--offline", "--push", "-t", "x"], env=self.env)

    def test_pulls_survive_what_goes_wrong_on_the_way(self):
        registry, proxy = self.proxied()
        self.source(registry)
        for number, fault in enumerate(["cut_response GET /blobs/ 3 100000", "status GET /blobs/ 2 503",
                                        "status GET /manifests/ 1 429 0"]):
            proxy.reset(fault)
            self.lade("pull", f"{proxy.host}/app:1", state=self.ws.dir / f"state-{number}")
            self.assertGreaterEqual(proxy.counts()["hit faults"], 1)
        for number, fault in enumerate(["corrupt GET /blobs/ -1 2000", "truncate GET /blobs/ -1 7",
                                        "corrupt GET /manifests/ -1 9"]):
            proxy.reset(fault)
            state = self.ws.dir / f"state-bad-{number}"
            result = self.lade("pull", f"{proxy.host}/app:1", state=state, code=1)
            self.assertIn(proxy.host, result.stderr)
            for blob in (state / "blobs/sha256").iterdir():
                self.ws.run("sh", "-c", f"echo '{blob.name}  {blob}' | sha256sum -c --quiet")


if __name__ == "__main__":
    unittest.main()
