"""Random cases: Dockerfiles that a seed makes, valid ones and such that are wrong in a small way.

A seed makes either a Dockerfile from scratch, instruction by instruction, or takes a case of cases/ and changes its
text in a few places. The same seed makes the same Dockerfile for as long as this file and that case are what they are.
"""

import random
import re

import case as cases
import contexts

BASES = ("busybox",) * 6 + ("users", "merged", "configured", "odd", "onbuild", "other", "no-path", "scratch", "scratch")
VARIABLES = ("A", "B", "C", "D", "PATH", "HOME", "TARGETARCH", "UNSET")
PLAIN = ("a", "b", "one", "x.y", "dir", "1", "0", "é", "-", "_", "a-b", "/a/b", "k=v", "~", "%", "@", "v1.2.3", "+",
         "tar.gz")
EXPANSIONS = ("$%s", "${%s}", "${%s:-x}", "${%s-y}", "${%s:+z}", "${%s+w}", "${%s#o}", "${%s##*o}", "${%s%%e}",
              "${%s%%%%n*}", "${%s/n/N}", "${%s//n/}", "${%s:-${B}}", "${%s:-\"q q\"}", "${%s:+'s'}", "\\$%s", "$$%s",
              "${%s/o*/}", "${%s#?}", "${%s%%?}", "${%s/?/!}", "${%s//[a-n]/-}", "${%s:-a b}", "$%s$A", "${%s}}",
              "{$%s}")
ODD = ("\\ ", "\\\"", "\\'", "\\\\", "\\n", "\\t", "#", "#x", "*", "?", "[a]", "&", "|", ";", "!", "(", ")", "<", ">",
       ",", ":", "=", "''", '""', "'a b'", '"a b"', '"a\'b"', "'a\"b'", '"\\""', '"$A"', "'$A'", '"\\$A"', "\\a",
       "a\\b", "`", "^", "\u00a0", "\u200b", "日本", "🚢", "\x0b", "$", "$$", "$1", "$-", "$(a)", "${}", "${A", "${A:}",
       "${A:x}", "${ A}", "${A B}", '"', "'", "\\", "<<E", "[", "]", '["a"]', "{", "}", "a]", "\\$", "${A!}", "${A^}",
       "${#A}", "${A:0:1}", "$A_B", "${A.B}", "$é", "${1}", "${A//}", "${A/}", "${A#}", "${A%}", "\"${A:-'x'}\"",
       "${B:?no}", "${UNSET?}", "${UNSET:?$A}", "'\"'", "--x", "=a", "a=", "\r")
SOURCES = ("a.txt", "b.txt", "dir", "dir/", "dir/sub", "./a.txt", "/a.txt", "/dir/one", "*.txt", "dir/*", "d*",
           "?.txt", "[ab].txt", ".", "./", "/", "*", "real/file", "to-file", "to-dir", "to-dir/sub", "absolute",
           "tree", "tree/dir", "hard", "hard/*", "a.tar", "a.gz", "many", "many/*", "script.sh", "private", ".hidden",
           "dir/void", "dir/../a.txt", "../a.txt", "dir/*/three.txt", "**/three.txt", "with space.txt", "modes",
           "modes/dir", "fake.tar.gz", "no*match", "gone", "dangling", "dir/./sub/three.txt", "dir/sub/./deep",
           "./dir/./sub/deep", "Dockerfile", ".dockerignore", "dir2", "dir2/*", "to-sub", "tree/up", "dir/.",
           "dir/..", "[!a].txt", "dir/s?b", "docs/**", "**/*.txt", "**", "*/", "*/*", "a.txt/", "[[]bracket].txt",
           "star*.txt", "star\\*.txt", "[", "ünï.txt", "", "loop", "outside", "special.tar", "link.tar", "a.zst",
           "empty.tar", "cut.tar")
ODD_SOURCES = ("/odd", "/odd/", "/odd/*", "/odd/one", "/odd/two", "/odd/dir", "/odd/dir/a", "/odd/opaque", "/odd/f*",
               "/odd/set*", "/odd/./dir/a", "/odd/none", "/odd/name with spaces", "/odd/ünï", "/odd/sticky",
               "/odd/../odd/one", "/odd/d?r", "odd/one")
MERGED_SOURCES = ("/real", "/real/", "/abs", "/abs/", "/rel", "/rel/", "/up", "/file-link", "/real/file", "/abs/file",
                  "/abs/sub", "/etc/through", "/etc/through/", "/bin/true", "/bin", "/*-link", "/real/*", "/abs/*",
                  "/dangling", "/loop", "/etc", "/etc/*", "/./abs/./file", "/abs/./sub", "/usr/./bin/true",
                  "/bin/./true", "/rel/../file")
STAGE_SOURCES = ("/bin/tru?", "/made*", "/mad[e]", "/made/*", "/out*", "/", "/etc*", "/m*/*", "/made/./*", "/d*",
                 "/*/./sub", "/w*", "/made/sub*", "/d/*", "/r*", "/[a-c]*", "/o*/*", "/t*", "/abs*", "/.", "./", ".",
                 "/odd", "/odd/*", "/etc", "/real", "/abs", "/rel", "/gone", "/none*", "made", "/d", "/d/*",
                 "/bin/t*", "/odd/dir", "/made/link", "/made/./sub", "/odd/./dir/a", "/file-link", "/w",
                 "/etc/passwd", "/dangling", "/etc/through")
DESTINATIONS = ("/d", "/d/", "d", "d/", ".", "./", "/", "/d/e/f", "/d/e/f/", "..", "../x", "/abs", "/abs/", "/rel/",
                "/abs/new/", "/etc/", "/etc/through/", "/up/", "/dangling", "/dangling/", "/bin/new", "/d/../e/",
                "//d//e", "/made", "/made/", "/made/link/", "/made/file", "$A", "/$A/", "/d d", "/ünï/", "/loop/",
                "/file-link", "/d/.", "/d/./e", "/tmp/", "/dev/x", "/proc/x", "/etc/hosts", "/d/*", "/d/a.txt",
                "/d/sub", "\"/q\"", "/run/x/", "/made/link", "")
MODES = ("644", "0755", "4755", "01777", "7", "0", "u+x", "go-rwx", "a=rX", "u=rw,g=r,o=", "+x", "-w", "u+s", "g+s",
         "+t", "u=g", "go=u-w", "a+X", "=", "u+rwx,go=", "888", "99999", "rwx", "u+", "$M", "0o755", "+644", " 644",
         "-1", "a=", "ug+x,o-r", "u-x+r", "g=u", "a+st", "D644", "u+x,", ",u+x", "17777", "00644", "u+w,a-w,o+t")
OWNERS = ("1000", "1000:2000", "0:0", "root", "root:root", "nobody", "nobody:nobody", "alice", "alice:staff",
          "1:bobs", "gone", ":1", "1:", "alice:50", "77", "$A", "-1", "65536:70000", "4294967296", "bob", "root:gone",
          "1:2:3", ":", "daemon", "2147483647", "0x10", "+5", "01")
STEPS = ("mkdir -p /made/sub && echo $A > /made/file && ln -sfn sub /made/link", "echo \"$A|$B|$C\" > /out-$$",
         "id > /out-id", "pwd > /out-pwd", "rm -rf /made", "mv /made /moved", "chmod 700 /made", "chown -R 5:6 /made",
         "test -n \"$A\"", "touch /made/new", "true",
         "env -0 | tr '\\0' '\\n' | grep -v -e HOSTNAME= -e OTEL_ -e TRACEPARENT= | sort > /out-env",
         "umask > /out-umask", "ln -s /nowhere /dangling2",
         "ls -lnR /m /m/n /m2 /m3 /m4 /made /run/secrets "
         "| sed 's/ [A-Z][a-z][a-z] .*:[0-9][0-9] / /; /^total/d' > /out-ls-m",
         "find /m /m2 /m3 -type f | sort > /out-find-m", "cat /run/secrets/* > /out-secret",
         "mount | grep -E ' /(m|made|abs|rel|real)' | sed 's/.* on //; s/ type.*(r/ (r/; s/,.*//' | sort > /out-mounts",
         "echo x > /m/new", "rmdir /m", "mkdir /made && touch /made/sub", "rm -f /etc/passwd", "echo hi > out-rel",
         "mkdir -p /d/e && echo x > /d/e/f", "ln -f /made/file /made/hard", "cat a.txt > /out-a", "rm -rf /d",
         "mkdir -m 2775 /made", ": $A", "mkdir -p /tmp/x && chmod 1777 /tmp", "ls -a / > /out-ls",
         "find /m* > /out-find", "cp -a /bin/true /made || true", "echo a \\\\b '\\n' \"c\\\"\" > /out-q",
         "echo a; false; echo b", "rm -rf /etc && ln -s /d /etc", "mkfifo /made-p",
         "printf '%s' \"$0\" \"$@\" > /out-args")
PORTS = ("80", "80/tcp", "443/UDP", "8000-8003", "8000-8001/udp", "$P", "53/sctp", "0", "65535", "65536", "1-", "-1",
         "http", "80:80", "127.0.0.1:80:81", "80/", "/tcp", "80-79", "080", "80/tcp/udp", "8080:80/udp", "1:2:3",
         "[::1]:80:80", "8000-8002:9000-9002", "+80", "1e3")
DURATIONS = ("1s", "500ms", "1m30s", "0", "0s", "1h", "1.5s", "10", "-1s", "1us", "abc", "", "1d", "1ms", ".5s",
             "1s1s", "+2s", "1µs", "2h45m")
PLATFORMS = ("linux/amd64", "linux/arm64", "$BUILDPLATFORM", "$TARGETPLATFORM", "${BUILDPLATFORM}", "linux", "amd64",
             "LINUX/AMD64", "bad/", "", "linux/x86_64", "local", "linux/arm/v7", "windows/amd64", "linux/amd64/v2",
             "$NOPE")
INSTRUCTIONS = ("FROM RUN COPY ADD ENV ARG LABEL WORKDIR USER VOLUME EXPOSE CMD ENTRYPOINT SHELL STOPSIGNAL HEALTHCHECK "
                "ONBUILD MAINTAINER").split()


class _Maker:
    """Makes one Dockerfile."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seed = seed
        self.stages = []
        # Most Dockerfiles are sane, some have a few odd words, and a few little else.
        self.oddity = self.random.choice((0, 0, 0, 0.005, 0.01, 0.03, 0.1))
        # What they are about: a little of everything, or more of one kind of instruction.
        self.theme = self.random.choice(("everything", "everything", "words", "copies", "mounts"))
        if self.theme == "words":
            self.oddity = self.random.choice((0.05, 0.1, 0.2, 0.3))

    def one(self, *choices):
        return self.random.choice(choices)

    def chance(self, probability):
        return self.random.random() < probability

    def odd(self):
        return self.chance(self.oddity)

    def sane(self, choices, count):
        """One of the first `count`, which are right everywhere, or with luck any."""
        return self.random.choice(choices if self.odd() else choices[:count])

    def part(self):
        if self.odd():
            return self.random.choice(ODD)
        if self.chance(0.25):
            expansions = EXPANSIONS if self.chance(0.3) else EXPANSIONS[:12]
            return self.random.choice(expansions) % self.random.choice(VARIABLES)
        return self.random.choice(PLAIN)

    def word(self):
        word = "".join(self.part() for _ in range(self.one(1, 1, 1, 2, 2, 3)))
        return self.one('"%s"', "'%s'") % word if self.chance(0.12) else word

    def words(self, low=1, high=3):
        return " ".join(self.word() for _ in range(self.random.randint(low, high)))

    def mode(self):
        """Some --chmod."""
        if self.chance(0.5):
            return self.sane(MODES, 18)
        clause = lambda: "".join(self.one("", "", *"ugoa") for _ in range(2)) + "".join(
            self.one(*"+-=") + "".join(self.one("", *"rwxXstugo") for _ in range(3)) for _ in range(self.one(1, 1, 2)))
        return ",".join(clause() for _ in range(self.one(1, 1, 2)))

    def name(self):
        return self.word() if self.odd() else self.one(*VARIABLES[:4], "M", "P", "a", "Very_Long1")

    def pair(self):
        return f"{self.name()}={'' if self.chance(0.06) else self.word()}"

    def json(self, *words):
        text = "[" + self.one(",", ", ", " , ").join(
            '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
        if self.odd():
            text = self.one(text[:-1], text.replace('"', "'"), text + " x", text[1:], text.replace(",", ",,"),
                            text[:-1] + ",]", " " + text,
                            text.replace('"', "", 1), text + "\\", "[1]", "[null]", '{"a":1}', "[]", '[""]', "[ ]",
                            text.replace("a", "\\u0061"))
        return text

    def command(self):
        if self.chance(0.4):
            return self.json(*(self.one("/bin/sh", "-c", "echo", "$A", "a b", "é", "x\\y", "q\"")
                               for _ in range(self.random.randint(1, 4))))
        return self.words(1, 4)

    # Instructions

    def run(self):
        flags = [self.mount()
                 for _ in range(self.one(0, 0, 0, 0, 1, 1, 2) if self.theme != "mounts" else self.one(1, 2, 3))]
        if self.chance(0.06):
            flags.append("--network=" + self.sane(("none", "default", "host", "", "x", "$A"), 2))
        if self.odd():
            flags.append(self.one("--security=sandbox", "--security=x", "--mount", "--mount=", "--x=1", "--",
                                  "--network", "--device=x", "--mount=type=bind"))
        step = self.random.choice(STEPS)
        step = self.one("exit 3", "false", "nope") if self.odd() else f"{step} || true"
        if self.chance(0.15):
            body = self.json("/bin/sh", "-c", step)
        elif self.chance(0.15):
            return self.heredoc_run(" ".join(["RUN", *flags]), step)
        else:
            body = step if self.chance(0.85) else f"{step} && {self.words()}"
        return " ".join(["RUN", *flags, body])

    def heredoc_run(self, start, step):
        word = self.one("EOF", "E", "'EOF'", '"EOF"', "-EOF", "-'EOF'")
        bare = word.strip("-'\"")
        lines = [step, self.random.choice(STEPS), self.words()][:self.one(1, 2, 3)]
        if self.chance(0.2):
            lines.insert(0, self.one("#!/bin/sh", "#!/bin/sh -e", "#!/usr/bin/env sh", " #!/bin/sh", "#!/bin/cat"))
        if "-" in word:
            lines = ["\t" + line for line in lines]
        command = self.one("", "", "cat > /out-heredoc", "sh", "sh -e -s a b", "cat <<X >/out-two")
        end = bare if not self.odd() else self.one(bare + " ", " " + bare, "", "\t" + bare)
        between = self.one("", " ") if command else ""
        return "\n".join([f"{start} {command}{between}<<{word}", *lines, end]
                         + (["second", "X"] if "<<X" in command else []))

    def mount(self):
        kind = self.one("bind", "bind", "cache", "cache", "tmpfs", "secret", "ssh")
        options = [f"type={kind}"] if kind != "bind" or self.chance(0.7) else []
        target = self.one("target", "target", "dst", "destination", "TARGET" if self.odd() else "target")
        where = self.one("/m", "/m/n", "m", "/etc/x", "/made", "/tmp", "/abs/m", "/rel", "$A" if self.odd() else "/m2",
                         "" if self.odd() else "/m3", "/" if self.odd() else "/m4")
        if kind == "cache":
            options += [f"id=c{self.seed}{self.one('', '-a', '$A')}"]
        if kind not in ("secret", "ssh") or self.chance(0.5):
            options += [f"{target}={where}"]
        more = {"bind": ("source=dir", "src=a.txt", "rw", "ro", "readonly", "rw=false", "source=/",
                         "from=busybox,source=/bin", "readwrite", "source=../dir", "from=busybox", "from=$A",
                         "source=gone", "id=x", "size=1"),
                "cache": ("sharing=locked", "sharing=private", "sharing=shared", "mode=0700", "uid=5", "gid=6", "ro",
                          "mode=1777", "from=busybox,source=bin", "mode=755", "source=etc", "mode=9", "sharing=x",
                          "uid=x", "uid=$A", "size=9", "mode=755"),
                "tmpfs": ("size=65536", "size=1m", "size=10M", "size=1gb", "size=x", "size=-1", "ro", "mode=700",
                          "size=1gb", "size=1.5m", "size=0"),
                "secret": (f"id=s{self.seed}", "required=false", "mode=0644", "uid=5", "env=S", "required",
                           "required=x", "gid=a", "mode=0", "id=", "source=s", "env="),
                "ssh": ("id=default", "mode=0666", "uid=4", "required=false", "required", "id=x", "gid=4",
                        "required=true")}[kind]
        for _ in range(self.one(0, 1, 1, 2, 3)):
            options.append(self.sane(more, max(3, len(more) // 2)))
        if kind == "secret" and not self.odd():
            options.append(f"id=s{self.seed}")
        if self.odd():
            options.append(self.one("x", "x=y", "", "=", "target", "type", '"a,b"', "type=bind", "source", "from="))
        if self.chance(0.3):
            self.random.shuffle(options)
        return "--mount=" + ",".join(options)

    def copy(self):
        add = self.chance(0.3)
        flags, sources = [], SOURCES
        if not add and self.chance(0.35):
            stage = self.one(*self.stages, "other", "odd", "merged", "0", "gone" if self.odd() else "users",
                             "$A" if self.odd() else "odd")
            flags.append(f"--from={stage}")
            sources = {"other": ("/opt/other", "/opt", "/opt/*", "/bin/true"), "odd": ODD_SOURCES,
                       "merged": MERGED_SOURCES,
                       "users": ("/etc/passwd", "/etc", "/home", "/home/alice")}.get(stage, STAGE_SOURCES)
            if not self.odd():
                sources = (*sources, *sources)  # all of them are there
        if self.chance(0.2):
            flags.append("--chown=" + self.sane(OWNERS, 7))
        if self.chance(0.2):
            flags.append("--chmod=" + self.mode())
        if self.chance(0.2):
            flags.append(self.one("--link", "--link", "--link=true", "--link=false",
                                  "--link=x" if self.odd() else "--link"))
        if not add and self.chance(0.15):
            flags.append(self.one("--parents", "--parents", "--parents=false"))
        if self.chance(0.15):
            flags += ["--exclude=" + self.one("*.txt", "sub", "**/three.txt", "dir", "*", "!a.txt", "dir/*", "./a.txt", "/dir",
                                              "[", "", "a*", "$A", "**", "d?r/*") for _ in range(self.one(1, 1, 2))]
        if add and self.chance(0.1):
            flags.append(self.one("--unpack", "--unpack=false", "--unpack=true", "--keep-git-dir",
                                  "--checksum=sha256:" + "0" * 64 if self.odd() else "--unpack"))
        if self.odd():
            flags.append(self.one("--x", "--chown", "--from", "--from=", "--chmod=", "--link=", "--parents",
                                  "--checksum=x", "--", "--exclude"))
        self.random.shuffle(flags)
        return self.paths("ADD" if add else "COPY", flags, sources)

    def paths(self, name, flags, sources):
        count = len(sources) // 2
        chosen = [self.sane(sources, count) for _ in range(self.one(1, 1, 1, 2, 3))]
        destination = self.sane(DESTINATIONS, 14)
        if len(chosen) > 1 and not destination.endswith("/") and not self.odd():
            destination += "/"
        if self.chance(0.12) and sources is SOURCES:
            return self.heredoc_copy(" ".join([name, *flags]), destination)
        if self.chance(0.15) or any(" " in path or not path for path in [*chosen, destination]):
            return " ".join([name, *flags, self.json(*chosen, destination)])
        return " ".join([name, *flags, *chosen, destination])

    def heredoc_copy(self, start, destination):
        first, second = self.one(("F", ""), ("'F'", ""), ("-F", ""), ("F", "G"), ("F", "-'G'"), ("F.txt", "a.txt"))
        lines = [f"{start} <<{first} "
                 + (f"<<{second} " if second[:1] in tuple("G-") else second + " " if second else "") + destination]
        lines += [self.one("", "\t", "  ") + self.words() for _ in range(self.one(0, 1, 2, 3))] + [first.strip("-'")]
        if second[:1] in tuple("G-"):
            lines += ["\tsecond $A", "\\$A \"q\" ${B:-x}", "G"]
        return "\n".join(lines)

    def env(self):
        if self.chance(0.12):
            return f"ENV {self.name()} {self.words()}"
        return "ENV " + " ".join(self.pair() for _ in range(self.one(1, 1, 2, 3)))

    def arg(self):
        return "ARG " + " ".join(self.one(self.name(), self.pair(), self.pair()) for _ in range(self.one(1, 1, 1, 2)))

    def label(self):
        if self.chance(0.1):
            return f"LABEL {self.word()} {self.words()}"
        return "LABEL " + " ".join(f"{self.one('l', 'a.b', self.word())}={self.word()}"
                                   for _ in range(self.one(1, 1, 2, 3)))

    def workdir(self):
        return "WORKDIR " + self.one("/w", "w", "/w/x y", "./w/", "..", "/", "/made/link/deep", "/abs/w", "$A", "/w/$A",
                                     "/etc/through/x", "\"/q\"", ".", self.word(), "/w//x/./y", "~",
                                     "C:\\w" if self.odd() else "/w")

    def user(self):
        return "USER " + (self.word() if self.odd() else self.sane(OWNERS, 6))

    def volume(self):
        return "VOLUME " + self.one("/v", "/v /w", self.json("/v"), self.json("/v", "/w x"), "$A", self.words(),
                                    self.json(self.word()))

    def expose(self):
        return "EXPOSE " + " ".join(self.sane(PORTS, 6) for _ in range(self.one(1, 1, 2, 3)))

    def cmd(self):
        return self.one("CMD ", "ENTRYPOINT ") + self.command()

    def shell(self):
        return "SHELL " + self.one(self.json("/bin/sh", "-c"), self.json("/bin/sh", "-ec"),
                                   self.json("/bin/sh", "-x", "-c"), self.json("sh", "-c"),
                                   "/bin/sh -c" if self.odd() else self.json("/bin/busybox", "sh", "-c"))

    def stopsignal(self):
        return "STOPSIGNAL " + self.one("SIGTERM", "9", "KILL", "sigint", "SIGRTMIN+3", "$A" if self.odd() else "HUP",
                                        "0" if self.odd() else "15", "SIGX" if self.odd() else "TERM",
                                        "65" if self.odd() else "64")

    def healthcheck(self):
        if self.chance(0.15):
            return "HEALTHCHECK " + self.one("NONE", "none", "NONE x" if self.odd() else "NONE",
                                             "x" if self.odd() else "None")
        flags = [f"--{flag}=" + self.sane(DURATIONS, 6)
                 for flag in ("interval", "timeout", "start-period", "start-interval") if self.chance(0.3)]
        if self.chance(0.3):
            flags.append("--retries=" + self.one("3", "0", "-1" if self.odd() else "1", "x" if self.odd() else "2",
                                                 "" if self.odd() else "5", "+3" if self.odd() else "07"))
        return " ".join(["HEALTHCHECK", *flags, self.one("CMD", "cmd", "CMD"), self.command()])

    def onbuild(self):
        return "ONBUILD " + self.one(self.run, self.env, self.copy, self.workdir, self.user, self.label, self.arg,
                                     self.cmd, self.healthcheck)()

    def maintainer(self):
        return "MAINTAINER " + self.words()

    def nonsense(self):
        return self.one(self.words(), "RUNN x", "FORM busybox", "#", "", "ENV", "COPY", "# comment", "#comment $A \\",
                        "<<E", "\\", "RUN", "LABEL", "CMD", "ONBUILD", "ARG", "FROM", "Run  true",
                        "# escape=`", "# check=skip=all", "ENTRYPOINT []", "CMD []", "VOLUME []", "RUN []", "SHELL []",
                        "STOPSIGNAL", "USER", "WORKDIR", "EXPOSE", "INCLUDE x", "HEALTHCHECK", "MAINTAINER")

    def instruction(self):
        makers = {self.run: 14, self.copy: 16, self.env: 9, self.arg: 8, self.label: 5, self.workdir: 6, self.user: 3,
                  self.volume: 2, self.expose: 2, self.cmd: 5, self.shell: 1, self.stopsignal: 1, self.healthcheck: 2,
                  self.onbuild: 2, self.maintainer: 0.5, self.nonsense: self.oddity * 8}
        more = {"words": (self.env, self.arg, self.label, self.cmd, self.expose, self.volume, self.workdir, self.user,
                          self.healthcheck, self.stopsignal, self.shell, self.onbuild),
                "copies": (self.copy,), "mounts": (self.run,)}.get(self.theme)
        if more and (self.theme == "words" or self.chance(0.7)):
            return self.random.choice(more)()
        return self.random.choices(list(makers), makers.values())[0]()

    def stage(self, number):
        flag = f"--platform={self.sane(PLATFORMS, 5)} " if self.chance(0.06) else ""
        base = self.one(*BASES, *self.stages, *self.stages, "$BASE", self.word() if self.odd() else "busybox")
        line = f"FROM {flag}{base}"
        if self.chance(0.6):
            name = f"s{number}" if not self.odd() else self.one("S0", "1a", "a b", "", "s0", "-x", "scratch", "context",
                                                                "a/b", "other", "a.b", "é")
            line += f" {self.one('AS', 'as', 'As')} {name}"
            self.stages.append(name if name and self.chance(0.95) else f"s{number}")
        if self.theme == "words":
            return [f"FROM scratch AS s{number}", *(self.instruction() for _ in range(self.one(1, 2, 3)))]
        first = ["RUN " + STEPS[0] + " || true"] if base not in ("scratch", "$BASE") and self.chance(0.5) else []
        return [line, *first, *(self.instruction() for _ in range(self.random.choice((0, 1, 2, 3, 3, 4, 5, 6, 8))))]

    # Layout

    def broken(self, line):
        """Cuts an instruction into continued lines."""
        if "<<" in line or "\n" in line or not self.chance(0.15):
            return line
        words = line.split(" ")
        out = words[0]
        for word in words[1:]:
            out += self.one(" ", " ", " ", "  ", "\t", " \\\n", " \\\n  ", "\\\n ", " \\ \n", " \\\n# comment\n ",
                            " \\\n\n ", " \\\n  # comment \\\n", "\\\n" if self.odd() else " ") + word
        return out

    def decorated(self, line):
        if self.chance(0.1):
            first, space, rest = line.partition(" ")
            line = self.one(first.lower(), first.capitalize()) + space + rest
        if self.chance(0.05):
            line = self.one(" ", "\t", "   ") + line
        if self.chance(0.05) and "<<" not in line:
            line += self.one(" ", "\t", "  ", " #" if self.odd() else "", " # comment" if self.odd() else "")
        return self.broken(line)

    def text(self):
        lines = []
        if self.chance(0.15):
            lines.append(self.one("# escape=\\", "# syntax=docker/dockerfile:1", "#check=skip=all",
                                  "# Escape = `" if self.odd() else "# comment", "#escape=x" if self.odd() else "#",
                                  ""))
        lines += [self.broken(self.arg()) for _ in range(self.one(0, 0, 1, 2))] + ["ARG BASE=busybox"]
        for number in range(self.one(1, 1, 1, 2, 2, 3)):
            lines += map(self.decorated, self.stage(number))
            if self.chance(0.2):
                lines.append(self.one("", "# comment", "  # comment"))
        text = "\n".join(lines) + self.one("\n", "\n", "\n", "", "\n\n", " \\" if self.odd() else "\n")
        if self.chance(0.04):
            text = text.replace("\n", "\r\n")
        return ("\ufeff" if self.chance(0.02) else "") + text


def _made(seed):
    maker = _Maker(seed)
    case = cases.Case(f"random/{seed}", maker.text().encode("utf-8", "surrogatepass"), context="everything")
    if maker.chance(0.3):
        case.args = {maker.one(*VARIABLES[:4]): maker.one("given", "", "a b", "one")}
    if maker.chance(0.1) and maker.stages:
        case.target = maker.random.choice(maker.stages)
    case.secret = {f"s{seed}": "secret\n"} if maker.chance(0.5) else {}
    if maker.chance(0.1):
        rules = SOURCES[:40] + ("!dir", "!a.txt", "**/*.txt", "# x", "dir/s*", "!dir/sub/deep")
        lines = [maker.random.choice(rules) for _ in range(maker.one(1, 2, 3))]
        case.file = {".dockerignore": "\n".join(lines)}
    return case


def _line_changes(lines, rng):
    """Changes whole lines."""
    here = rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[here]
    elif kind == 1:
        lines.insert(rng.randrange(len(lines)), lines[here])
    elif kind == 2:
        there = rng.randrange(len(lines))
        lines[here], lines[there] = lines[there], lines[here]
    elif kind == 3:
        lines[here] += rng.choice((" \\", "\\", " ", "\r", " # x", "\t", "\\\n", " <<EOF", "\"", "'"))
    else:
        first, space, rest = lines[here].partition(" ")
        lines[here] = rng.choice(INSTRUCTIONS) + space + rest


def _word_changes(lines, rng):
    """Changes something within a line."""
    here = rng.randrange(len(lines))
    line = lines[here]
    start = line.find(" ") + 1 if rng.random() < 0.9 else 0  # unknown instructions are not that interesting
    at = rng.randrange(start, len(line) + 1)
    kind = rng.randrange(5)
    if kind == 0:
        line = line[:at] + line[at + 1:]
    elif kind == 1:
        line = line[:at] + rng.choice(ODD) + line[at:]
    elif kind == 2:
        line = line[:at] + rng.choice("\"'\\$ {}[]#=:,/*-<\n\t") + line[at:]
    else:
        words = line.split(" ")
        number = rng.randrange(min(1, len(words) - 1), len(words))
        if kind == 3:
            words.insert(number, rng.choice(words))
        else:
            words[number] = rng.choice(ODD + PLAIN + SOURCES + MODES)
        line = " ".join(words)
    lines[here] = line


def _changed(seed, originals):
    """A case of cases/ with a few changes."""
    rng = random.Random(seed)
    case = rng.choice(originals)()
    lines = [line for line in case.text.decode("utf-8", "surrogateescape").split("\n") if not line.startswith("#:")]
    for _ in range(rng.choice((1, 1, 2, 3))):
        if lines:
            rng.choice((_line_changes, _word_changes, _word_changes))(lines, rng)
    case.context = case.context or (case.topic if hasattr(contexts, case.topic) else "")
    case.name, case.fails, case.line, case.differs = f"random/{seed}", None, None, {}
    case.text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return case


def _can_change(path):
    """Not what differs anyhow, and not what has no end when a part of it is missing."""
    text = path.read_text("utf-8", "surrogateescape")
    if path.parent.name in ("runenv", "call", "remote") or "#: differs" in text:
        return False
    return not re.search(r"sleep|yes |while|/dev/zero|debian|\{http\}", text)


def random_cases(first, count):
    """The cases of `count` seeds from `first` on."""
    originals = [lambda path=path: cases.read_case(path)
                 for path in sorted(cases.CASES.glob("*/*.Dockerfile")) if _can_change(path)]
    return [_made(seed) if seed % 3 else _changed(seed, originals) for seed in range(first, first + count)]


# What docs/DOCKERFILE.md says that lade does in another way, as it shows in the images of random cases.
MEANT = (
    r"layer/\d+/",  # a copy's layer holds what was copied, also where that is there already
    r"tree/\S* xattrs: ",  # are kept
    r"tree/\S* links: ",  # a link that a step makes to an earlier layer's file stays one
    r"config.history: lade \"\(none\)\", buildkit null",  # of an image of which nothing happened
)

# What BuildKit fails on by mistake: see README.md.
MISTAKES = re.compile(r'error: failed to solve: (.*: "/": not found|.*open /\S+: no such file or directory)$', re.M)


def meant(difference):
    return any(re.match(pattern, difference) for pattern in MEANT)
