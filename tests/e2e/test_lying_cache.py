"""Caches that lie: what a hand-made document can do to the builds that read it, and to those that do not."""

import contextlib
import gzip
import hashlib
import itertools
import json
import shutil
import sqlite3

from caches import OCI_LAYER, CacheDirectory, TwoMachines, content_of_image_layer, sha256
from image import Image, make_tar
from registries import RegistryTest
from support import LadeTest, busybox_tar
from test_daemon import BuildctlTest

TRUE = "FROM busybox\nRUN true\n"
ECHO = "FROM busybox\nRUN echo honest > /made\n"
MORE = ECHO + "RUN cat /made > /more; ls / > /names\n"
COPIED = "FROM scratch\nCOPY a.txt /\n"
EVIL = [("evil", b"gotcha\n"), ("made", b"evil\n")]
FALSE = {"content": sha256(b"something else")}


class Liar(TwoMachines):
    """The liar learns the keys of steps on a machine of its own, `self.author`; `self.there` is the machine that
    builds which read its caches share with builds that do not."""

    def setUp(self):
        super().setUp()
        self.cache = self.ws.dir / "cache"
        self.author = self.ws.state

    def honest(self, dockerfile, name="cache", options=",mode=max"):
        path = self.ws.dir / name
        self.build(dockerfile, f"--cache-to=type=local,dest={path}{options}", state=self.author)
        return CacheDirectory(path)

    def lying(self, dockerfile, name="cache", files=EVIL, **claims):
        """A cache in which the results of all steps are one layer of the liar's, on the base. Its diff ID and its
        content are what they should be but for `claims`."""
        cache = self.honest(dockerfile, name)
        self.write(dict(files), self.ws.dir / "evil")
        made = self.ws.dir / "made"
        self.build("FROM scratch\nCOPY . /\n", f"--cache-to=type=local,dest={made}", context=self.ws.dir / "evil",
                   state=self.author)
        layer = CacheDirectory(made).document["layers"][0]
        shutil.copytree(made / "blobs", cache.path / "blobs", dirs_exist_ok=True)
        cache.document["layers"].append({**layer, "parent": 0, **claims})
        self.give(cache, len(cache.document["layers"]) - 1)
        return cache

    @staticmethod
    def give(cache, top):
        for record in cache.document["records"]:
            record["top"] = top
        cache.save()

    def reading(self, *names):
        return [f"--cache-from=type=local,src={self.ws.dir / name}" for name in names or ["cache"]]

    def image_there(self, dockerfile, *args, name="x.tar", **run):
        """An image that is built on the shared machine."""
        run.setdefault("state", self.there)
        return self.ws.image(dockerfile, *args, name=name, **run)

    def assert_present(self, name, tree):
        self.assertTrue(name in tree, f"no {name}")

    def assert_absent(self, name, tree):
        self.assertFalse(name in tree, f"there is {name}")

    def last(self):
        return self.ws.transcript[-1]

    def assert_distrusted(self, name="cache"):
        self.assertRegex(self.last().stderr, rf"WARNING: the cache local:{self.ws.dir}/{name}:latest is not trusted: ")


class BuildsThatDoNotReadIt(Liar, LadeTest):
    def test_a_result_serves_only_builds_that_read_the_cache(self):
        self.lying(TRUE)
        self.assert_present("evil", self.image_there(TRUE, *self.reading()).tree())
        victim = self.image_there(TRUE, name="victim.tar")
        self.assertEqual(self.last().ran, ["[2/2] RUN true"])
        self.assert_absent("evil", victim.tree())

    def test_what_ran_on_a_layer_of_the_cache_serves_only_builds_that_read_it(self):
        self.lying(ECHO)
        self.assertEqual(self.image_there(MORE, *self.reading()).tree()["more"].text, "evil\n")
        victim = self.image_there(MORE, name="victim.tar")
        self.assertEqual(len(self.last().ran), 2, str(self.last()))
        self.assertEqual(victim.tree()["more"].text, "honest\n")
        self.assert_absent("evil", victim.tree())

    def test_a_result_that_is_made_of_layers_that_are_here_is_a_claim_too(self):
        """The document says that a step left nothing; no layer of it is the liar's."""
        cache = self.honest(ECHO)
        self.give(cache, 0)
        later = ECHO + "RUN echo later > /later\n"
        self.assert_absent("made", self.image_there(later, *self.reading()).tree())
        victim = self.image_there(later, name="victim.tar").tree()
        self.assertEqual((victim["made"].text, victim["later"].text), ("honest\n", "later\n"))

    def test_builds_at_the_same_time_are_told_apart(self):
        slow = MORE.replace("RUN ", "RUN sleep 0.2; ")
        self.lying(slow.replace("; ls / > /names", ""), files=[("evil", b"gotcha\n"), ("made", b"evil\n")])
        path = self.ws.dir / "both"
        self.write({"Dockerfile": slow}, path)
        outputs = [self.ws.out / f"{number}.tar" for number in range(6)]
        builds = [self.ws.spawn("build", "-o", f"type=oci,dest={output}", *(self.reading() if number % 2 else []), path,
                                state=self.there) for number, output in enumerate(outputs)]
        for number, build in enumerate(builds):
            result = self.ws.finish(build)
            self.assertEqual(result.code, 0, str(result))
            self.assertEqual("evil" in Image.read(outputs[number]).tree(), number % 2 == 1)

    def test_a_false_content_makes_no_other_image_a_hit(self):
        """Of another image's layer the document says what content keys see of busybox's."""
        tar = self.ws.dir / "other.tar"
        self.ws.run("sh", "-c", f"mkdir {self.ws.dir}/o && cd {self.ws.dir}/o && tar xf {busybox_tar()} && "
                    f"echo gotcha > evil && tar cf {tar} .")
        self.ws.lade("import", tar, "other", state=self.ws.state)
        busybox = self.honest(TRUE).document["layers"][0]
        other = self.image_there("FROM other\n", state=self.ws.state)
        cache = self.honest(COPIED)
        cache.document["layers"].append({
            "diffID": other.config["rootfs"]["diff_ids"][0], "content": busybox["content"],
            "blob": cache.put(other.blob(other.layers[0]), other.layers[0]["mediaType"])})
        self.give(cache, len(cache.document["layers"]) - 1)
        self.assert_present("evil", self.image_there(COPIED, *self.reading()).tree())
        # Somebody else's base image, and a record on it.
        self.ws.lade("import", tar, "other", state=self.there)
        self.assert_present("evil", self.image_there("FROM other\nRUN true\n").tree())
        self.assert_absent("evil", self.image_there(TRUE, name="victim.tar").tree())

    def test_a_layer_is_not_taken_from_an_image_that_the_build_does_not_name(self):
        """The document knows the diff ID of somebody's private image."""
        tar = self.ws.dir / "private.tar"
        tar.write_bytes(make_tar([("secret", b"do not tell\n")]))
        for state in (self.ws.state, self.there):
            self.ws.lade("import", tar, "private", state=state)
            private = self.image_there("FROM private\n", state=state)
        cache = self.honest(TRUE)
        cache.document["layers"].append({"diffID": private.config["rootfs"]["diff_ids"][0],
                                         "content": sha256(b"whatever"), "parent": 0})
        self.give(cache, len(cache.document["layers"]) - 1)
        self.assert_absent("secret", self.image_there(TRUE, *self.reading()).tree())
        self.assertEqual(self.last().ran, ["[2/2] RUN true"])

    def test_a_false_digest_costs_no_image_its_blobs(self):
        """The document calls blobs of an image layers, which they are not, or not those that they are."""
        base = json.loads(self.ws.lade("inspect", "busybox", state=self.there).stdout)[0]["Id"]
        image = self.image_there("FROM busybox\n")
        blob = {"mediaType": OCI_LAYER, "digest": base, "size": len(image.blob(image.manifest["config"]))}
        for claims in ({"blob": {**blob, "digest": base}}, {"blob": image.layers[0]}):
            self.lying(ECHO, **claims)
            self.assertEqual(self.image_there(MORE, *self.reading()).tree()["more"].text, "honest\n")
            self.ws.lade("save", "busybox", "-o", self.ws.dir / "saved.tar", state=self.there)
            (self.ws.dir / "saved.tar").unlink()

    def test_an_honest_cache_keeps_its_hits(self):
        """The liar has changed what an honest cache says of the same layers; both are read on one machine."""
        first = self.ws.image(MORE, f"--cache-to=type=local,dest={self.ws.dir}/honest,mode=max")
        shutil.copytree(self.ws.dir / "honest", self.cache)
        cache = CacheDirectory(self.cache)
        evil = cache.layer(EVIL)
        for layer in cache.document["layers"][1:-1]:
            layer.update({"content": sha256(b"other"), "blob": cache.document["layers"][evil]["blob"]})
        cache.save()
        # Hits, of which nothing is unpacked: nobody notices.
        self.build(MORE, *self.reading(), state=self.there)
        self.assertEqual(self.last().ran, [])
        second = self.image_there(MORE, *self.reading("honest"), name="2.tar")
        self.assertEqual(self.last().ran, [])
        self.assertEqual(first.digest, second.digest)
        self.image_there(MORE + "RUN cat /more > /most\n", *self.reading("honest"), name="3.tar")
        self.assertEqual(self.last().ran, ["[4/4] RUN cat /more > /most"])
        self.assertNotIn("is not trusted", self.last().stderr)


class UnknownBase(Liar, RegistryTest):
    def test_a_base_that_is_not_known_yet_comes_out_as_itself(self):
        """The document knows the diff ID of an image that this machine has never seen."""
        name = f"{self.ws.registry().host}/base:1"
        self.build("FROM busybox\nCOPY a.txt /\n", "--push", "-t", name, state=self.ws.state, env=self.env)
        base = self.ws.image(f"FROM {name}\nLABEL a=b\n", name="base.tar", state=self.ws.new_state(name="b"), env=self.env)
        cache = self.honest(COPIED)
        for number, diff_id in enumerate(base.config["rootfs"]["diff_ids"]):
            # Whichever of two blobs is asked for first, it is this one.
            nonce = next(n for n in itertools.count()
                         if sha256(gzip.compress(make_tar([*EVIL, (f"n{n}", b"")]), mtime=0)) < base.layers[number]["digest"])
            top = cache.layer([*EVIL, (f"n{nonce}", b"")], diffID=diff_id, content=content_of_image_layer(diff_id),
                              **({"parent": top} if number else {}))
        self.give(cache, top)
        state = self.ws.new_state(None, "fresh")
        self.image_there(COPIED, *self.reading(), state=state, code=None)
        for dockerfile in (f"FROM {name}\nLABEL a=b\n", f"FROM {name}\nRUN cat /a.txt > /b.txt\n"):
            tree = self.image_there(dockerfile, name="victim.tar", state=state, env=self.env).tree()
            self.assert_absent("evil", tree)
            self.assertEqual(tree["a.txt"].text, "a\n")


class BuildsThatReadIt(Liar, LadeTest):
    def test_a_false_content_is_noticed_when_a_step_runs_on_it(self):
        self.lying(ECHO, **FALSE)
        image = self.image_there(MORE, *self.reading())
        self.assert_distrusted()
        self.assertEqual(len(self.last().ran), 2, str(self.last()))
        self.assertEqual(image.tree()["more"].text, "honest\n")

    def test_a_false_diff_id_is_noticed_when_a_step_runs_on_it_and_when_the_image_is_written(self):
        self.lying(ECHO, diffID=sha256(b"other"))
        for dockerfile in (MORE, ECHO):
            state = self.ws.new_state(name=f"state{len(dockerfile)}")
            tree = self.image_there(dockerfile, *self.reading(), state=state).tree()
            self.assert_distrusted()
            self.assertEqual(tree["made"].text, "honest\n")
            self.assert_absent("evil", tree)

    def test_what_a_lie_left_is_remembered(self):
        """The second build need not unpack anything to know: it takes nothing else either."""
        other = "FROM busybox\nRUN echo other > /other\n"
        self.lying(f"{other.replace('busybox', 'busybox AS other')}{MORE}COPY --from=other /other /\n", **FALSE)
        self.image_there(MORE + "RUN true\n", *self.reading())
        self.assert_distrusted()
        image = self.image_there(other, *self.reading())
        self.assert_distrusted()
        self.assertEqual(self.last().ran, ["[2/2] RUN echo other > /other"])
        self.assert_absent("evil", image.tree())

    def test_of_two_caches_the_honest_one_is_still_taken(self):
        self.lying(ECHO, name="lying", **FALSE)
        self.honest(ECHO, name="honest")
        image = self.image_there(MORE, *self.reading("lying", "honest"))
        self.assert_distrusted("lying")
        self.assertEqual(self.last().ran, ["[3/3] RUN cat /made > /more; ls / > /names"])
        self.assertEqual(image.tree()["more"].text, "honest\n")

    def test_blobs_that_one_cache_promises_may_come_from_another(self):
        """The first lists what the second has, and has none of it."""
        cache = self.honest(ECHO, name="honest")
        shutil.copytree(cache.path, self.cache)
        for layer in cache.document["layers"]:
            if "blob" in layer:
                CacheDirectory(self.cache).blob(layer["blob"]["digest"]).unlink()
        image = self.image_there(MORE, *self.reading("cache", "honest"))
        self.assertEqual(self.last().ran, ["[3/3] RUN cat /made > /more; ls / > /names"])
        self.assertEqual(image.tree()["more"].text, "honest\n")

    def test_what_is_built_on_it_goes_into_no_other_cache(self):
        self.lying(ECHO)
        other = self.ws.dir / "other"
        self.image_there(MORE, *self.reading(), f"--cache-to=type=local,dest={other},mode=max")
        third = self.ws.new_state(name="third")
        tree = self.image_there(MORE, *self.reading("other"), state=third).tree()
        self.assertEqual(tree["more"].text, "honest\n")
        self.assert_absent("evil", tree)


class Verification(LadeTest):
    """What `lade du --verify` finds in a database that was told lies, whoever told them."""

    def sql(self, query, *values):
        with contextlib.closing(sqlite3.connect(self.ws.state / "lade.db")) as database, database:
            return database.execute(query, values).fetchall()

    def verify(self, code):
        return self.ws.lade("du", "--verify", code=code).stdout

    def test_wrong_content_digests_are_mended_and_what_was_found_with_them_forgotten(self):
        self.image(MORE)
        right = dict(self.sql("SELECT id, content_digest FROM layers"))
        self.image(MORE.replace("echo honest", "echo  honest"))  # compares contents
        right.update(self.sql("SELECT id, content_digest FROM layers WHERE content_digest IS NOT NULL"))
        self.assertIn("0 damaged", self.verify(0))
        self.sql("UPDATE layers SET content_digest = ? WHERE content_digest IS NOT NULL", hashlib.sha256(b"x").digest())
        self.assertRegex(self.verify(1), r"DAMAGED layer \w+: its content digest is not sha256:\w+: it is mended")
        self.assertEqual({key: value for key, value in right.items() if value},
                         dict(self.sql("SELECT id, content_digest FROM layers WHERE content_digest IS NOT NULL")))
        self.assertIn("0 damaged", self.verify(0))
        self.image(MORE)
        self.assertEqual(len(self.ws.transcript[-1].ran), 2)

    def test_a_blob_that_holds_another_tar_is_forgotten(self):
        image = self.image(ECHO)
        self.assertIn("0 damaged", self.verify(0))
        (made,) = self.sql("SELECT layer, encoding FROM layer_blobs WHERE digest = ?",
                           bytes.fromhex(image.layers[1]["digest"][7:]))
        base = image.layers[0]
        self.sql("UPDATE layer_blobs SET digest = ?, descriptor = ? WHERE layer = ? AND encoding = ?",
                 bytes.fromhex(base["digest"][7:]), json.dumps(base), *made)
        self.assertRegex(self.verify(1), r"DAMAGED layer \w+: its tar is not in the blob " + base["digest"])
        self.assertIn("0 damaged", self.verify(0))
        again = self.image(ECHO, name="again.tar")
        self.assertEqual((again.digest, self.ws.transcript[-1].ran), (image.digest, []))


class ClientsOfADaemon(Liar, BuildctlTest):
    """Each brings a cache in a directory of its own, which may have the same name."""

    def setUp(self):
        super().setUp()
        self.author = self.there
        self.write({"a.txt": "a\n"})

    def client(self, dockerfile, name, reads=True):
        digest = CacheDirectory(self.cache).index["manifests"][0]["digest"] if reads else ""
        reading = ["--import-cache", f"type=local,src={self.cache},digest={digest}"] if reads else []
        return self.oci(dockerfile, *reading, name=name).tree()

    def test_a_cache_serves_its_own_client_only(self):
        self.lying(ECHO)
        self.assertEqual(self.client(MORE, "liar.tar")["more"].text, "evil\n")
        shutil.rmtree(self.cache)
        self.author = self.ws.new_state(name="another-author")
        self.honest(MORE)
        self.assertEqual(self.client(MORE, "honest.tar")["more"].text, "honest\n")
        self.assertEqual(self.client(MORE, "without.tar", False)["more"].text, "honest\n")

    def test_a_client_is_told_of_a_lie(self):
        self.lying(ECHO, **FALSE)
        self.write({"Dockerfile": MORE})
        digest = CacheDirectory(self.cache).index["manifests"][0]["digest"]
        text = self.solve(None, "--import-cache", f"type=local,src={self.cache},digest={digest}",
                          "--output", f"type=oci,dest={self.ws.out}/x.tar")
        self.assertIn("is not trusted: ", text)
        self.assertEqual(Image.read(self.ws.out / "x.tar").tree()["more"].text, "honest\n")
