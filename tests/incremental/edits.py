"""Random edits of a project: of its files as they are at the moment, and of its Dockerfile."""

import os
import re

from case import Dockerfile, Shell
from projects import (ACL, CHMODS, CHOWNS, DIRECTORY_MODES, ENCODINGS, FILES, IGNORED, MODES, OWNERS, TEXTS, quoted, write)


def paths(context):
    """What a context has, but what makes it one."""
    found = []
    for directory, directories, names in os.walk(context):
        for name in directories + names:
            path = os.path.relpath(os.path.join(directory, name), context)
            if path not in ("Dockerfile", ".dockerignore") and not path.startswith("ignored"):
                found.append(path)
    return sorted(found)


class Edits:
    def __init__(self, rng, writer):
        self.rng, self.writer = rng, writer
        self.dockerfiles = []

    # ------------------------------------------------------------------------------------ files

    def content(self, path):
        return write(path, self.rng.choice(TEXTS)) if self.rng.random() < 0.5 else \
            f"test -p $C/{quoted(path)} || printf %s {quoted(self.rng.choice(TEXTS))} > $C/{quoted(path)}"

    def same_size_and_time(self, path):
        """What tools that restore times do, and editors that write in place."""
        at = f"$C/{quoted(path)}"
        return (f"if test -f {at}; then t=$(stat -c %y {at}); s=$(stat -c %s {at}); "
                f"head -c $s /dev/zero | tr '\\0' {self.rng.choice('pqr')} > {at}; touch -d \"$t\" {at}; fi")

    def other_type(self, path):
        at = f"$C/{quoted(path)}"
        return f"rm -rf {at}; " + self.rng.choice((
            f"echo file > {at}", f"mkdir {at}; echo in > {at}/in", f"ln -s a {at}", f"ln -s d {at}", f"mkfifo {at}",
            f"mkdir -m 700 {at}", f"mknod {at} c 1 5", f"mknod {at} b 7 1", f": > {at}", f"mknod {at} c 0 0",
            f"cd $(dirname {at}) && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'", "true"))

    def mode(self, path):
        modes = DIRECTORY_MODES if self.rng.random() < 0.5 else MODES
        return f"chmod {self.rng.choice(modes)} $C/{quoted(path)}"

    def owner(self, path):
        return f"chown -h {self.rng.choice(OWNERS)} $C/{quoted(path)}"

    def xattr(self, path):
        return self.rng.choice((f"setfattr -h -n user.x -v {self.rng.randrange(3)} $C/{quoted(path)}",
                                f"setfattr -h -x user.x $C/{quoted(path)}", f"setfattr -n trusted.x -v 1 $C/{quoted(path)}",
                                f"setfattr -n system.posix_acl_access -v {ACL} $C/{quoted(path)}",
                                f"setfattr -n system.posix_acl_default -v {ACL} $C/d",
                                f"setfattr -x system.posix_acl_access $C/{quoted(path)}"))

    def link(self, path):
        """A file becomes a link of another, or a copy."""
        return self.rng.choice((
            "if test -f $C/h1; then ln -f $C/h1 $C/h2; fi", "ln -f $C/h1 $C/h4",
            "cp -p $C/h1 $C/h.new; mv $C/h.new $C/h2", "cp -p $C/h1 $C/h.new; mv $C/h.new $C/d/h3",
            f"test -f $C/{quoted(path)} && ln -f $C/{quoted(path)} $C/d/linked", "ln -f $C/h4 $C/d/h3"))

    def symlink(self, path):
        return f"ln -sfn {self.rng.choice(('a', 'b', 'd', 'nowhere', '/lade-has-no/such', 'd/s'))} $C/{self.rng.choice(('link', 'd/l', 'todir'))}"

    def swap(self, path):
        other = quoted(self.rng.choice(FILES))
        return f"mv $C/{quoted(path)} $C/.swap; mv $C/{other} $C/{quoted(path)}; mv $C/.swap $C/{other}"

    def rename(self, path):
        return self.rng.choice((f"mv $C/{quoted(path)} $C/d/renamed", "mv $C/d/renamed $C/b", "mv $C/d $C/dd; mv $C/dd $C/d",
                                "mv $C/e $C/d/", "mv $C/d/e $C/", "mv $C/d/a $C/d/A", "mv $C/d/A $C/d/a",
                                "mv $C/d $C/dd; ln -s dd $C/d", "rm $C/d && mv $C/dd $C/d"))

    def remove(self, path):
        return f"rm -rf $C/{quoted(path)}"

    def many(self, path):
        return self.rng.choice(("for i in $(seq 1 3 60); do echo new >> $C/many/$i; done",
                                "mkdir -p $C/many; for i in $(seq 61 90); do echo $i > $C/many/$i; done", "rm -rf $C/many/2*"))

    def ignore(self, path):
        kind = self.rng.random()
        if kind < 0.2:
            return f"printf '%s\\n' ignored {self.rng.choice(IGNORED)} > Dockerfile.dockerignore"
        if kind < 0.4:
            return "rm -f Dockerfile.dockerignore"
        if kind < 0.6:
            return f"printf '%s\\n' ignored '*.log' {self.rng.choice(IGNORED)} > $C/.dockerignore"
        return f"printf '%s\\n' ignored '*.log' {quoted(self.rng.choice(('', 'd', 'd/*', '!d/a', '**/c', 'many', '!f.log', path)))} > $C/.dockerignore"

    def archive(self, path):
        name = self.rng.choice(list(ENCODINGS))
        return f"rm -f $C/{name}; tar -C $C --sort=name --mtime=@1700000000 -{ENCODINGS[name]}f $C/{name} d a"

    def back(self, path):
        """Keeps the files as they are, or takes the kept ones again."""
        return self.rng.choice(("rm -rf kept; cp -a $C kept", "test -d kept && find $C -mindepth 1 -delete && cp -a kept/. $C",
                                "test -d kept && find $C -mindepth 1 -delete && cp -r kept/. $C"))

    def odd(self, path):
        at = f"$C/{quoted(path)}"
        return self.rng.choice((
            f"chmod {self.rng.choice(DIRECTORY_MODES)} $C", f"chown {self.rng.choice(OWNERS)} $C", f"rm -rf {at}; mknod {at} c 1 3",
            f"setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 {at}", "setfattr -n user.root -v 1 $C",
            f"test -f {at} && ln {at} $C/ignored/outside", "ln -f $C/ignored/f $C/b", f"truncate -s 100000 {at}",
            f"head -c 70000 /dev/zero > {at}", "echo d > $C/d/.dockerignore", f"chmod {self.rng.randrange(0o10000):o} {at}",
            f"setfattr -n security.capability -v 0x010000030020000000000000000000000000000000000000 {at}",
            f"ln {at} $C/d/s/again", f"touch -d @1650000000.123456789 {at}", "ln $C/e/fifo $C/e/fifo2", "ln $C/d/l $C/d/l2",
            "mv $C/d $C/.x; mv $C/e $C/d; mv $C/.x $C/e", "rm -rf $C/d.new; cp -a $C/d $C/d.new; rm -rf $C/d; mv $C/d.new $C/d"))

    def elsewhere(self, path):
        return self.rng.choice((
            "echo $$ | wc -c >> www/f", "echo else > www/f", "printf 'web\\n' > www/f; touch -d @1650000000 www/f",
            "tar -C other --mtime=@1700000000 --sort=name -cf www/f.tar ./sub", "echo sub > other/.dockerignore", "chmod 711 other",
            "echo more >> repo/g; $COMMIT", "chmod 755 repo/g; $COMMIT", "rm -f repo/x; ln -s g repo/x; $COMMIT",
            "echo else > other/o", "chmod 700 other/sub", "ln -f other/o other/sub/p", "rm -f other/o2; cp other/o other/o2",
            "echo changed > secret"))

    def file_edit(self, context):
        kinds = (self.content, self.content, self.content, self.same_size_and_time, self.same_size_and_time,
                 self.other_type, self.mode, self.mode, self.owner, self.xattr, self.link, self.link, self.symlink,
                 self.swap, self.rename, self.remove, self.many, self.ignore, self.archive, self.elsewhere,
                 self.elsewhere, self.back, self.odd, self.odd)
        return Shell(self.rng.choice(kinds)(self.rng.choice(paths(context) or ["a"])))

    def neutral(self, context):
        """An edit that no key may contain."""
        present = [path for path in paths(context) if os.path.isfile(os.path.join(context, path))
                   and not os.path.islink(os.path.join(context, path))] or ["ignored/f"]
        at = f"$C/{quoted(self.rng.choice(present))}"
        return Shell(self.rng.choice((
            "echo more >> $C/ignored/f", "rm -rf $C/ignored; mkdir -m 700 $C/ignored; echo 2 > $C/ignored/g",
            f"touch {at}", f"touch -d @1710000000 {at}", f"mv {at} $C/ignored/.x; mv $C/ignored/.x {at}",
            f"m=$(stat -c %a {at}); chmod 777 {at}; chmod $m {at}",
            f"if test $(stat -c %h {at}) = 1; then cp -a {at} $C/ignored/x; mv $C/ignored/x {at}; fi",
            "touch $C $C/d", f"ln {at} $C/ignored/linked; rm -f $C/ignored/linked")), neutral=True)

    # ------------------------------------------------------------------------------- Dockerfiles

    def toggle(self, text):
        """Another set of flags for the same copy."""
        rng = self.rng
        flag = rng.choice(("--link", "--parents", f"--chmod={rng.choice(CHMODS)}", f"--chown={rng.choice(CHOWNS)}",
                           f"--exclude={rng.choice(('a', '**/c', '*.sh'))}"))
        name = flag.partition("=")[0]
        first = text.split("\n", 1)[0]
        if re.search(rf"{name}\b", first):
            return re.sub(rf" {name}(=\S+)?", "", text, count=1)
        return re.sub(r"^(COPY|ADD)", rf"\1 {flag}", text)

    def option(self, text):
        """Another option of a mount."""
        return self.rng.choice((
            lambda: text.replace(",rw", "", 1) if ",rw" in text else text.replace("target=/m", "target=/m,rw", 1),
            lambda: re.sub(r",mode=\d+", "", text) if ",mode" in text else text.replace("target=/c", "target=/c,mode=711"),
            lambda: re.sub(r"source=/\w*", "source=" + self.rng.choice(("/o", "/data", "/made")), text, count=1),
        ))()

    def earlier(self, dockerfile):
        """What was built before, and then changed."""
        return self.rng.choice([dockerfile, *self.dockerfiles])

    def dockerfile_edit(self, dockerfile):
        rng = self.rng
        self.dockerfiles.append(dockerfile)
        lines = list(dockerfile.lines)
        stages, positions = [], []
        for position, (_, text) in enumerate(lines):
            if text.startswith("FROM"):
                stages.append(text.split()[-1])
            elif stages:
                positions.append((position, stages[:-1]))
        if not positions:
            return dockerfile
        position, before = rng.choice(positions)
        number, text = lines[position]
        kind = rng.choice(("flags", "flags", "flags", "replace", "insert", "remove", "swap", "true", "base"))
        if kind == "flags" and text.startswith(("COPY", "ADD")):
            lines[position] = (number, self.toggle(text))
        elif kind == "flags" and "--mount" in text:
            lines[position] = (number, self.option(text))
        elif kind in ("replace", "flags"):
            lines[position] = self.writer.instruction(before)
        elif kind == "insert":
            lines.insert(position, self.writer.instruction(before))
        elif kind == "remove":
            del lines[position]
        elif kind == "swap" and position + 1 < len(lines) and not lines[position + 1][1].startswith("FROM"):
            lines[position], lines[position + 1] = lines[position + 1], lines[position]
        elif kind == "true" and text.startswith("RUN") and "<<" not in text:
            lines[position] = (number, text + " && true")
        elif kind == "base":
            at = rng.choice([at for at, (_, text) in enumerate(lines) if text.startswith("FROM")])
            name = lines[at][1].split()[-1]
            earlier = stages[:stages.index(name)]
            lines[at] = (lines[at][0], f"FROM {rng.choice(['base'] + earlier)} AS {name}")
        return Dockerfile(lines)
