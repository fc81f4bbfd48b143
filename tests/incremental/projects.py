"""Random projects: the files of a context, and a Dockerfile whose steps say what they see.

Steps must see nothing but what they are meant to: neither times nor the machine's name, and of cache mounts only what
every builder finds there. `look` is a program of the base images (building.LOOK) that lists files with modes, owners,
link counts, which of them are one file, and contents.
"""

import random

from case import Dockerfile, Shell

FILES = ("a", "b", "d/a", "d/b", "d/s/c", "d/s/t/e", "e/x", "e/y", "run.sh", "with space", "d/.hidden", "d/é")
DIRECTORIES = ("d", "d/s", "d/s/t", "e", "empty")
MODES = ("644", "600", "755", "700", "4755", "2755", "666", "444", "0")
DIRECTORY_MODES = ("755", "700", "1777", "2755", "711", "750")
OWNERS = ("0:0", "1000:1000", "12:34", "0:50")
USERS = ("me", "1000", "12:34", "root", "other")
CHOWNS = ("me", "1000:50", "12", "root:other", "0:0")
CHMODS = ("755", "600", "4755", "u+x", "go-rwx", "a=rX")
TEXTS = ("one\n", "two\n", "six\n", "a longer text\n", "", "#!/bin/sh\necho ran\n", "x" * 5000 + "\n")
WEB_DIGEST = "4ded89b3f9f03689b7032b92a091e742e1205e2a54277e52b32498d9fcdf3642"
SOURCES = ("a", "b", "d", "d/", "d/s", "e", "d/*", "*", ".", "d/a", "d/s/c", "h*", "link", "run.sh", "empty", "d/l",
           "many", "*.tar", "e/*", "./d/./s", "todir/", "d/s*")
DESTINATIONS = ("/o/", "/o2/", "/d/", "/w/x/", "/o/d/", "/new/deep/", "./")
STAGE_SOURCES = ("/o", "/o/", "/made", "/d", "/etc/passwd", "/made/sub", "/", "/o/*", "/look1", "/w")
# user::rw-, user 1000:rwx, group::r--, mask::rwx, other::r--
ACL = "0x0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000400ffffffff"
IGNORED = ("", "**/t", "e/*", "d/s", "!f.log", "many/1*", "'d/s' '!d/s/t'", "'*' '!d' '!e' 'd/a'", "'**/a' '!d/a'")
TRIGGERS = ("COPY a /onbuild/", "RUN look /o > /onbuild-look; true", "WORKDIR /o", "ENV A=onbuild", "ADD d /onbuild/",
            "RUN --mount=target=/m look /m > /onbuild-look")
ENCODINGS = {"x.tar": "c", "x.tar.gz": "cz", "x.tar.xz": "cJ"}


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def write(path, text):
    """Shell that writes a file of the context anew: another inode."""
    return f"rm -rf $C/{quoted(path)}; printf %s {quoted(text)} > $C/{quoted(path)}"


def files(rng):
    """Shell that makes a context."""
    lines = [f"mkdir -p $C/{path}" for path in DIRECTORIES]
    for path in FILES:
        if rng.random() < 0.8:
            lines.append(write(path, rng.choice(TEXTS)))
            if rng.random() < 0.3:
                lines.append(f"chmod {rng.choice(MODES)} $C/{quoted(path)}")
            if rng.random() < 0.2:
                lines.append(f"chown {rng.choice(OWNERS)} $C/{quoted(path)}")
            if rng.random() < 0.15:
                lines.append(f"setfattr -n user.x -v {rng.randrange(3)} $C/{quoted(path)}")
    lines += [f"chmod {rng.choice(DIRECTORY_MODES)} $C/{path}" for path in DIRECTORIES if rng.random() < 0.2]
    lines.append("ln -s a $C/link; ln -s ../a $C/d/l; ln -s nowhere $C/e/lost; ln -s d $C/todir")
    if rng.random() < 0.6:
        lines.append("echo hard > $C/h1; ln $C/h1 $C/h2; ln $C/h1 $C/d/h3; echo hard > $C/h4")
    if rng.random() < 0.4:
        lines.append(f"mkdir -p $C/many; for i in $(seq {rng.choice((3, 20, 60))}); do echo $i > $C/many/$i; done")
    lines.append("mkfifo $C/e/fifo; echo odd > \"$C/e/$(printf 'o\\377d')\"")
    if rng.random() < 0.2:
        lines.append("mknod $C/e/null c 1 3; mknod $C/e/loop b 7 0; truncate -s 70000 $C/e/sparse; : > $C/e/zero")
    if rng.random() < 0.2:
        lines.append(f"setfattr -n system.posix_acl_access -v {ACL} $C/d/a; setfattr -n trusted.x -v 1 $C/d/b")
    for name, flags in ENCODINGS.items():
        if rng.random() < 0.5:
            lines.append(f"tar -C $C --sort=name --mtime=@1700000000 -{flags}f $C/{name} d e/x")
    lines.append("mkdir $C/ignored; echo 1 > $C/ignored/f; echo 1 > $C/f.log")
    lines.append(f"printf '%s\\n' ignored '*.log' {rng.choice(IGNORED)} > $C/.dockerignore")
    lines.append("mkdir -p other/sub; echo o > other/o; echo p > other/sub/p; ln other/o other/o2")
    lines.append("echo web > www/f; tar -C other --mtime=@1700000000 --sort=name -cf www/f.tar .; chmod 600 www/f")
    lines.append("git init -q -b main repo; echo g > repo/g; echo x > repo/x; chmod +x repo/x; $COMMIT")
    return Shell("\n".join(lines))


class Writer:
    """Writes instructions; each is a list of random choices made anew."""

    def __init__(self, rng):
        self.rng = rng
        self.next = 1
        self.looks = 0

    def number(self, text):
        self.next += 1
        return (self.next - 1, text)

    def maybe(self, probability, text):
        return text if self.rng.random() < probability else ""

    def look(self, *paths):
        """A command that leaves what it sees in the image."""
        self.looks += 1
        return f"look {' '.join(paths)} > /look{self.looks} 2>&1"

    def copy_flags(self, from_="", exclude=True):
        rng = self.rng
        flags = from_
        flags += self.maybe(0.2, f"--chown={rng.choice(CHOWNS)} ")
        flags += self.maybe(0.2, f"--chmod={rng.choice(CHMODS)} ")
        flags += self.maybe(0.25, "--link ")
        flags += self.maybe(0.15, "--parents ")
        if exclude:
            flags += self.maybe(0.15, f"--exclude={rng.choice(('a', '**/c', 'd/*', '*.sh', 'many/2*'))} ")
        if "--link" in flags and "me" in flags:
            flags = flags.replace("--link ", "")
        return flags

    def copy(self, stages):
        rng = self.rng
        sources = " ".join(rng.sample(SOURCES, rng.choice((1, 1, 1, 2))))
        return f"COPY {self.copy_flags()}{sources} {rng.choice(DESTINATIONS)}"

    def copy_from(self, stages):
        rng = self.rng
        source = rng.choice(list(stages) * 3 + ["other", "base"])
        path = rng.choice(("/o", "/sub/p", "/", "/sub/") if source == "other" else STAGE_SOURCES)
        if source == "base":
            path = rng.choice(("/etc", "/etc/", "/data", "/data/*"))
        return f"COPY {self.copy_flags(f'--from={source} ')}{path} {rng.choice(DESTINATIONS[:-1])}"

    def add(self, stages):
        rng = self.rng
        source = rng.choice((*ENCODINGS, "@URL@/f", "@URL@/f.tar", "@URL@/git/repo.git", "@URL@/git/repo.git#main"))
        flags = self.maybe(0.2, f"--chown={rng.choice(('1000:50', '12'))} ") + self.maybe(0.2, "--link ")
        if "git" not in source and "URL" in source:
            flags += self.maybe(0.2, "--unpack=true ") + self.maybe(0.2, "--chmod=711 ")
        elif "git" in source and rng.random() < 0.2:
            return f"ADD --keep-git-dir=true {flags}{source} /kept-git/"
        else:
            flags += self.maybe(0.2, "--unpack=false ")
        if source == "@URL@/f":
            flags += self.maybe(0.2, f"--checksum=sha256:{WEB_DIGEST} ")
        return f"ADD {flags}{source} {rng.choice(DESTINATIONS[:-1])}"

    def heredoc(self, stages):
        rng = self.rng
        text = rng.choice(TEXTS[:4])
        if rng.random() < 0.5:
            return f"COPY {self.copy_flags(exclude=False).replace('--parents ', '')}<<one <<two /here/\n{text}one\n2\ntwo"
        return f"RUN <<end\nset -e\nmkdir -p /made\nprintf %s '{text}' > /made/here\n{self.look('/made')}\nend"

    def change(self, stages):
        command = self.rng.choice((
            "mkdir -p /made/sub && echo 1 > /made/f && echo 2 > /made/sub/g",
            "mkdir -p /made && echo hard > /made/h1 && ln -f /made/h1 /made/h2",
            # Of a time of its own: busybox's cp keeps seconds, and two steps of one second make nothing new.
            "mkdir -p /made && echo hard > /made/h1 && touch -d @1690000000 /made/h1 && cp -p /made/h1 /made/h2",
            "chmod -R g+w /o 2>/dev/null; chmod 700 /made 2>/dev/null; true",
            "chown -R 12:34 /o/* 2>/dev/null; true",
            "rm -rf /o/d /d/a /made/f; true",
            "mv /o /moved 2>/dev/null; true",
            "mkdir -p /o; for f in /o/*; do test -f \"$f\" && echo more >> \"$f\"; done; true",
            "for d in /o /d /w; do find $d -type f -name a -exec ln {} {}.linked \\; ; done 2>/dev/null; true",
            "rm -rf /o; ln -s /d /o",
            "mkdir -p /o && mkdir -m 1777 /o/sticky; true",
            "mkfifo -m 600 /fifo; true",
            "sh /o/run.sh > /ran 2>&1; true",
            "echo $A > /arg",
            "env | grep -v HOSTNAME | sort > /env",
            "rm -rf /w; ln -s /d /w",
            "umask 027; mkdir -p /made/u; echo u > /made/u/f",
            "echo more:x:1000:1000::/:/bin/sh > /etc/passwd",
            "sed -i s/1000/1002/ /etc/passwd /etc/group",
            # What the machine gives to steps: BuildKit's differs.
            "{ ulimit -n; cat /etc/hosts; df -k /dev/shm | awk 'NR == 2 { print $2 }'; } > /machine",
            "truncate -s 100000 /sparse; printf x | dd of=/sparse bs=1 seek=50000 conv=notrunc 2>/dev/null",
            "mknod /null c 1 3; true",
        ))
        return f"RUN {self.maybe(0.1, '--network=none ')}{command}"

    def run_look(self, stages):
        return f"RUN {self.look(*self.rng.sample(('/o', '/o2', '/d', '/w', '/made', '/new', '/here', '/etc', '/links'), 3))}"

    def links(self, stages):
        self.looks += 1
        return f"RUN find / -xdev -type f -links +1 ! -path '/proc/*' | sort > /links{self.looks}"

    def mount(self, stages):
        """One --mount, and the command that uses it."""
        rng = self.rng
        kind = rng.choice(("context", "context", "stage", "stage", "stage", "other", "cache", "cache-from", "tmpfs",
                           "secret", "secret-env", "ssh"))
        stage = rng.choice(stages) if stages else "base"
        if kind == "context":
            source = rng.choice(("", ",source=d", ",source=a", ",source=d/s", ",source=e", ",source=todir", ",source=h1"))
            rw = self.maybe(0.3, ",rw")
            change = "; echo w > /m/new; rm -f /m/a; true; " + self.look("/m") if rw else ""
            return f"type=bind{source},target=/m{rw}", self.look("/m") + change
        if kind == "stage":
            source = rng.choice(("/o", "/made", "/d", "/", "/etc", "/data"))
            rw = self.maybe(0.3, ",rw")
            copy = self.maybe(0.4, "; mkdir -p /copied; cp -a /m /copied/ 2>/dev/null; true")
            path = "/m/data /m/o /m/made" if source == "/" else "/m"
            return f"from={stage},source={source},target=/m{rw}", self.look(path) + copy
        if kind == "other":
            return f"from=other{self.maybe(0.5, ',source=sub')},target=/m", self.look("/m")
        if kind == "cache":
            options = self.maybe(0.4, ",mode=" + rng.choice(("700", "1777"))) + self.maybe(0.3, ",uid=1000,gid=50")
            options += self.maybe(0.3, f",sharing={rng.choice(('locked', 'private'))}") + self.maybe(0.1, ",ro")
            return f"type=cache,id=plain,target=/c{options}", self.look("/c")
        if kind == "cache-from":
            source = rng.choice(("/data", "/etc", "/o", "/made"))
            return (f"type=cache,id=of{stage}{source.replace('/', '-')},from={stage},source={source},target=/c",
                    "echo kept > /c/kept; " + self.look("/c"))
        if kind == "tmpfs":
            return "type=tmpfs,target=/t" + self.maybe(0.3, ",size=1m"), "echo t > /t/t; " + self.look("/t")
        options = self.maybe(0.4, ",mode=0444") + self.maybe(0.4, ",uid=1000")
        if kind == "secret-env":
            return f"type=secret,id=s,env=SECRET{self.maybe(0.5, ',target=/run/s')}", "test -n \"$SECRET\" && ls /run > /secret"
        if kind == "ssh":
            return f"type=ssh{options}", "stat -c '%F %a %u %g' $SSH_AUTH_SOCK > /ssh"
        return f"type=secret,id=s{options},target=/run/s", "stat -c '%a %u %g %h' /run/s > /secret; cat /run/s | wc -c"

    def run_mount(self, stages):
        mounts = [self.mount(stages)]
        if self.rng.random() < 0.2:
            mounts.append((f"type=tmpfs,target=/also", "look /also"))
        flags = " ".join(f"--mount={mount}" for mount, _ in mounts)
        return f"RUN {flags} {'; '.join(command for _, command in mounts)}; true"

    def setting(self, stages):
        return self.rng.choice(("WORKDIR /w", "WORKDIR /w/x", "ENV A=1", "ENV A=2 B=3", "ARG A=4", "LABEL l=1",
                                "VOLUME /v", "WORKDIR sub", "STOPSIGNAL 9", "EXPOSE 80", "CMD look /o",
                                "ARG A\nARG B=5", "ARG B=5\nARG A", "ENV B=$A", "ENV PATH=/bin:/x", "LABEL l=2 m=$A",
                                'SHELL ["/bin/sh", "-ec"]', 'SHELL ["/bin/busybox", "sh", "-c"]', "HEALTHCHECK CMD true",
                                "HEALTHCHECK NONE", 'ENTRYPOINT ["look"]', "USER 0:50\nWORKDIR /u\nUSER root",
                                "ARG TARGETARCH\nARG BUILDPLATFORM\nRUN echo $TARGETARCH $BUILDPLATFORM > /arch"))

    def user(self, stages):
        return (f"USER {self.rng.choice(USERS)}\nRUN look /o /d > /tmp/look 2>&1; ls /o > /tmp/ls 2>&1; id >> /tmp/ls; true\n"
                "USER root")

    def instruction(self, stages):
        kinds = ((self.copy, 6), (self.copy_from, 4), (self.run_mount, 6), (self.change, 4), (self.run_look, 3),
                 (self.add, 2), (self.heredoc, 1), (self.setting, 2), (self.user, 1), (self.links, 1))
        kind = self.rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        return self.number(kind(stages))

    def dockerfile(self):
        rng = self.rng
        lines = [self.number("# syntax=docker/dockerfile:1"), self.number("ARG A=0")]
        stages = []
        for count in range(rng.choice((1, 2, 2, 3, 4))):
            base = rng.choice(["base"] * 3 + stages) if stages else "base"
            if rng.random() < 0.05:
                base = "scratch"
            lines.append(self.number(f"FROM {self.maybe(0.1, '--platform=$BUILDPLATFORM ')}{base} AS s{count}"))
            for _ in range(rng.choice((1, 2, 3, 4))):
                instruction = self.instruction(stages)
                if base == "scratch" and not instruction[1].startswith(("COPY", "ADD", "LABEL")):
                    continue
                lines.append(instruction)
            if base != "scratch" and rng.random() < 0.15:
                lines.append(self.number(f"ONBUILD {rng.choice(TRIGGERS)}"))
            # What comes last, in stages and in all, is listed for what the next step would see.
            if base != "scratch" and rng.random() < 0.4:
                lines.append(self.number(self.run_look(stages)))
            stages.append(f"s{count}")
        if rng.random() < 0.5 and "FROM scratch" not in lines[-1][1]:
            lines.append(self.number(self.copy_from(stages[:-1])))
        return Dockerfile(lines)


def make(rng: random.Random):
    """The first steps of a case: files and a Dockerfile; and the writer of more instructions."""
    writer = Writer(rng)
    return [files(rng), writer.dockerfile()], writer
