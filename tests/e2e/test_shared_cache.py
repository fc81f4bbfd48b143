"""Caches that machines share: --cache-to and --cache-from. A machine is a state directory."""

import json
import re
import shutil

from caches import STAGES, TwoMachines
from registries import RegistryTest
from support import LadeTest

TOOL, COPY_TOOL, COPY_A, RUN = ("RUN echo tool", "COPY --from=tool", "COPY a.txt", "RUN cat")


class SharedCache(TwoMachines, LadeTest):
    def setUp(self):
        super().setUp()
        self.cache = self.ws.dir / "cache"
        self.here = self.ws.state

    def export(self, options=",mode=max", state=None, *args):
        return self.build(None, f"--cache-to=type=local,dest={self.cache}{options}", *args,
                          state=state or self.here)

    def image_with_cache(self, name="other.tar", state=None, *args, **run):
        return self.ws.image(None, f"--cache-from=type=local,src={self.cache}", *args, name=name,
                             state=state or self.there, **run)

    def last(self):
        return self.ws.transcript[-1]

    def assert_ran(self, *expected):
        ran = [name.partition("] ")[2] for name in self.last().ran]
        self.assertEqual(len(ran), len(expected), str(self.last()))
        for name, start in zip(sorted(ran), sorted(expected)):
            self.assertTrue(name.startswith(start), str(self.last()))

    def blobs(self):
        """Digests of the cache's layers, and its document."""
        index = json.loads((self.cache / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0]["digest"]).read_bytes())
        document = json.loads(self.blob(manifest["config"]["digest"]).read_bytes())
        return [layer["digest"] for layer in manifest["layers"]], document

    def blob(self, digest):
        return self.cache / "blobs" / digest.replace(":", "/")

    def test_another_machine_runs_nothing_and_makes_the_same_image(self):
        first = self.ws.image(None, f"--cache-to=type=local,dest={self.cache}", name="first.tar")
        second = self.image_with_cache()
        self.assert_ran()
        self.assertEqual(first.digest, second.digest)

    def test_by_default_only_what_the_image_is_made_of_is_shared(self):
        self.export("")
        small = len(self.blobs()[1]["records"])
        self.export(",mode=max")
        self.assertGreater(len(self.blobs()[1]["records"]), small)
        # The stage whose files are copied was not shared: what is changed below it runs it again.
        self.export("")
        self.write({"Dockerfile": STAGES.replace("COPY a.txt", "COPY --from=tool /tool /second\nCOPY a.txt")})
        self.image_with_cache()
        self.assertIn("[tool 2/2] RUN echo tool > /tool; echo noise", self.last().ran)

    def test_mode_max_shares_the_steps_of_all_stages(self):
        self.export()
        self.write({"Dockerfile": STAGES.replace("COPY a.txt", "COPY --from=tool /tool /second\nCOPY a.txt")})
        self.image_with_cache()
        self.assertIn("[tool 2/2] RUN echo tool > /tool; echo noise", self.last().cached)

    def test_what_changed_runs_on_layers_of_the_cache(self):
        self.export()
        self.write({"Dockerfile": STAGES + "RUN cat /both > /again\n"})
        image = self.image_with_cache()
        self.assert_ran("RUN cat /both")
        self.assertEqual(image.tree()["again"].data, b"a\ntool\n")

    def test_a_step_that_came_out_the_same_makes_the_next_one_hit(self):
        self.export()
        self.write({"Dockerfile": STAGES.replace("echo noise", "echo other noise")})
        self.image_with_cache()
        self.assert_ran(TOOL)

    def test_a_cache_that_lacks_what_another_gave_says_so(self):
        self.export()
        second = self.ws.dir / "second"
        read = f"--cache-from=type=local,src={self.cache}"
        self.build(None, read, f"--cache-to=type=local,dest={second},mode=max", state=self.there)
        self.assertRegex(self.last().stderr, rf"WARNING: 4 steps of this build came from local:{self.cache}:latest and are not in "
                                             rf"the cache local:{second}:latest: write it with reexport=true")
        whole = self.ws.dir / "whole"
        self.build(None, read, f"--cache-to=type=local,dest={whole},mode=max,reexport=true", state=self.there)
        self.assertNotIn("WARNING", self.last().stderr)
        self.build(None, read, f"--cache-to=type=local,dest={self.cache},mode=max", state=self.there)
        self.assertNotIn("WARNING", self.last().stderr)
        self.build(None, read, "--cache-to=type=inline", "-t", "app", state=self.there)
        self.assertRegex(self.last().stderr, "WARNING: . steps of this build came from .* not in the cache inline")

    def test_a_bare_name_takes_no_options(self):
        # As with docker's builders; what was meant is named.
        result = self.build(None, "--cache-to", "host.example/app:cache,mode=max", code=2)
        self.assertIn("'host.example/app:cache' is not of the form key=value", result.stderr)
        self.assertIn("type=registry,ref=host.example/app:cache,...", result.stderr)

    def test_what_was_imported_is_kept_for_builds_that_read_the_cache(self):
        self.export()
        image = self.image_with_cache()
        # Its layers are here now.
        for digest in self.blobs()[0]:
            self.blob(digest).unlink()
        again = self.image_with_cache("again.tar")
        self.assert_ran()
        self.assertEqual(image.digest, again.digest)
        self.ws.image(None, name="without.tar", state=self.there)
        self.assert_ran(TOOL, COPY_TOOL, COPY_A, RUN)

    def test_records_whose_bytes_nobody_offers_any_more_are_misses(self):
        self.export()
        # Hits, but needs no bytes of the layers.
        self.build(None, f"--cache-from=type=local,src={self.cache}", state=self.there)
        self.assert_ran()
        shutil.rmtree(self.cache)
        self.ws.image(None, name="again.tar", state=self.there)
        self.assert_ran(TOOL, COPY_TOOL, COPY_A, RUN)

    def test_missing_and_damaged_blobs_are_misses(self):
        first = self.ws.image(None, f"--cache-to=type=local,dest={self.cache},mode=max", name="first.tar")
        damages = {"missing": lambda path: path.unlink(),
                   "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
                   "other": lambda path: path.write_bytes(path.read_bytes()[:-9] + b"AAAAAAAAA")}
        whole = self.ws.dir / "whole"
        shutil.copytree(self.cache, whole)
        for name, damage in damages.items():
            with self.subTest(name):
                shutil.rmtree(self.cache)
                shutil.copytree(whole, self.cache)
                for digest in self.blobs()[0]:
                    damage(self.blob(digest))
                state = self.ws.new_state(name=name)
                image = self.image_with_cache(f"{name}.tar", state)
                self.assertIn("runs again", self.last().stderr)
                self.assertEqual({path: entry.data for path, entry in first.tree().items()},
                                 {path: entry.data for path, entry in image.tree().items()})

    def test_a_cache_that_cannot_be_read_is_a_warning(self):
        self.export()
        (self.cache / "index.json").write_text("{")
        self.image_with_cache()
        self.assertRegex(self.last().stderr, r"WARNING: the cache local:.* is not used: .*index.json")
        self.assert_ran(TOOL, COPY_TOOL, COPY_A, RUN)

    def test_a_cache_that_is_not_there_is_told_unless_the_build_writes_it(self):
        self.image_with_cache()
        self.assertIn(f"WARNING: the cache local:{self.cache}:latest is not used: there is none yet", self.last().stderr)
        self.image_with_cache("first.tar", self.there, f"--cache-to=type=local,dest={self.cache}")
        self.assertNotIn("WARNING: the cache", self.last().stderr)

    def test_what_one_cache_gave_goes_to_another_only_if_asked(self):
        self.export()
        other = self.ws.dir / "laundered"
        for options, expected in (("", 0), (",reexport=true", 4)):
            state = self.ws.new_state(name="third" + options[1:4])
            self.build(None, f"--cache-from=type=local,src={self.cache}",
                       f"--cache-to=type=local,dest={other},mode=max{options}", state=state)
            cache, self.cache = self.cache, other
            self.assertEqual(len(self.blobs()[1]["records"]), expected)
            self.cache = cache

    def test_what_ran_on_what_one_cache_gave_is_found_in_another_by_contents(self):
        self.export()
        self.write({"Dockerfile": STAGES + "RUN cat /both > /again\n"})
        reading, other = f"--cache-from=type=local,src={self.cache}", self.ws.dir / "other"
        self.build(None, reading, f"--cache-to=type=local,dest={other},mode=max", state=self.there)
        self.assert_ran("RUN cat /both")
        for name, caches, ran in (("both", [reading], []), ("alone", [], [TOOL, COPY_TOOL, COPY_A, RUN])):
            result = self.build(None, *caches, f"--cache-from=type=local,src={other}", state=self.ws.new_state(name=name))
            self.assert_ran(*ran)
            self.assertEqual(len(result.cached) + len(ran), 5)

    def test_what_a_cache_gave_stays_in_it(self):
        self.export()
        before = self.blobs()
        self.export(",mode=max", self.there, f"--cache-from=type=local,src={self.cache}")
        self.assert_ran()
        self.assertEqual(self.blobs(), before)

    def test_no_cache_runs_everything(self):
        self.export()
        self.image_with_cache("x.tar", None, "--no-cache")
        self.assert_ran(TOOL, COPY_TOOL, COPY_A, RUN)

    def test_compression_is_the_caches_own(self):
        self.export(",mode=max,compression=zstd")
        self.assertTrue(all(self.blob(digest).read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
                            for digest in self.blobs()[0]))

    def test_a_cache_that_cannot_be_written_fails_the_build_unless_ignored(self):
        (self.ws.dir / "file").write_text("")
        target = f"--cache-to=type=local,dest={self.ws.dir}/file/cache"
        failed = self.build(None, target, code=1)
        self.assertIn("file/cache", failed.stderr)
        self.build(None, target + ",ignore-error=true")

    def test_bad_options_are_usage_errors(self):
        for option, text in (("--cache-to=type=gha", "type=gha is not one of: registry, local, s3, inline"),
                             ("--cache-to=type=local", "type=local needs dest="),
                             ("--cache-from=type=local,dest=x", "type=local needs src="),
                             ("--cache-to=type=local,dest=x,mode=all", "mode=all is not one of: min, max"),
                             ("--cache-to=type=local,dest=x,mod=max", "did you mean mode?"),
                             ("--cache-from=UPPER", "UPPER"),
                             ("--cache-to=type=local,dest=x,image-manifest=false", "is not supported")):
            with self.subTest(option):
                self.assertIn(text, self.build(None, option, code=2).stderr)
                self.assertIn(re.match(r"--[a-z-]+", option)[0], self.last().stderr)


class SharedRegistryCache(TwoMachines, RegistryTest):
    """The same through a registry, whose traffic is counted."""

    def test_a_fresh_machine_runs_nothing_and_pushes_no_layer(self):
        _, proxy = self.proxied()
        cache, name = f"type=registry,ref={proxy.host}/app:cache", f"{proxy.host}/app:1"
        first = self.build(None, "--push", "-t", name, f"--cache-to={cache},mode=max", env=self.env)
        proxy.reset()
        second = self.build(None, "--push", "-t", name, f"--cache-from={cache}", f"--cache-to={cache},mode=max",
                            env=self.env, state=self.there)
        self.assertEqual(second.ran, [], str(second))
        self.assertEqual(first.digest, second.digest)
        counts = proxy.counts()
        self.assertEqual(counts.get("POST uploads", 0), 0, counts)
        # Nothing but documents came down.
        self.assertLess(counts["down bytes"], 10_000, counts)

    def test_another_repository_gets_the_layers_mounted(self):
        _, proxy = self.proxied()
        cache = f"type=registry,ref={proxy.host}/cache"
        self.build(None, f"--cache-to={cache}", env=self.env)
        result = self.build(None, "--push", "-t", f"{proxy.host}/app", f"--cache-from={cache}", env=self.env,
                            state=self.there)
        # The base's layer was never in a registry, and the config is new.
        self.assertRegex(result.stderr, r"2 blobs pushed .*, 3 mounted, 0 there already")

    def test_a_registry_that_fails_is_a_warning_for_imports_and_an_error_for_exports(self):
        registry = self.ws.registry()
        registry.stop()
        cache = f"type=registry,ref={registry.host}/app:cache"
        self.write({"Dockerfile": "FROM busybox\nRUN echo x > /x\n"})
        result = self.build(None, f"--cache-from={cache}", env=self.env)
        self.assertIn(f"WARNING: the cache registry:{registry.host}/app:cache is not used", result.stderr)
        self.assertIn(registry.host, self.build(None, f"--cache-to={cache}", code=1, env=self.env).stderr)
        self.build(None, f"--cache-to={cache},ignore-error=true", env=self.env)

    def test_what_is_no_cache_is_said_to_be_none(self):
        _, proxy = self.proxied()
        self.build("FROM busybox\nRUN true\n", "--push", "-t", f"{proxy.host}/app", env=self.env)
        result = self.build(None, f"--cache-from={proxy.host}/app", env=self.env)
        self.assertIn("is not used: it is not a cache of lade's", result.stderr)
