"""Cache mounts that machines share with the cache (mounts=true)."""

import gzip
import json
import sys
import tarfile

import support
from caches import OCI_LAYER, CacheDirectory
from image import make_tar, tar_info
from registries import RegistryTest
from support import LadeTest

sys.path.insert(0, str(support.REPO / "tests/support"))

from s3_server import S3Server  # noqa: E402

MOUNT = "RUN --mount=type=cache,id=deps,target=/deps"
FILL = f"""FROM busybox
{MOUNT} echo first > /deps/f && mkdir /deps/d && echo s > /deps/d/.wh.odd && ln /deps/f /deps/hard \\
 && ln -s f /deps/link && chown 7:8 /deps/f && chmod 4750 /deps/f && touch -t 200001020304 /deps/d/.wh.odd
"""
SHOW = f"FROM busybox\n{MOUNT} find /deps | sort | xargs stat -c '%n %a %u:%g %h %Y %F' > /shown; cat /deps/f >> /shown\n"
LOOK = f"FROM busybox\n{MOUNT} ls /deps > /names\n"


class SharedMounts(LadeTest):
    def setUp(self):
        super().setUp()
        self.cache = self.ws.dir / "cache"
        self.there = self.ws.new_state(name="other-machine")

    def export(self, dockerfile=FILL, options=",mounts=true", *args, **run):
        return self.build(dockerfile, f"--cache-to=type=local,dest={self.cache}{options}", *args, **run)

    def look(self, name="look.tar", options=",mounts=true", dockerfile=LOOK, state=None):
        return self.ws.image(dockerfile, f"--cache-from=type=local,src={self.cache}{options}", name=name,
                             state=state or self.there)

    def names(self, *args, **run):
        return self.look(*args, **run).tree()["names"].text.split()

    def document(self):
        manifest = json.loads(self.blob(json.loads((self.cache / "index.json").read_text())["manifests"][0]["digest"]).read_bytes())
        return manifest, json.loads(self.blob(manifest["config"]["digest"]).read_bytes())

    def blob(self, digest):
        return self.cache / "blobs" / digest.replace(":", "/")

    def last(self):
        return self.ws.transcript[-1].stderr

    def test_a_fresh_machine_has_the_mounts_files_as_they_were(self):
        self.assertRegex(self.export().stderr, r"writing cache mount 'deps'")
        shown = [self.ws.image(SHOW, "--cache-from", f"type=local,src={self.cache},mounts=true", "--no-cache",
                               name=f"{state.name}.tar", state=state).tree()["shown"].text
                 for state in (self.ws.state, self.there)]
        self.assertIn("/deps/f 4750 7:8 2 ", shown[0])
        self.assertTrue(shown[0].endswith("first\n"))
        # Times are those of the files, to the second at least; the directory was made anew here.
        self.assertEqual(*shown)
        self.assertIn("restoring the cache mount 'deps' from local:", self.last())
        self.assertNotIn("WARNING", self.last())

    def test_both_sides_must_want_it(self):
        self.export(options="")
        self.assertNotIn("mounts", self.document()[1])
        self.assertEqual(self.names(), [])
        self.export()
        self.assertEqual(self.names("2.tar", "", state=self.ws.new_state(name="third")), [])
        self.assertEqual(self.names("3.tar", state=self.ws.new_state(name="fourth")), ["d", "f", "hard", "link"])

    def test_a_mount_that_is_here_stays_as_it_is(self):
        self.export()
        self.build(f"FROM busybox\n{MOUNT} touch /deps/own\n", state=self.there)
        self.assertEqual(self.names(), ["own"])

    def test_what_a_cache_has_of_a_mount_serves_only_builds_that_read_it(self):
        self.export()
        reading = f"--cache-from=type=local,src={self.cache},mounts=true"
        self.build(f"FROM busybox\n{MOUNT} echo more > /deps/more\n", reading, state=self.there)
        self.assertEqual(self.names("2.tar", dockerfile=LOOK + "# again\n"), ["d", "f", "hard", "link", "more"])
        self.assertNotIn("restoring", self.last())
        # Another tree of another cache, and none.
        changed = self.ws.dir / "changed"
        self.build(f"FROM busybox\n{MOUNT} rm -r /deps/d; touch /deps/changed\n",
                   f"--cache-to=type=local,dest={changed},mounts=true")
        without = self.ws.image(LOOK, "--no-cache", f"--cache-from=type=local,src={changed},mounts=true", name="3.tar",
                                state=self.there)
        self.assertEqual(without.tree()["names"].text.split(), ["changed", "f", "hard", "link"])
        without = self.ws.image(LOOK, "--no-cache-filter=0", name="4.tar", state=self.there)
        self.assertEqual(without.tree()["names"].text.split(), [])

    def test_it_goes_back_to_its_cache_only_and_is_not_restored_again(self):
        self.export()
        other = self.ws.dir / "other"
        reading = f"--cache-from=type=local,src={self.cache},mounts=true"
        for number, expected in ((1, "restoring"), (2, "")):
            self.export(f"FROM busybox\n{MOUNT} echo {number} > /deps/n{number}\n", ",mounts=true", reading,
                        f"--cache-to=type=local,dest={other},mounts=true", state=self.there)
            self.assertEqual("restoring the cache mount" in self.last(), bool(expected))
        self.assertIn("n2", self.names(state=self.ws.new_state(name="third")))
        self.cache = other
        self.assertNotIn("mounts", self.document()[1])

    def test_a_mount_with_a_device_is_an_empty_one(self):
        self.export()
        cache = CacheDirectory(self.cache)
        tar = make_tar([tar_info("./", tarfile.DIRTYPE, mode=0o755),
                        tar_info("./null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)])
        cache.document["mounts"][0]["blob"] = cache.put(gzip.compress(tar), OCI_LAYER)
        cache.save()
        self.assertEqual(self.names(), [])
        self.assertRegex(self.last(), r"WARNING: the cache mount 'deps' of local:.* is not used: .*device in it: 'null'")

    def test_a_cached_build_keeps_the_mounts_of_its_cache(self):
        self.export()
        before = self.document()
        options = f"--cache-from=type=local,src={self.cache},mounts=true"
        self.export(FILL, ",mounts=true", options, state=self.there)
        self.assertEqual(self.ws.transcript[-1].ran, [])
        self.assertEqual(self.document(), before)
        # The other machine never needed it.
        self.assertFalse((self.there / "cache-mounts").exists())

    def test_what_steps_changed_is_exported_anew_and_only_that(self):
        self.export()
        before = self.document()[1]["mounts"]
        again = self.export(FILL + "RUN true\n")
        self.assertIn("keeping cache mount 'deps'", again.stderr)
        self.assertEqual(self.document()[1]["mounts"], before)
        self.export(FILL + f"{MOUNT} echo more > /deps/more\n")
        self.assertNotEqual(self.document()[1]["mounts"], before)
        self.assertIn("more", self.names())
        # Its bytes are not kept twice on this machine.
        blob = self.document()[1]["mounts"][0]["blob"]["digest"].replace(":", "/")
        self.assertFalse((self.ws.state / "blobs" / blob).exists())

    def test_its_blob_is_listed_by_the_manifest(self):
        self.export()
        manifest, document = self.document()
        self.assertIn(document["mounts"][0]["blob"]["digest"], [layer["digest"] for layer in manifest["layers"]])
        self.assertNotIn("deps", json.dumps(document))

    def test_a_missing_or_damaged_mount_is_an_empty_one(self):
        self.export()
        digest = self.document()[1]["mounts"][0]["blob"]["digest"]
        whole = self.blob(digest).read_bytes()
        for name, damage in (("missing", lambda path: path.unlink()), ("cut", lambda path: path.write_bytes(whole[:-20])),
                             ("other", lambda path: path.write_bytes(whole[:-9] + b"AAAAAAAAA"))):
            self.blob(digest).write_bytes(whole)
            damage(self.blob(digest))
            state = self.ws.new_state(name=name)
            self.assertEqual(self.names(f"{name}.tar", state=state), [], name)
            self.assertRegex(self.last(), r"WARNING: the cache mount 'deps' of local:.* is not used: .*" + digest)

    def test_secrets_below_a_mount_stay_here(self):
        secret = self.ws.dir / "secret"
        secret.write_text("do not tell " * 10)
        self.export(f"FROM busybox\n{MOUNT} --mount=type=secret,id=s,target=/deps/.netrc cat /deps/.netrc > /dev/null\n",
                    ",mounts=true,compression=uncompressed", f"--secret=id=s,src={secret}")
        self.assertEqual(len(self.document()[1]["mounts"]), 1)
        for path in (self.cache / "blobs/sha256").iterdir():
            self.assertNotIn(b"do not tell", path.read_bytes())

    def test_mounts_over_an_image_stay_here(self):
        self.export("FROM busybox AS b\nRUN mkdir /x\nFROM busybox\n"
                    "RUN --mount=type=cache,target=/over,from=b,source=/x touch /over/f\n")
        self.assertNotIn("mounts", self.document()[1])

    def test_a_namespace_of_mounts_counts(self):
        space = "--build-arg=BUILDKIT_CACHE_MOUNT_NS=team"
        self.export(FILL, ",mounts=true", space)
        self.assertEqual(self.names(), [])

    def test_several_steps_that_want_it_at_once_restore_it_once(self):
        self.export()
        stages = "".join(f"FROM busybox AS s{n}\n{MOUNT},sharing={sharing} cat /deps/f > /out; : {n}\n"
                         for n, sharing in enumerate(("shared", "locked", "shared", "locked")))
        copies = "".join(f"COPY --from=s{n} /out /{n}\n" for n in range(4))
        tree = self.look(dockerfile=f"{stages}FROM scratch\n{copies}").tree()
        self.assertEqual([tree[str(n)].text for n in range(4)], ["first\n"] * 4)
        self.assertEqual(self.last().count("restoring the cache mount"), 1)

    def test_the_inline_cache_has_none(self):
        self.assertIn("there is no option 'mounts'", self.build(FILL, "--cache-to=type=inline,mounts=true", code=2).stderr)


class ThroughServers(RegistryTest):
    def round_trip(self, cache, env):
        self.build(FILL, f"--cache-to={cache},mounts=true", env=env)
        image = self.ws.image(LOOK, f"--cache-from={cache},mounts=true", state=self.ws.new_state(name="other-machine"), env=env)
        self.assertEqual(image.tree()["names"].text.split(), ["d", "f", "hard", "link"])

    def test_a_registry(self):
        self.round_trip(f"type=registry,ref={self.ws.registry().host}/app:cache", self.env)

    def test_s3(self):
        server = S3Server({"id": "secret"})
        self.ws.defer(server.stop)
        self.round_trip(f"type=s3,bucket=cache,endpoint_url={server.url}",
                        {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})
