"""Caches in buckets (type=s3), against a small S3 of our own that checks signatures, and against moto."""

import json
import os
import subprocess
import sys
import time
import urllib.request

import support
from caches import TwoMachines
from support import LadeTest, environment, free_port

sys.path.insert(0, str(support.REPO / "tests/support"))

from s3_server import S3Server  # noqa: E402

USER = {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "top/secret+key"}


class S3Test(TwoMachines, LadeTest):
    """`self.cache`: what both options have in common."""

    def setUp(self):
        super().setUp()
        self.env = {"AWS_REGION": "eu-west-1", **USER}

    def export(self, options=",mode=max", state=None, env=None, **run):
        return self.build(None, f"--cache-to={self.cache}{options}", "--cache-from", self.cache, state=state,
                          env=env or self.env, **run)

    def image_with_cache(self, name="other.tar", state=None, env=None, **run):
        return self.ws.image(None, f"--cache-from={self.cache}", name=name, state=state or self.there,
                             env=env or self.env, **run)

    def ran(self):
        return self.ws.transcript[-1].ran


class OwnServer(S3Test):
    def setUp(self):
        super().setUp()
        self.server = S3Server({USER["AWS_ACCESS_KEY_ID"]: USER["AWS_SECRET_ACCESS_KEY"]})
        self.ws.defer(self.server.stop)
        self.cache = f"type=s3,bucket=cache,endpoint_url={self.server.url}"

    def test_another_machine_runs_nothing_and_makes_the_same_image(self):
        first = self.ws.image(None, f"--cache-to={self.cache},mode=max", name="first.tar", env=self.env)
        second = self.image_with_cache()
        self.assertEqual(self.ran(), [])
        self.assertEqual(first.digest, second.digest)

    def test_names_and_prefixes_are_buildkits(self):
        self.cache += ",prefix=team/a b/,name=main;v1,blobs_prefix=b/,manifests_prefix=m/"
        self.export()
        keys = self.server.keys()
        self.assertTrue({"team/a b/m/main", "team/a b/m/v1"} < set(keys), keys)
        blobs = [key for key in keys if key.startswith("team/a b/b/sha256:")]
        self.assertEqual(len(blobs), len(keys) - 2)
        manifest = json.loads(self.server.bytes("team/a b/m/main"))
        self.assertEqual({blob["digest"] for blob in [manifest["config"], *manifest["layers"]]},
                         {key.removeprefix("team/a b/b/") for key in blobs})
        self.image_with_cache()
        self.assertEqual(self.ran(), [])

    def test_what_is_there_is_not_sent_again(self):
        self.export()
        self.server.log.clear()
        self.export()
        self.assertEqual([line for line in self.server.log if line.startswith(("PUT", "POST"))],
                         ["PUT cache/manifests/lade"])

    def test_what_is_old_is_made_young_again(self):
        self.export()
        before = {key: self.server.objects["cache"][key][1] for key in self.server.keys()}
        self.server.age(2 * 24 * 3600)
        self.export()
        after = {key: self.server.objects["cache"][key][1] for key in self.server.keys()}
        self.assertTrue(all(after[key] >= before[key] for key in before), (before, after))
        # A day is the default; one may want it otherwise.
        self.server.age(3600)
        self.server.log.clear()
        self.export(",mode=max,touch_refresh=2h")
        self.assertEqual(sum(line.startswith("PUT") for line in self.server.log), 1)

    def test_a_large_layer_goes_in_parts(self):
        self.write({"a.txt": os.urandom(40_000_000)})
        first = self.ws.image(None, f"--cache-to={self.cache},compression=uncompressed", name="first.tar", env=self.env,
                              options=",compression=uncompressed")
        self.assertGreaterEqual(sum("partNumber" in line for line in self.server.log), 3)
        second = self.image_with_cache(options=",compression=uncompressed")
        self.assertEqual(self.ran(), [])
        self.assertEqual(first.digest, second.digest)

    def test_wrong_secrets_are_refused(self):
        wrong = {**self.env, "AWS_SECRET_ACCESS_KEY": "wrong"}
        result = self.export(env=wrong, code=1)
        self.assertIn("403 SignatureDoesNotMatch", result.stderr)
        self.assertIn("is not used: s3://cache answered 403 SignatureDoesNotMatch", result.stderr)
        self.assertNotIn("wrong", result.stderr)
        self.assertEqual(self.server.keys(), [])
        self.export(",ignore-error=true", env=wrong)
        self.assertIn("InvalidAccessKeyId", self.export(env={**self.env, "AWS_ACCESS_KEY_ID": "x"}, code=1).stderr)
        no_one = {name: "" for name in USER} | {"AWS_REGION": "x"}
        self.assertIn("there are no credentials for s3://cache", self.export(env=no_one, code=1).stderr)

    def test_credentials_in_options_files_and_of_a_session(self):
        self.server.secrets |= {"option": "o", "file": "f", "session": "s"}
        self.server.tokens["session"] = "token/+="
        self.cache += ",access_key_id=option,secret_access_key=o,region=x"
        self.export(env={"HOME": str(self.ws.dir)})
        self.cache = self.cache.partition(",access")[0]
        (self.ws.dir / ".aws").mkdir()
        (self.ws.dir / ".aws/credentials").write_text("[ci]\naws_access_key_id = file\naws_secret_access_key = f\n")
        (self.ws.dir / ".aws/config").write_text("[profile ci]\nregion = eu-north-1\n")
        self.export(env={"HOME": str(self.ws.dir), "AWS_PROFILE": "ci"})
        session = {**self.env, "AWS_ACCESS_KEY_ID": "session", "AWS_SECRET_ACCESS_KEY": "s"}
        self.assertIn("InvalidToken", self.export(env=session, code=1).stderr)
        self.export(env={**session, "AWS_SESSION_TOKEN": "token/+="})

    def test_missing_and_damaged_blobs_are_misses(self):
        first = self.ws.image(None, f"--cache-to={self.cache},mode=max", name="first.tar", env=self.env)
        whole = dict(self.server.objects["cache"])
        document = json.loads(self.server.bytes("manifests/lade"))["config"]["digest"]
        layers = [key for key in whole if key.startswith("blobs/") and document not in key]
        for name, damage in (("gone", lambda key: self.server.objects["cache"].pop(key)),
                             ("other", lambda key: self.server.objects["cache"].update(
                                 {key: (b"X" * len(whole[key][0]), whole[key][1])})),
                             ("cut", lambda key: self.server.objects["cache"].update(
                                 {key: (whole[key][0][:-1], whole[key][1])}))):
            self.server.objects["cache"] = dict(whole)
            for key in layers:
                damage(key)
            image = self.image_with_cache(f"{name}.tar", self.ws.new_state(name=f"state-{name}"))
            self.assertIn("runs again", self.ws.transcript[-1].stderr, name)
            self.assertEqual({path: entry.data for path, entry in first.tree().items()},
                             {path: entry.data for path, entry in image.tree().items()})

    def test_a_bucket_that_is_not_there(self):
        self.cache = self.cache.replace("bucket=cache", "bucket=nobodys")
        self.assertIn("s3://nobodys answered 404", self.export(code=1).stderr)

    def test_what_another_builder_left_is_no_cache(self):
        self.server.objects["cache"]["manifests/buildkit"] = (b'{"layers":[],"records":[]}', time.time())
        result = self.build(None, f"--cache-from={self.cache},name=buildkit", env=self.env)
        self.assertIn("is not used", result.stderr)

    def test_offline_asks_nobody(self):
        self.export()
        result = self.build(None, f"--cache-from={self.cache}", "--offline", state=self.there, env=self.env)
        self.assertIn("lade is offline", result.stderr)

    def test_bad_options_are_usage_errors(self):
        for option, text in (("--cache-to=type=s3", "type=s3 needs bucket="),
                             ("--cache-to=type=s3,bucket=b,access_key_id=x", "go together"),
                             ("--cache-to=type=s3,bucket=b,upload_parallelism=0", "upload_parallelism"),
                             ("--cache-to=type=s3,bucket=b,touch_refresh=x", "--cache-to"),
                             ("--cache-from=type=s3,bucket=b,touch_refresh=1h", "there is no option 'touch_refresh'"),
                             ("--cache-to=type=s3,bucket=b,buket=x", "did you mean bucket?"),
                             ("--cache-to=type=s3,bucket=b,name=;", "name= is empty")):
            self.assertIn(text, self.build(None, option, code=2).stderr)
        self.assertIn("the region of s3://b is not known",
                      self.build(None, "--cache-to=type=s3,bucket=b", code=1, env={**USER, "HOME": "/nonexistent"}).stderr)


class Moto(S3Test):
    """moto's server is S3 as others understand it."""

    def setUp(self):
        super().setUp()
        python = support.REPO / "build/peers/moto/bin/python3"
        if not python.exists():
            self.skipTest("needs moto: ./dev peers installs it")
        port = free_port()
        log = open(self.ws.dir / "moto.log", "wb")
        self.ws.defer(log.close)
        process = subprocess.Popen([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, env=environment())
        self.ws.defer(process.wait)
        self.ws.defer(process.kill)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{self.url}/cache", method="PUT"), timeout=10).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    self.fail((self.ws.dir / "moto.log").read_text())
                time.sleep(0.1)
        self.cache = f"type=s3,bucket=cache,endpoint_url={self.url}"

    def test_a_fresh_machine_runs_nothing(self):
        self.write({"a.txt": os.urandom(40_000_000)})
        first = self.ws.image(None, f"--cache-to={self.cache},mode=max", name="first.tar", env=self.env)
        second = self.image_with_cache()
        self.assertEqual(self.ran(), [])
        self.assertEqual(first.digest, second.digest)
        # What is there is refreshed, and not sent again.
        self.export(",mode=max,touch_refresh=1ms")
        self.assertEqual(self.ran(), [])

    def test_a_bucket_that_is_not_there(self):
        self.cache = self.cache.replace("bucket=cache", "bucket=nobodys")
        self.assertRegex(self.export(code=1).stderr, r"s3://nobodys answered 404")
