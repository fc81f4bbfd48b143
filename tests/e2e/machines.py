"""Another machine, as far as networks go: a network namespace at the end of a cable from this one's."""

import json
import os
import shutil
import subprocess
import sys
import unittest

SERVER = """
import json, queue, socket, sys, threading
arrived = {"tcp": queue.Queue(), "udp": queue.Queue(), "dns": queue.Queue()}
def listen(listener):
    while True:
        connection, sender = listener.accept()
        connection.close()
        arrived["tcp"].put(["connected", sender[0]])
def receive(receiver):
    while True:
        text, sender = receiver.recvfrom(100)
        arrived["udp"].put([text.decode(), sender[0]])
def be_asked(resolver):
    while True:
        arrived["dns"].put(["asked", resolver.recvfrom(1000)[1][0]])
for kind, serve, port in ((socket.SOCK_STREAM, listen, 7777), (socket.SOCK_DGRAM, receive, 7777),
                          (socket.SOCK_DGRAM, be_asked, 53)):
    opened = socket.socket(socket.AF_INET, kind)
    opened.bind(("0.0.0.0", port))
    if kind is socket.SOCK_STREAM:
        opened.listen()
    threading.Thread(target=serve, args=(opened,), daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(arrived[line.strip()].get(timeout=20)), flush=True)
    except queue.Empty:
        print("null", flush=True)
"""

HTTP_SERVER = """
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if not self.path.startswith("/to/"):
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", self.path[len("/to/"):])
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class OtherMachine:
    """Listens for TCP and UDP at `port`, and for names at 53, which it never tells. For `with`; what it got is asked
    for with next()."""

    port = 7777

    def __init__(self):
        if not shutil.which("ip"):
            raise unittest.SkipTest("needs ip (package iproute2)")
        number = os.getpid()
        self.cable = f"lade-e{number}"
        network = f"198.18.{number // 64 % 256}"  # of the range for tests of networks
        self.here, self.address = f"{network}.{number % 64 * 4 + 1}", f"{network}.{number % 64 * 4 + 2}"

    def __enter__(self):
        self.process = subprocess.Popen(["unshare", "-n", sys.executable, "-c", "input(); exec(input())"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self):
        pid = str(self.process.pid)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            pass
        inside = ["nsenter", "-t", pid, "-n"]
        for command in (["ip", "link", "add", self.cable, "type", "veth", "peer", "name", f"{self.cable}e"],
                        ["ip", "addr", "add", f"{self.here}/30", "dev", self.cable],
                        ["ip", "link", "set", self.cable, "up"],
                        ["ip", "link", "set", f"{self.cable}e", "netns", pid],
                        [*inside, "ip", "addr", "add", f"{self.address}/30", "dev", f"{self.cable}e"],
                        [*inside, "ip", "link", "set", f"{self.cable}e", "up"]):
            subprocess.run(command, check=True)
        self.process.stdin.write(f"exec({SERVER!r})\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "up\n"

    def serve_http(self, ws, directory):
        """Serves `directory` there, and redirects /to/URL to the URL; its address. Ends with the workspace."""
        server = subprocess.Popen(["nsenter", "-t", str(self.process.pid), "-n", sys.executable, "-c", HTTP_SERVER],
                                  cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ws.defer(server.communicate)
        ws.defer(server.kill)
        return f"{self.address}:{server.stdout.readline().strip()}"

    def next(self, kind):
        """The next connection ("tcp"), datagram ("udp") or query ("dns"): [text, its sender], or None if there is none in time."""
        self.process.stdin.write(f"{kind}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        subprocess.run(["ip", "link", "del", self.cable], check=False, stderr=subprocess.DEVNULL)
