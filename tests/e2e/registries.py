"""What tests of registries share: a proxy that fails on request, a server of tokens, lade's configuration."""

import base64
import crypt
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time
import unittest
import urllib.parse
import urllib.request

import support
from support import LadeTest, environment


class Proxy:
    """The fault-injecting proxy (tests/support/fault_proxy.hpp) in front of a registry."""

    def __init__(self, upstream, address="127.0.0.1"):
        program = pathlib.Path(support.LADE).parent / "fault_proxy"
        if not program.exists():
            raise unittest.SkipTest(f"{program} is not built")
        self.process = subprocess.Popen([program, upstream, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.host = self.process.stdout.readline().decode().strip()

    def _ask(self, method, path, data=None):
        request = urllib.request.Request(f"http://{self.host}{path}", method=method, data=data)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read().decode()

    def reset(self, *faults):
        """Forgets all counts and faults; then lets these happen."""
        self._ask("DELETE", "/_faults")
        if faults:
            self._ask("POST", "/_faults", "\n".join(faults).encode())

    def counts(self):
        counts = {}
        for line in self._ask("GET", "/_counts").splitlines():
            name, _, number = line.rpartition(" ")
            counts[name] = int(number)
        return counts

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class TokenServer:
    """Gives docker-registry's bearer tokens (distribution: "Token Authentication Implementation")."""

    def __init__(self, directory, users):
        self.directory, self.users = pathlib.Path(directory), users
        self.directory.mkdir()
        self.key, self.certificate = self.directory / "key.pem", self.directory / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=issuer",
                        "-keyout", self.key, "-out", self.certificate], check=True, stderr=subprocess.DEVNULL)
        self.asked = []  # (user, scopes)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        user = ""
        if authorization := handler.headers.get("Authorization"):
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            if self.users.get(user) != password:
                handler.send_error(401)
                return
        scopes = query.get("scope", [])
        self.asked.append((user, scopes))
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            # Strangers may read "public/..." only.
            granted = [action for action in actions.split(",")
                       if user or (action == "pull" and name.startswith("public/"))]
            access.append({"type": kind, "name": name, "actions": granted})
        body = json.dumps({"token": self.token(user, access), "expires_in": 300}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def token(self, user, access):
        def encoded(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        chain = base64.b64encode(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).decode()
        now = int(time.time())
        parts = [{"typ": "JWT", "alg": "RS256", "x5c": [chain]},
                 {"iss": "issuer", "sub": user, "aud": "service", "exp": now + 300, "nbf": now - 10, "iat": now,
                  "jti": str(time.monotonic_ns()), "access": access}]
        text = b".".join(encoded(json.dumps(part).encode()) for part in parts)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True,
                                   stdout=subprocess.PIPE).stdout
        return (text + b"." + encoded(signature)).decode()

    def configuration(self):
        return (f"auth:\n  token: {{realm: '{self.realm}', service: service, issuer: issuer, "
                f"rootcertbundle: {self.certificate}}}\n")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class RegistryTest(LadeTest):
    def setUp(self):
        super().setUp()
        self.config = self.ws.dir / "config"
        (self.config / "containers").mkdir(parents=True)
        self.env = {"XDG_CONFIG_HOME": str(self.config), "DOCKER_CONFIG": str(self.config / "docker")}

    def lade(self, *args, **run):
        run.setdefault("env", self.env)
        return self.ws.lade(*args, **run)

    def proxied(self, **options):
        registry = self.ws.registry(**options)
        return registry, self.proxy_of(registry)

    def proxy_of(self, registry, address="127.0.0.1"):
        proxy = Proxy(registry.host, address)
        self.ws.defer(proxy.stop)
        return proxy

    def registries_conf(self, text):
        (self.config / "containers/registries.conf").write_text(text)

    def inspect(self, name, *args):
        return json.loads(self.ws.run("skopeo", "inspect", "--tls-verify=false", *args, f"docker://{name}",
                                      env=environment(self.env)))

    def htpasswd(self):
        path = self.ws.dir / "htpasswd"
        path.write_text(f"user:{crypt.crypt('hunter2', crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        return f"auth:\n  htpasswd: {{realm: r, path: {path}}}\n"
