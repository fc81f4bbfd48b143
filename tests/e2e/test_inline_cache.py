"""--cache-to type=inline: a cache that travels in the image, and is read from wherever the image is."""

import hashlib
import json

from caches import STAGES, TwoMachines, sha256
from image import Image
from registries import RegistryTest
from support import environment

MEMBER = "vnd.lade.cache.v1"


class InlineCache(TwoMachines, RegistryTest):
    def push(self, name, *args, state=None):
        return self.build(None, "--push", "-t", name, "--cache-to=type=inline", *args, env=self.env, state=state)

    def build_from(self, name, *args, state=None, **run):
        return self.build(None, f"--cache-from=type=registry,ref={name}", *args, env=self.env,
                          state=state or self.there, **run)

    def records(self, name):
        config = json.loads(self.ws.run("skopeo", "inspect", "--tls-verify=false", "--config", "--raw", f"docker://{name}",
                                        env=environment(self.env)))
        return config.get(MEMBER, {}).get("records")

    def test_a_fresh_machine_takes_a_pushed_image_for_its_cache(self):
        _, proxy = self.proxied()
        name = f"{proxy.host}/app:1"
        first = self.push(name)
        self.assertIn("inline cache of 3 steps", first.stderr)
        proxy.reset()
        second = self.build_from(name, "--push", "-t", name, "--cache-to=type=inline")
        # The stage that was not in the image has no record, and need not run either.
        self.assertEqual(second.ran, [], str(second))
        self.assertEqual(first.digest, second.digest)
        counts = proxy.counts()
        self.assertEqual(counts.get("POST uploads", 0), 0, counts)
        self.assertLess(counts["down bytes"], 10_000, counts)

    def test_what_changed_runs_on_the_images_layers(self):
        name = f"{self.ws.registry().host}/app:1"
        self.push(name)
        self.write({"Dockerfile": STAGES + "RUN cat /both > /again\n"})
        path = self.ws.out / "x.tar"
        result = self.build_from(name, "-o", f"type=oci,dest={path}")
        self.assertEqual([step.partition("] ")[2] for step in result.ran], ["RUN cat /both > /again"])
        self.assertEqual(Image.read(path).tree()["again"].data, b"a\ntool\n")

    def test_the_stages_that_are_no_part_of_the_image_run_when_they_are_needed(self):
        name = f"{self.ws.registry().host}/app:1"
        self.push(name)
        self.write({"Dockerfile": STAGES.replace("COPY a.txt", "COPY --from=tool /tool /second\nCOPY a.txt")})
        self.assertIn("[tool 2/2] RUN echo tool > /tool; echo noise", self.build_from(name).ran)

    def test_the_cache_goes_where_the_image_goes(self):
        """skopeo and podman copy it from registry to registry, and into an archive."""
        first, second = self.ws.registry("first"), self.ws.registry("second")
        self.push(f"{first.host}/app:1")
        self.ws.run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
                    f"docker://{first.host}/app:1", f"docker://{second.host}/moved:x")
        first.stop()
        self.assertEqual(self.build_from(f"{second.host}/moved:x").ran, [])

    def test_archives_and_directories_have_it(self):
        self.build(None, "-t", "app:1", "--cache-to=type=inline", "-o", f"type=oci,dest={self.ws.out}/oci.tar",
                   "-o", f"type=docker,dest={self.ws.out}/docker.tar", "-o", f"type=oci,tar=false,dest={self.ws.out}/layout")
        for name in ("oci.tar", "docker.tar", "layout"):
            self.assertEqual(len(Image.read(self.ws.out / name).config[MEMBER]["records"]), 3, name)
        self.ws.run("skopeo", "copy", "-q", "--insecure-policy", f"docker-archive:{self.ws.out}/docker.tar",
                    f"dir:{self.ws.dir}/copied")
        # A directory can be read as a cache as it lies.
        result = self.build(None, f"--cache-from=type=local,src={self.ws.out}/layout,tag=1", state=self.there)
        self.assertEqual(result.ran, [])

    def test_dockers_media_types_and_a_pushed_load_of_it(self):
        registry = self.ws.registry()
        name = f"{registry.host}/app:1"
        self.build(None, "--cache-to=type=inline", "-o", f"type=docker,dest={self.ws.out}/docker.tar", "-t", name)
        state = self.ws.new_state(None, "third")
        self.ws.lade("load", "-i", self.ws.out / "docker.tar", state=state, env=self.env)
        self.ws.lade("push", name, state=state, env=self.env)
        self.assertEqual(self.build_from(name).ran, [])

    def test_every_platform_of_an_index_has_its_own(self):
        name = f"{self.ws.registry().host}/app:1"
        self.write({"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH\nCOPY a.txt /dst/\n"})
        platforms = "--platform=linux/amd64,linux/arm64"
        first = self.push(name, platforms)
        second = self.build_from(name, platforms, "--push", "-t", name, "--cache-to=type=inline")
        self.assertEqual(second.ran, [])
        find = "manifest list sha256:"
        self.assertEqual(*[[line for line in result.stderr.splitlines() if find in line][0].partition(find)[2]
                           for result in (first, second)])

    def test_what_is_built_on_it_does_not_inherit_it(self):
        name = f"{self.ws.registry().host}/app:1"
        self.push(name)
        self.write({"Dockerfile": f"FROM {name}\nLABEL a=b\n"})
        image = self.ws.image(None, state=self.there, env=self.env)
        self.assertNotIn(MEMBER, image.config)

    def test_equal_builds_are_equal_images(self):
        digests = set()
        for state in (self.ws.state, self.there):
            image = self.ws.image(None, "--build-arg=SOURCE_DATE_EPOCH=1700000000", "--cache-to=type=inline",
                                  name=f"{state.name}.tar", options=",rewrite-timestamp=true", state=state)
            self.assertEqual(len(image.config[MEMBER]["records"]), 3)
            digests.add(image.digest)
        self.assertEqual(len(digests), 1)

    def test_layers_with_clamped_times_are_hits(self):
        name = f"{self.ws.registry().host}/app:1"
        args = ["--build-arg=SOURCE_DATE_EPOCH=1700000000", "--push", "--cache-to=type=inline", "-o",
                f"type=registry,name={name},rewrite-timestamp=true"]
        first = self.build(None, *args, env=self.env)
        second = self.build_from(name, *args)
        self.assertEqual(second.ran, [])
        self.assertEqual(first.digest, second.digest)

    def test_what_a_repositorys_image_gave_goes_back_to_that_repository_only(self):
        host = self.ws.registry().host
        self.push(f"{host}/app:1")
        for name, options, expected in ((f"{host}/app:2", "", 3), (f"{host}/other", "", 0),
                                        (f"{host}/other", ",reexport=true", 3)):
            state = self.ws.new_state(name="state" + name[-3:].replace("/", "-") + options[1:4])
            result = self.build_from(f"{host}/app:1", "--push", "-t", name, f"--cache-to=type=inline{options}", state=state)
            self.assertEqual(result.ran, [])
            self.assertEqual(len(self.records(name)), expected, name + options)

    def test_dockers_older_way_to_ask_for_it(self):
        image = self.ws.image(None, "--build-arg=BUILDKIT_INLINE_CACHE=1")
        self.assertEqual(len(image.config[MEMBER]["records"]), 3)
        self.assertNotIn(MEMBER, self.ws.image(None, "--build-arg=BUILDKIT_INLINE_CACHE=0", name="0.tar").config)

    def test_an_image_without_one_is_said_to_have_none(self):
        name = f"{self.ws.registry().host}/app:1"
        self.build(None, "--push", "-t", name, env=self.env)
        self.assertIn("is not used: it is not a cache of lade's, but an image that was built without --cache-to type=inline",
                      self.build_from(name).stderr)

    def test_without_an_image_it_has_no_effect(self):
        result = self.build(None, "--cache-to=type=inline", "-o", f"type=local,dest={self.ws.out}/files")
        self.assertIn("--cache-to type=inline has no effect: no output is an image", result.stderr)

    def test_a_cache_that_lies_about_the_images_layers_is_not_used(self):
        layout = self.ws.out / "layout"
        self.build(None, "-t", "app:1", "--cache-to=type=inline", "-o", f"type=oci,tar=false,dest={layout}")
        image = Image.read(layout)
        image.config[MEMBER]["layers"][-1]["position"] = 0
        config = json.dumps(image.config).encode()
        self.replace_config(layout, image, config)
        result = self.build(None, f"--cache-from=type=local,src={layout},tag=1", state=self.there)
        self.assertRegex(result.stderr, r"is not used: .*calls sha256:\w+ layer 0 of the image, which it is not")
        self.assertEqual(len(result.ran), 4)

    def test_a_cache_that_lies_about_contents_serves_nobody_who_runs_on_them(self):
        layout = self.ws.out / "layout"
        self.build(None, "-t", "app:1", "--cache-to=type=inline", "-o", f"type=oci,tar=false,dest={layout}")
        image = Image.read(layout)
        image.config[MEMBER]["layers"][-1]["content"] = sha256(b"something else")
        self.replace_config(layout, image, json.dumps(image.config).encode())
        reading = f"--cache-from=type=local,src={layout},tag=1"
        self.assertEqual(self.build(None, reading, state=self.there).ran, [])
        result = self.build(STAGES + "RUN cat /both > /again\n", reading, state=self.there)
        self.assertRegex(result.stderr, r"WARNING: the cache local:.*/layout:1 is not trusted: ")
        self.assertEqual(len(result.ran), 5)

    def replace_config(self, layout, image, config):
        def store(data):
            digest = hashlib.sha256(data).hexdigest()
            (layout / "blobs/sha256" / digest).write_bytes(data)
            return {"digest": f"sha256:{digest}", "size": len(data)}
        image.manifest["config"].update(store(config))
        image.index["manifests"][0].update(store(json.dumps(image.manifest).encode()))
        (layout / "index.json").write_text(json.dumps(image.index))

    def test_bad_options_are_usage_errors(self):
        for option, text in (("--cache-to=type=inline,mode=max", "an image has the layers of its own steps only"),
                             ("--cache-to=type=inline,ref=x", "there is no option 'ref'"),
                             ("--cache-from=type=inline", "type=inline is for --cache-to")):
            self.assertIn(text, self.build(None, option, code=2).stderr)
