"""Registries: who is asked, who is trusted, and what they are told."""

import base64
import json
import shutil
import stat
import subprocess
import unittest

import support
from registries import RegistryTest, TokenServer
from support import environment


def in_order(scope):
    """A scope with its actions sorted: "pull,push" and "push,pull" are the same."""
    name, _, actions = scope.rpartition(":")
    return f"{name}:{','.join(sorted(actions.split(',')))}"


class Trust(RegistryTest):
    def authority(self, name, host="127.0.0.1"):
        """An authority and a certificate of it for `host`; paths by kind."""
        directory = self.ws.dir / name
        directory.mkdir()
        (directory / "ext").write_text(f"subjectAltName=IP:{host}\n")

        def openssl(*args):
            subprocess.run(["openssl", *map(str, args)], check=True, cwd=directory, stderr=subprocess.DEVNULL)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}", "-keyout", "ca.key",
                "-out", "ca.crt")
        for leaf in ("server", "client"):
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={leaf}", "-keyout", f"{leaf}.key", "-out",
                    f"{leaf}.csr")
            openssl("x509", "-req", "-in", f"{leaf}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2,
                    "-extfile", "ext", "-out", f"{leaf}.crt")
        return directory

    def certs(self, host):
        directory = self.config / "containers/certs.d" / host
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def push(self, host, code=0):
        return self.build("FROM busybox\n", "--push", "-t", f"{host}/app:1", env=self.env, code=code)

    def test_an_own_authority_is_believed_and_held_to(self):
        mine, other = self.authority("mine"), self.authority("other")
        registry = self.ws.registry(http=f"  tls: {{certificate: {mine}/server.crt, key: {mine}/server.key}}\n")
        self.push(registry.host)  # loopback, and nothing is said of it
        shutil.copy(other / "ca.crt", self.certs(registry.host) / "ca.crt")
        failed = self.push(registry.host, code=1)
        self.assertIn(f"could not reach {registry.host}", failed.stderr)
        self.assertIn("certs.d", failed.stderr)
        shutil.copy(mine / "ca.crt", self.certs(registry.host) / "second.crt")
        self.push(registry.host)
        (self.certs(registry.host) / "second.crt").unlink()
        self.registries_conf(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        self.push(registry.host)

    def test_client_certificates_are_shown(self):
        mine = self.authority("mine")
        registry = self.ws.registry(http=f"  tls: {{certificate: {mine}/server.crt, key: {mine}/server.key, "
                                         f"clientcas: [{mine}/ca.crt]}}\n")
        directory = self.certs(registry.host)
        shutil.copy(mine / "ca.crt", directory / "ca.crt")
        self.push(registry.host, code=1)
        shutil.copy(mine / "client.crt", directory / "client.cert")
        self.assertIn("'client.key' beside it", self.push(registry.host, code=1).stderr)
        shutil.copy(mine / "client.key", directory / "client.key")
        self.push(registry.host)

    def test_login_push_logout_with_a_password(self):
        registry = self.ws.registry(extra=self.htpasswd())
        host = registry.host
        anonymous = self.push(host, code=1)
        self.assertIn(f"lade login {host}", anonymous.stderr)
        wrong = self.lade("login", "-u", "user", "--password-stdin", host, stdin=b"hunter3\n", code=1)
        self.assertIn(f"could not log in to {host}", wrong.stderr)
        self.assertFalse((self.config / "docker/config.json").exists())
        good = self.lade("login", "-u", "user", "--password-stdin", f"http://{host}/", stdin=b"hunter2\n")
        self.assertEqual(good.stdout, "Login Succeeded\n")
        config = self.config / "docker/config.json"
        self.assertEqual(stat.S_IMODE(config.stat().st_mode), 0o600)
        self.assertEqual(json.loads(config.read_text()), {"auths": {host: {"auth": base64.b64encode(b"user:hunter2").decode()}}})
        self.push(host)
        self.lade("pull", f"{host}/app:1", state=self.ws.dir / "state-2")
        # Other tools read the same file.
        self.ws.run("skopeo", "inspect", "--tls-verify=false", f"docker://{host}/app:1", env=environment(self.env))
        self.lade("logout", host)
        self.push(host, code=1)
        self.assertIn("Not logged in", self.lade("logout", host).stdout)
        for result in self.ws.transcript:
            self.assertNotIn("hunter2", result.stdout + result.stderr)
        # And the file that skopeo writes is read.
        self.ws.run("skopeo", "login", "--tls-verify=false", "--authfile", self.config / "containers/auth.json", "-u", "user",
                    "-p", "hunter2", host)
        self.push(host)

    def test_login_usage(self):
        for args in (["login", "host"], ["login", "-u", "x", "host"], ["login", "--password-stdin", "host"],
                     ["login", "-u", "x", "--password-stdin", "host/path"], ["pull"], ["pull", "Upper/Case"],
                     ["push", "a@sha256:" + "0" * 64]):
            self.assertEqual(self.lade(*args, code=None).code, 2, args)

    def test_tokens_with_the_scopes_that_are_needed(self):
        tokens = TokenServer(self.ws.dir / "tokens", {"user": "hunter2"})
        self.ws.defer(tokens.stop)
        registry = self.ws.registry(extra=tokens.configuration())
        host = registry.host
        self.lade("login", "-u", "user", "--password-stdin", host, stdin=b"hunter2")
        self.build("FROM busybox\nRUN echo x > /x\n", "--push", "-t", f"{host}/public/base", env=self.env)
        self.assertIn(("user", ["repository:public/base:pull,push"]), tokens.asked)
        tokens.asked.clear()
        state = self.ws.new_state(None, "state-2")
        self.build(f"FROM {host}/public/base\nLABEL a=b\n", "--push", "-t", f"{host}/team/app", env=self.env, state=state)
        asked = [sorted(in_order(scope) for scope in scopes) for _, scopes in tokens.asked]
        self.assertIn(["repository:public/base:pull"], asked)
        self.assertIn(["repository:public/base:pull", "repository:team/app:pull,push"], asked)
        self.assertEqual(len(asked), len({tuple(scopes) for scopes in asked}), "a token was asked for twice")
        self.lade("logout", host)
        self.lade("pull", f"{host}/public/base", state=self.ws.dir / "state-3")
        self.assertIn("answered 401", self.lade("pull", f"{host}/team/app", state=self.ws.dir / "state-3", code=1).stderr)

    def test_credentials_do_not_follow_redirects(self):
        registry = self.ws.registry(extra=self.htpasswd())
        open_registry = self.ws.registry("registry-open")
        proxy, elsewhere = self.proxy_of(registry), self.proxy_of(open_registry, "127.0.0.2")
        self.lade("login", "-u", "user", "--password-stdin", proxy.host, stdin=b"hunter2")
        for host in (proxy.host, open_registry.host):
            self.push(host)
        proxy.reset(f"redirect GET /blobs/ -1 0 http://{elsewhere.host}")
        self.lade("pull", f"{proxy.host}/app:1", state=self.ws.dir / "state-2")
        counts = elsewhere.counts()
        self.assertGreater(counts["GET blobs"], 0)
        self.assertNotIn("authorized", counts)
        self.assertGreater(proxy.counts()["authorized"], 0)


class Mirrors(RegistryTest):
    def test_mirrors_come_first_and_the_location_last(self):
        registry, mirror = self.ws.registry(), self.ws.registry("mirror")
        front, front_mirror = self.proxy_of(registry), self.proxy_of(mirror, "127.0.0.2")
        self.build("FROM busybox\n", "--push", "-t", f"{registry.host}/team/one", env=self.env)
        self.build("FROM busybox\n", "--push", "-t", f"{mirror.host}/copies/team/one", env=self.env)
        self.build("FROM busybox\n", "--push", "-t", f"{registry.host}/team/two", env=self.env)
        nobody = f"127.0.0.1:{support.free_port()}"
        self.registries_conf(f'unqualified-search-registries = ["{nobody}"]\n'
                             f'[[registry]]\nprefix = "reg.example"\nlocation = "{front.host}"\n'
                             f'[[registry.mirror]]\nlocation = "{nobody}"\n'
                             f'[[registry.mirror]]\nlocation = "{front_mirror.host}/copies"\n'
                             '[[registry]]\nprefix = "reg.example/secret"\nblocked = true\n')
        state = self.ws.dir / "state-2"
        self.lade("pull", "reg.example/team/one", state=state)
        self.assertEqual(front.counts(), {})
        self.lade("pull", "reg.example/team/two", state=state)
        self.assertGreater(front.counts()["GET manifests"], 0)
        failed = self.lade("pull", "reg.example/team/three", state=state, code=1)
        for place in (nobody, front_mirror.host, front.host):
            self.assertIn(place, failed.stderr)
        blocked = self.lade("pull", "reg.example/secret/x", state=state, code=1)
        self.assertIn("registries.conf blocks 'reg.example/secret'", blocked.stderr)

    def test_mirrors_of_docker_hub_serve_short_names(self):
        mirror = self.ws.registry("mirror")
        self.build("FROM busybox\nRUN echo mirrored > /m\n", "--push", "-t", f"{mirror.host}/library/thing:9", env=self.env)
        self.registries_conf(f'[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "{mirror.host}"\n')
        tree = self.tree("FROM thing:9\n", env=self.env, state=self.ws.new_state(None, "state-2"))
        self.assertEqual(tree["m"].text, "mirrored\n")

    def test_mistakes_in_the_configuration_are_shown_when_it_is_needed(self):
        self.registries_conf('[[registry]]\nlocation = 7\n')
        self.build("FROM busybox\n", env=self.env)  # no registry is asked
        failed = self.lade("pull", "x.example/y", code=1)
        self.assertIn("registries.conf', line 2: location has a wrong type", failed.stderr)


if __name__ == "__main__":
    unittest.main()
