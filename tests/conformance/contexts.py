"""Build contexts: functions that make a directory tree with all that git does not keep."""

import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tarfile
import zlib

from image import compress, make_tar, tar_info

TIME = 1577934245  # second of every file's mtime: 2020-01-02 03:04:05


class Tree:
    """A directory in the making; every method takes a path below it."""

    def __init__(self, root, seed=""):
        """`seed` makes the times' nanoseconds: BuildKit takes what has the same name, size and time in two cases'
        contexts for the same file."""
        self.time = TIME * 10**9 + zlib.crc32(seed.encode()) % 10**9
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)

    def _path(self, name):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def file(self, name, text="", mode=0o644, owner=None, xattrs=()):
        path = self._path(name)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if owner:
            os.chown(path, *owner)
        path.chmod(mode)
        for key, value in dict(xattrs).items():
            os.setxattr(path, key, value)

    def directory(self, name, mode=0o755, owner=None):
        path = self._path(name)
        path.mkdir(exist_ok=True)
        if owner:
            os.chown(path, *owner)
        path.chmod(mode)

    def symlink(self, name, target):
        os.symlink(target, self._path(name))

    def hardlink(self, name, target):
        os.link(self.root / target, self._path(name))

    def fifo(self, name, mode=0o644):
        os.mkfifo(self._path(name))
        (self.root / name).chmod(mode)

    def device(self, name, mode, major, minor):
        os.mknod(self._path(name), mode, os.makedev(major, minor))

    def socket(self, name, mode):
        # Bound by its name alone: a socket's whole path may have 107 bytes only.
        path = self._path(name)
        here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
        path.chmod(mode)

    def finish(self):
        """Gives every file one time, last the directories that the others were made in."""
        for directory, _, _ in os.walk(self.root, topdown=False):
            for name in [*os.listdir(directory), ""]:
                os.utime(os.path.join(directory, name), ns=(self.time, self.time), follow_symlinks=False)


def empty(tree):
    del tree


def copy(tree):
    """Plain files and directories, dot files, executables."""
    tree.file("a.txt", "a\n")
    tree.file("b.txt", "b\n")
    tree.file("c.md", "c\n")
    tree.file("script.sh", "#!/bin/sh\necho script\n", 0o755)
    tree.file("private", "private\n", 0o600, owner=(12, 34))
    tree.file(".hidden", "hidden\n")
    tree.file("dir/one", "one\n")
    tree.file("dir/two.txt", "two\n")
    tree.file("dir/.dot", "dot\n")
    tree.file("dir/sub/three.txt", "three\n")
    tree.file("dir/sub/deep/four", "four\n", 0o640)
    tree.directory("dir/void", 0o700)
    tree.directory("dir", 0o750, owner=(5, 6))
    tree.file("dir2/two.txt", "second two\n")
    tree.file("dir2/five", "five\n")
    tree.file("with space.txt", "space\n")
    tree.file("[bracket].txt", "bracket\n")
    tree.file("star*.txt", "star\n")
    tree.file("ünï.txt", "umlaut\n")


def links(tree):
    """Symlinks to files, directories, out of the context and to nowhere; hard links."""
    tree.file("real/file", "real file\n")
    tree.file("real/sub/inner", "inner\n", 0o600)
    tree.symlink("to-file", "real/file")
    tree.symlink("to-dir", "real")
    tree.symlink("to-sub", "to-dir/sub")
    tree.symlink("absolute", "/real/file")
    tree.symlink("outside", "../../../../etc/hostname")
    tree.symlink("dangling", "not/there")
    tree.symlink("loop", "loop")
    tree.symlink("tree/up", "../real/file")
    tree.symlink("tree/dir", "../real")
    tree.symlink("tree/dangling", "gone")
    tree.symlink("tree/absolute", "/etc/passwd")
    tree.file("tree/plain", "plain\n")
    tree.file("hard/one", "hard\n")
    tree.hardlink("hard/two", "hard/one")
    tree.hardlink("hard/sub-three", "hard/one")
    tree.file("hard/other", "hard\n")


def special(tree):
    """What only root can make, and modes that a umask would spoil."""
    tree.fifo("all/fifo", 0o620)
    tree.device("all/null", 0o666 | stat.S_IFCHR, 1, 3)
    tree.device("all/block", 0o640 | stat.S_IFBLK, 7, 200)
    tree.file("modes/setuid", "u\n", 0o4755)
    tree.file("modes/setgid", "g\n", 0o2755)
    tree.file("modes/sticky", "t\n", 0o1644)
    tree.file("modes/none", "n\n", 0o000)
    tree.file("modes/all", "a\n", 0o777)
    tree.file("modes/dir/f", "f\n", 0o666, owner=(33, 33))
    tree.directory("modes/dir", 0o2770, owner=(33, 44))
    tree.directory("modes/tmp", 0o1777)
    tree.file("xattrs/user", "x\n", xattrs={"user.note": b"hello"})
    tree.file("xattrs/capability", "x\n", 0o755, xattrs={
        "security.capability": bytes.fromhex("0100000200040000000000000000000000000000")})
    tree.socket("sockets/socket", 0o750)
    tree.file("empty", "")
    tree.file("big", bytes(range(256)) * 8192)
    tree.file("sparse", b"\0" * 1000000 + b"end")


def patterns(tree):
    """Names for wildcards and exclusions."""
    for name in ("a.go", "b.go", "a_test.go", "README.md", "docs/a.md", "docs/b.txt", "docs/deep/c.md",
                 "docs/deep/d.txt", "src/main.go", "src/x/y/z.go", "src/x/y/z.txt", "src/x/.keep", "build/out.o",
                 "build/keep.me", ".env", ".git/config", "node_modules/m/index.js", "src/node_modules/n/index.js", "x1",
                 "x2", "x10", "xa", "tmp/a", "tmp/b/c", "#odd", "!bang", "with space"):
        tree.file(name, f"{name}\n")
    tree.directory("docs/empty")


def _members():
    """Of the archives: every kind of file, owners, modes, a missing parent directory."""
    def content(name, **fields):
        return tar_info(name, size=0, **fields)

    return [tar_info("d", tarfile.DIRTYPE, mode=0o750, uid=11, gid=22), ("d/file", b"from an archive\n"),
            content("d/owned", mode=0o4711, uid=1000, gid=1001), tar_info("d/link", tarfile.SYMTYPE, linkname="file"),
            tar_info("d/hard", tarfile.LNKTYPE, linkname="d/file"), tar_info("d/fifo", tarfile.FIFOTYPE, mode=0o600),
            content("implied/parent/file", mode=0o644), tar_info("abs", tarfile.SYMTYPE, linkname="/etc")]


def _entry(kind):
    return lambda name, **fields: tar_info(name, kind, **fields)


_directory, _symlink, _hardlink = _entry(tarfile.DIRTYPE), _entry(tarfile.SYMTYPE), _entry(tarfile.LNKTYPE)


def _odd_archives():
    """Archives with what unpackers get wrong."""
    return {
        "up.tar": [("../escaped", b"e\n"), ("ok", b"o\n")],
        "absolute.tar": [("/rooted/file", b"r\n")],
        "dot.tar": [_directory("./", mode=0o700, uid=3), ("./in", b"i\n")],
        "twice.tar": [("f", b"first\n"), ("f", b"second\n")],
        "through.tar": [_symlink("l", linkname="etc"), ("l/through", b"t\n")],
        "whiteout.tar": [(".wh.gone", b""), ("dir/.wh..wh..opq", b""), ("dir/f", b"f\n")],
        "xattr.tar": [tar_info("x", pax_headers={"SCHILY.xattr.user.a": "b"})],
        "modes.tar": [_directory("locked", mode=0o500), ("locked/in", b"in\n"), tar_info("late/file", mode=0o600),
                      _directory("late", mode=0o2750, uid=70000, gid=80000), _directory("t", mode=0o1777)],
        "devices.tar": [tar_info("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
                        tar_info("loop", tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=7, devminor=9),
                        tar_info("p", tarfile.FIFOTYPE)],
        "names.tar": [("l" * 90 + "/" + "m" * 120, b"long\n"), ("ünï", b"u\n"), ("a b", b"s\n"),
                      _symlink("long-link", linkname="t" * 200), ("trailing/", b"")],
        "dots.tar": [("x/file", b"x\n"), ("./x/../y", b"y\n")],
        "links.tar": [("a", b"a\n"), _hardlink("b", linkname="./a"), _symlink("up", linkname="../../x")],
        "link-to-symlink.tar": [_symlink("s", linkname="b"), _hardlink("h", linkname="s")],
        "bad-link.tar": [_hardlink("h", linkname="not-there")],
        "times.tar": [tar_info("old", mtime=1), tar_info("new", mtime=4102444800), _directory("dir", mode=0o755),
                      tar_info("part", mtime=1234567890.75)],
        "types.tar": [("f", b"file\n"), _directory("f", mode=0o755), ("f/in", b"in\n"), _directory("d", mode=0o755),
                      ("d/x", b"x\n"), _symlink("s", linkname="d"), ("s", b"replaced\n")],
    }


def archives(tree):
    """One tar in every compression, and files that only look like one."""
    tar = make_tar(_members())
    for kind in ("tar", "gz", "bz2", "xz", "zst"):
        tree.file(f"a.{kind}", compress(tar, kind))
    tree.file("no-extension", compress(tar, "gz"))
    tree.file("fake.tar.gz", "not an archive\n")
    tree.file("single.gz", compress(b"just one compressed file\n", "gz"))
    tree.file("empty.tar", make_tar([]))
    tree.file("truncated.tar.gz", compress(tar, "gz")[:-40])
    tree.file("cut.tar", tar[:len(tar) // 2])
    tree.file("plain.txt", "plain\n")
    tree.file("many/one.tar", make_tar([("one", b"1\n")]))
    tree.file("many/two.tar.gz", compress(make_tar([("two", b"2\n")]), "gz"))
    tree.symlink("link.tar", "a.tar")
    for name, entries in _odd_archives().items():
        tree.file(name, make_tar(entries))
    tree.file("gzip.zip", b"PK\3\4" + bytes(100))


def formats(tree):
    """What GNU tar writes in its formats, sparse files among it; archives in several parts, with too much at their end
    or without one."""
    source = tree.root / "source"
    tree.file("source/sparse", "")
    with open(source / "sparse", "r+b") as file:
        for at in (4096 * 3, 1 << 20, (1 << 21) - 5):
            file.seek(at)
            file.write(b"data")
        file.truncate(3 << 20)
    long = "n" * 60 + "/" + "m" * 60
    tree.file(f"source/{long}", "long\n", 0o640, owner=(3000000, 4000000))
    tree.symlink("source/link", "t" * 150)
    tree.hardlink("source/hard", f"source/{long}")

    def archive(name, *options, files=(long, "link", "hard")):
        subprocess.run(["tar", "-C", source, "--mtime=@1577934245", *options, "-cf", tree.root / name, *files], check=True)

    for name in ("gnu", "oldgnu", "pax"):
        archive(f"{name}.tar", f"--format={name}")
    archive("sparse-gnu.tar", "--format=gnu", "--sparse", files=("sparse",))
    for version in ("0.0", "0.1", "1.0"):
        archive(f"sparse-{version}.tar", "--format=pax", "--sparse", f"--sparse-version={version}", files=("sparse",))
    archive("v7.tar", "--format=v7", "--owner=5", "--group=6", files=("sparse",))
    archive("ustar.tar", "--format=ustar", "--owner=7", "--group=8", files=("sparse",))
    archive("pax-times.tar", "--format=pax", "--pax-option=globexthdr.name=g,comment=hello,delete=atime,gname:=x")
    shutil.rmtree(source)

    tar = make_tar([("one", b"1\n" * 3000), ("two", b"2\n")])
    for kind in ("gz", "bz2", "xz", "zst"):
        tree.file(f"parts.{kind}", compress(tar[:1000], kind) + compress(tar[1000:], kind))
    tree.file("garbage.tar", tar + b"garbage" * 1000)
    tree.file("zeros.gz", compress(tar, "gz") + bytes(2000))
    tree.file("garbage.gz", compress(tar, "gz") + b"garbage")
    tree.file("endless.tar", tar.rstrip(b"\0") + bytes(-len(tar.rstrip(b"\0")) % 512))
    tree.file("two.tar", tar + make_tar([("three", b"3\n")]))


def ignored(tree):
    """Directories with a .dockerignore of their own, which count for nothing."""
    tree.file("sub/.dockerignore", "*\n")
    tree.file("sub/file", "f\n")
    tree.file("Sub/file", "F\n")
    tree.file("a/b/c/d", "d\n")
    tree.file("a/b/x.log", "x\n")
    tree.file("a/x.log", "x\n")
    tree.file("x.log", "x\n")
    tree.file("x.log.d/keep", "k\n")
    tree.file("bracket[1].txt", "b\n")
    tree.file("back\\slash", "b\n")
    tree.symlink("link", "a")
    tree.directory("void")


def everything(tree):
    """What random cases copy from: a little of all of the above."""
    for part in (copy, links, archives):
        part(tree)
    for name in ("loop", "dangling", "outside"):
        (tree.root / name).unlink()  # BuildKit fails on these wherever there are exclusions
    tree.file("hello.txt", "hello\n")
    tree.file("modes/setuid", "u\n", 0o4755)
    tree.file("modes/dir/f", "f\n", 0o666, owner=(33, 33))
    tree.directory("modes/dir", 0o2770, owner=(33, 44))


# Topics whose cases use another's files.
onbuild = expansion = heredoc = parents = stages = users = mounts = copy
copyflags = copy
exclude = ignore = patterns
add = archives
