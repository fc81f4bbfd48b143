"""What a step with the default network can and cannot reach, whatever it writes to its interface."""

import os
import pathlib
import re
import socket
import subprocess

import support
from machines import OtherMachine
from support import LadeTest
from test_daemon import BuildctlTest, Daemon

# Writes frames to its interface, which a step may (CAP_NET_RAW): frames.pl HOW DESTINATION PORT.
FRAMES = r"""
use strict;
my ($how, $to, $port) = @ARGV;
sub file { open(my $f, '<', $_[0]) or die $!; my $line = <$f>; chomp $line; return $line; }
my $own = pack('C4', 10, 0, 2, 100);
my $dest = pack('C4', split(/\./, $to));
my $ether = pack('H12', '52550a000202') . pack('H12', file('/sys/class/net/tap0/address') =~ s/://gr);
sub checksum {
  my ($bytes) = @_;
  my $sum = 0;
  $sum += $_ for unpack('n*', $bytes . (length($bytes) % 2 ? "\0" : ''));
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff;
  return pack('n', ~$sum & 0xffff);
}
sub transport {
  my ($protocol, $target, $head, $at, $tail) = @_;
  my $whole = $head . $tail;
  substr($whole, $at, 2) = checksum($own . $target . pack('CCn', 0, $protocol, length $whole) . $whole);
  return $whole;
}
my $source = 30000 + $$ % 20000;
sub syn { transport(6, $_[0], pack('nnNNCCnnn', $source, $port, 1, 0, 0x50, 2, 8192, 0, 0), 16, '') }
sub datagram { transport(17, $_[0], pack('nnnn', $source, $port, 8 + 4, 0), 6, 'boo!') }
sub ip {
  my ($protocol, $target, $payload, $fragment, $options) = @_;
  my $words = 5 + length($options // '') / 4;
  my $head = pack('CCnnnCCna4a4', 0x40 | $words, 0, 4 * $words + length $payload, 7, $fragment // 0, 64, $protocol, 0,
                  $own, $target) . ($options // '');
  substr($head, 10, 2) = checksum($head);
  return $head . $payload;
}
my %frames = (
  tcp => sub { pack('n', 0x800) . ip(6, $dest, syn($dest)) },
  udp => sub { pack('n', 0x800) . ip(17, $dest, datagram($dest)) },
  'loose-route' => sub { pack('n', 0x800) . ip(6, $dest, syn($dest), 0, pack('C3a4C', 131, 7, 8, $dest, 0)) },
  vlan => sub { pack('nnn', 0x8100, 1, 0x800) . ip(6, $dest, syn($dest)) },
  fragments => sub {
    my $all = datagram($dest);
    map { pack('n', 0x800) . $_ } ip(17, $dest, substr($all, 0, 8), 0x2000), ip(17, $dest, substr($all, 8), 1)
  },
);
my $any = socket(my $socket, 17, 3, unpack('S', pack('n', 3))) or die "socket: $!";
my $place = pack('SniSCCa8', 17, 0x800, file('/sys/class/net/tap0/ifindex'), 0, 0, 6, substr($ether, 0, 6));
for my $frame ($frames{$how}->()) {
  send($socket, $ether . $frame, 0, $place) or die "send: $!";
}
print "sent $how to $to\n";
"""

RUN = "RUN --mount=target=/c perl /c/frames.pl"


class Frames(LadeTest):
    base = "debian"

    def setUp(self):
        super().setUp()
        self.write({"frames.pl": FRAMES})
        self.sockets = {}
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            opened = socket.socket(socket.AF_INET, kind)
            self.addCleanup(opened.close)
            opened.bind(("0.0.0.0", self.port() if self.sockets else 0))
            opened.setblocking(False)
            self.sockets[kind] = opened
        self.sockets[socket.SOCK_STREAM].listen()

    def port(self):
        return self.sockets[socket.SOCK_STREAM].getsockname()[1]

    def arrivals(self):
        """What has come to this machine's sockets."""
        found = []
        for kind, opened in self.sockets.items():
            try:
                while True:
                    found.append((kind.name, opened.accept()[1][0] if kind is socket.SOCK_STREAM else opened.recv(100)))
            except BlockingIOError:
                pass
        return found

    def own_addresses(self):
        shown = subprocess.run(["ip", "-4", "-o", "addr"], check=True, capture_output=True, text=True).stdout
        return [address for address in re.findall(r"inet ([0-9.]+)", shown) if not address.startswith("127.")]

    def test_no_frame_reaches_this_machine(self):
        with OtherMachine() as other:
            targets = ["127.0.0.1", "0.0.0.0", "127.0.0.53", "10.0.2.2", "10.0.2.3", "224.0.0.1", "255.255.255.255",
                       other.here, *self.own_addresses()]
            kinds = ["tcp", "udp", "loose-route", "vlan", "fragments"]
            lines = [f"perl /c/frames.pl {kind} {target} {self.port()}" for target in targets for kind in kinds]
            # Frames go through one after the other: when the last one has arrived, those before it have.
            lines += [f"perl /c/frames.pl udp {other.address} {other.port}"]
            self.write({"all": "\n".join(lines)})
            log = self.build("FROM debian:12\nRUN --mount=target=/c sh -e /c/all\n").log("RUN")
            self.assertEqual(len(log), len(lines))
            self.assertEqual(other.next("udp"), ["boo!", other.here])
            self.assertEqual(self.arrivals(), [])

    def test_frames_to_other_machines_arrive(self):
        with OtherMachine() as other:
            self.build("FROM debian:12\n" + "".join(f"{RUN} {kind} {other.address} {other.port}\n" for kind in ("tcp", "udp")))
            self.assertEqual(other.next("tcp"), ["connected", other.here])
            self.assertEqual(other.next("udp"), ["boo!", other.here])


class Reach(LadeTest):
    def says(self, script, *args):
        return self.build(f"FROM busybox\nRUN {script}\n", *args).log("RUN")

    def test_this_machines_addresses_are_refused_at_once(self):
        with OtherMachine() as other, socket.socket() as listener:
            listener.bind((other.here, 0))
            listener.listen()
            port = listener.getsockname()[1]
            self.assertEqual(self.says(f"nc -w 100 {other.here} {port} < /dev/null 2>&1; echo $?"),
                             [f"nc: can't connect to remote host ({other.here}): No route to host", "1"])

    def test_other_machines_are_reached_unless_they_are_denied(self):
        with OtherMachine() as other:
            script = f"nc -w 100 {other.address} {other.port} < /dev/null 2>&1; echo done"
            self.says(script)
            self.assertEqual(other.next("tcp"), ["connected", other.here])
            refused = [f"nc: can't connect to remote host ({other.address}): No route to host", "done"]
            for network in (other.address, "198.18.0.0/15", "0.0.0.0/0"):
                self.assertEqual(self.says(script, "--no-cache", "--network-deny", "192.0.2.0/24", "--network-deny", network),
                                 refused)

    def test_names_are_found_where_the_name_server_is_this_machine(self):
        # A resolv.conf that names an address of this machine's, as a resolver that listens there makes it.
        with OtherMachine() as other:
            own = self.ws.dir / "resolv.conf"
            own.write_text(f"nameserver {other.here}\n")
            subprocess.run(["mount", "--bind", own, "/etc/resolv.conf"], check=True)
            try:
                self.assertEqual(self.says("cat /etc/resolv.conf"), ["nameserver 10.0.2.3"])
                own.write_text(f"nameserver {other.address}\n")
                self.assertEqual(self.says("cat  /etc/resolv.conf"), [f"nameserver {other.address}"])
                denied = self.says("cat   /etc/resolv.conf", "--network-deny", "198.18.0.0/15")
                self.assertEqual(denied, ["nameserver 10.0.2.3"])
            finally:
                subprocess.run(["umount", "/etc/resolv.conf"], check=True)

    def test_names_are_found_where_resolv_conf_is_a_link_into_run(self):
        # As systemd-resolved and others have it: slirp4netns's forwarder reads it, and sees of /run no more than this.
        with OtherMachine() as other:
            directory = pathlib.Path("/run") / self.ws.dir.name / "resolver"
            directory.mkdir(parents=True)
            self.ws.defer(subprocess.run, ["rm", "-rf", directory.parent])
            (directory / "resolv.conf").write_text(f"nameserver {other.address}\n")
            etc = self.ws.dir / "etc"
            subprocess.run(["cp", "-a", "/etc", etc], check=True)
            (etc / "resolv.conf").unlink()
            (etc / "resolv.conf").symlink_to(directory / "resolv.conf")
            subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
            try:
                # The query goes to the forwarder, from there to the other machine's port 53, which does not answer.
                log = self.says("nslookup -timeout=2 -retry=1 example.org 10.0.2.3 2>&1; echo asked")
            finally:
                subprocess.run(["umount", "/etc"], check=True)
            self.assertEqual(log[-1], "asked")
            self.assertEqual(other.next("dns"), ["asked", other.here])

    def test_the_cache_does_not_know_what_is_denied(self):
        self.says("echo once")
        result = self.build("FROM busybox\nRUN echo once\n", "--network-deny", "10.0.0.0/8")
        self.assertEqual(len(result.cached), 1)

    def test_run_denies_as_well(self):
        with OtherMachine() as other:
            command = ["sh", "-c", f"nc -w 100 {other.address} {other.port} < /dev/null 2>&1; echo done"]
            self.ws.lade("run", "busybox", *command)
            self.assertEqual(other.next("tcp"), ["connected", other.here])
            said = self.ws.lade("run", "--network-deny", "198.18.0.0/15", "busybox", *command).stdout
            self.assertIn("No route to host", said)

    def test_what_is_no_range_says_so(self):
        self.write({"Dockerfile": "FROM busybox\n"})
        for text, message in (("10.1.2.3/8", "--network-deny: '10.1.2.3/8' has bits set beyond its first 8"),
                              ("fe80::/10", "--network-deny: 'fe80::' is not an IPv4 address"),
                              ("10.0.0.0/40", "--network-deny: '10.0.0.0/40' does not end in a length of 0 to 32")):
            for command in (["build", "--network-deny", text, self.ws.context], ["run", "--network-deny", text, "busybox"]):
                result = self.ws.lade(*command, code=None)
                self.assertNotEqual(result.code, 0)
                self.assertIn(message, result.stderr)
        daemon = pathlib.Path(support.LADE).parent / "lade-daemon"
        done = subprocess.run([daemon, "--root", self.ws.dir / "d", "--network-deny", "10.1.2.3/8"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--network-deny: '10.1.2.3/8' has bits set beyond its first 8", done.stderr)
        self.assertIn("did you mean 10.0.0.0/8?", done.stderr)


class OnADaemon(BuildctlTest):
    def check(self, *args, **options):
        with OtherMachine() as other:
            script = f"nc -w 100 {other.address} {other.port} < /dev/null 2>&1; echo done"
            self.solve(f"FROM busybox\nRUN {script}\n")
            self.assertEqual(other.next("tcp"), ["connected", other.here])
            self.daemon.stop()
            self.daemon = Daemon(self.ws, *args, name="denying", **options)
            self.assertIn("No route to host", self.solve(f"FROM busybox\nRUN {script} again\n"))

    def test_a_flag_denies(self):
        self.check("--network-deny", "192.0.2.0/24", "--network-deny", "10.0.0.0/8,198.18.0.0/15")

    def test_the_configuration_denies(self):
        config = self.ws.dir / "toml"
        config.write_text('[worker.oci]\nnetworkDeny = ["192.0.2.0/24", "198.18.0.0/15"]\n')
        self.check(config=config)

    def test_mistakes_in_the_configuration_name_their_place(self):
        config = self.ws.dir / "toml"
        config.write_text('[worker.oci]\nnetworkDeny = ["198.18.0.1/15"]\n')
        with self.assertRaisesRegex(AssertionError, "toml: worker.oci.networkDeny: '198.18.0.1/15' has bits set beyond"):
            Daemon(self.ws, name="mistaken", config=config)


class SourcesOfADaemon(BuildctlTest):
    """What a daemon with --network-deny-sources fetches for builds."""

    def setUp(self):
        super().setUp()
        self.daemon.stop()
        self.other = OtherMachine()
        self.other.__enter__()
        self.ws.defer(self.other.__exit__)
        served = self.ws.dir / "served"
        served.mkdir()
        (served / "file").write_text("served\n")
        work = self.ws.dir / "work"
        for command in (["git", "init", "-q", "-b", "master", work], ["git", "-C", work, "add", "file"],
                        ["git", "-C", work, "-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "-m", "c"],
                        ["git", "clone", "-q", "--bare", work, served / "r.git"],
                        ["git", "-C", served / "r.git", "update-server-info"]):
            if command[3:] == ["add", "file"]:
                (work / "file").write_text("committed\n")
            subprocess.run(command, check=True, env={"PATH": os.environ["PATH"], "HOME": "/nowhere"})
        self.there = self.other.serve_http(self.ws, served)
        # This machine's own server, at all its addresses: whoever reaches it is noted.
        self.listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.ws.defer(self.listener.close)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]

    def start(self, *args, **options):
        self.daemon = Daemon(self.ws, *args, name="guarded", **options)

    def refused(self, dockerfile, where=None):
        self.write({"Dockerfile": dockerfile})
        build = subprocess.run(self.build_command(), capture_output=True, text=True, env=support.environment(), check=False,
                               timeout=120)
        self.assertNotEqual(build.returncode, 0, build.stderr)
        self.assertRegex(build.stderr, f"is at {where or '.*'}, which builds may not connect to")
        with self.assertRaises(BlockingIOError):
            self.listener.accept()

    def test_this_machine_is_refused_under_all_its_names(self):
        self.start("--network-deny-sources")
        names = {"127.0.0.1": "127.0.0.1", "localhost": None, "127.9.8.7": "127.9.8.7", "0.0.0.0": "0.0.0.0",
                 self.other.here: self.other.here, "[::1]": "::1", "[::ffff:127.0.0.1]": "::ffff:127.0.0.1",
                 "2130706433": "127.0.0.1", "0x7f.1": "127.0.0.1"}
        for name, address in names.items():
            self.refused(f"FROM scratch\nADD http://{name}:{self.port}/file /\n", address)
        for source in (f"http://127.0.0.1:{self.port}/r.git", f"http://localhost:{self.port}/r.git",
                       f"http://{self.other.here}:{self.port}/r.git"):
            self.refused(f"FROM scratch\nADD {source} /\n")
        self.refused(f"FROM localhost:{self.port}/name\n")
        self.refused(f"FROM {self.other.here}:{self.port}/name\n", self.other.here)

    def test_other_machines_are_reached_and_their_redirects_to_this_one_are_not(self):
        self.start("--network-deny-sources")
        self.assertIn("#", self.solve(f"FROM busybox\nADD http://{self.there}/file /a\nADD http://{self.there}/r.git /b\n"
                                      "RUN grep -q served /a && grep -q committed /b/file\n"))
        self.solve(f"FROM busybox\nADD http://{self.there}/to/http://{self.there}/file /a\nRUN grep -q served /a\n")
        self.refused(f"FROM scratch\nADD http://{self.there}/to/http://127.0.0.1:{self.port}/file /\n", "127.0.0.1")
        self.refused(f"FROM scratch\nADD http://{self.there}/to/http://localhost:{self.port}/r.git /\n")

    def test_denied_ranges_are_refused(self):
        config = self.ws.dir / "toml"
        config.write_text('[worker.oci]\nnetworkDeny = ["198.18.0.0/15"]\nnetworkDenySources = true\n')
        self.start(config=config)
        for source in (f"http://{self.there}/file", f"http://{self.there}/r.git"):
            self.refused(f"FROM scratch\nADD {source} /\n", self.other.address)
        self.refused(f"FROM {self.there}/name\n", self.other.address)

    def test_gits_own_protocol_is_refused(self):
        self.start("--network-deny-sources")
        self.write({"Dockerfile": f"FROM scratch\nADD git://{self.there}/r.git /\n"})
        build = subprocess.run(self.build_command(), capture_output=True, text=True, env=support.environment(), check=False)
        self.assertIn("where connections are guarded, git:// is not used", build.stderr)

    def test_without_the_flag_loopback_is_reached(self):
        self.start("--network-deny", "127.0.0.0/8")
        self.write({"Dockerfile": f"FROM scratch\nADD http://127.0.0.1:{self.port}/file /\n"})
        build = subprocess.Popen(self.build_command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env=support.environment())
        self.ws.defer(self.ws._end, build)
        self.listener.setblocking(True)
        self.listener.settimeout(60)
        self.listener.accept()[0].close()
