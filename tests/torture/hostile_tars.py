"""Tars that want out, or want more than there is. Made by hand, since tarfile would not write most of them."""

import bz2
import gzip
import lzma
import random
import struct
import subprocess
import zlib

BLOCK = 512


def octal(value, size):
    return b"%0*o\0" % (size - 1, value)


def base256(value, size):
    return (value & ((1 << (8 * size)) - 1) | (0x80 << (8 * (size - 1)))).to_bytes(size, "big")


def header(name, kind=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, mtime=1400000000, prefix=b"", major=b"0000000\0",
           minor=b"0000000\0", magic=b"ustar\00000", raw_size=None, raw_mode=None, raw_uid=None, checksum=None):
    name, link = as_bytes(name), as_bytes(link)
    out = bytearray(BLOCK)
    out[0:100] = name[:100].ljust(100, b"\0")
    out[100:108] = raw_mode or octal(mode, 8)
    out[108:116] = raw_uid or octal(uid, 8)
    out[116:124] = octal(gid, 8)
    out[124:136] = raw_size or octal(size, 12)
    out[136:148] = octal(mtime, 12)
    out[156:157] = kind
    out[157:257] = link[:100].ljust(100, b"\0")
    out[257:265] = magic
    out[329:337], out[337:345] = major, minor
    out[345:345 + len(prefix)] = prefix
    return repaired(out) if checksum is None else bytes(out[:148] + checksum + out[156:])


def repaired(block):
    out = bytearray(block)
    out[148:156] = b" " * 8
    out[148:156] = b"%06o\0 " % sum(out)
    return bytes(out)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK)


def file(name, data=b"evil\n", **fields):
    data = as_bytes(data)
    return header(name, size=len(data), **fields) + padded(data)


def symlink(name, target):
    if len(as_bytes(target)) > 100:
        return pax(linkpath=target) + header(name, b"2", link=target)
    return header(name, b"2", link=target)


def hard(name, target):
    if len(as_bytes(target)) > 100:
        return pax(linkpath=target) + header(name, b"1", link=target)
    return header(name, b"1", link=target)


def directory(name, **fields):
    return header(name, b"5", mode=fields.pop("mode", 0o755), **fields)


def record(key, value):
    body = b" " + as_bytes(key) + b"=" + as_bytes(value) + b"\n"
    size = len(body)
    while len(b"%d" % size) + len(body) != size:
        size = len(b"%d" % size) + len(body)
    return b"%d" % size + body


def pax(kind=b"x", raw=None, **records):
    data = raw if raw is not None else b"".join(record(key.replace("__", "."), value) for key, value in records.items())
    return header("pax", kind, size=len(data)) + padded(data)


def named(name, data=b"evil\n"):
    """A file whose name is as long as may be."""
    return pax(path=name) + file("short", data)


def gnu_long(kind, text, claimed=None):
    data = as_bytes(text) + b"\0"
    raw = base256(claimed, 12) if claimed is not None else None
    return header("././@LongLink", kind, size=len(data), raw_size=raw, magic=b"ustar  \0") + padded(data)


def gnu_sparse(name, real, pieces, data=b""):
    """The old format: four pieces in the header."""
    fields = b"".join(octal(offset, 12) + octal(size, 12) if real < 8 << 30 else base256(offset, 12) + base256(size, 12)
                      for offset, size in pieces[:4]).ljust(96, b"\0")
    out = bytearray(header(name, b"S", size=len(data), magic=b"ustar  \0"))
    out[386:482] = fields
    out[483:495] = octal(real, 12) if real < 8 << 30 else base256(real, 12)
    return repaired(out) + padded(data)


END = b"\0" * 1024


def cases(outside):
    """(name, bytes): `outside` is the directory that they want to write to, which exists on this machine."""
    for name, tar in whole_cases(outside):
        yield name, tar + END
    yield from ends()


def whole_cases(outside):
    up = "../" * 40
    out = outside.lstrip("/")
    yield "parents", file(up + out + "/new") + file("a/b/" + up + out + "/new") + file("../new")
    yield "parents in the middle", directory("a") + file("a/../../../../../../../../../../../../" + out + "/new")
    yield "absolute", file("/" + out + "/new") + file("//" + out + "/new2") + file("/./" + out + "/new3")
    yield "through a link", symlink("l", outside) + file("l/new")
    yield "through a relative link", symlink("l", up + out) + file("l/new")
    yield "through links to links", symlink("a", "b") + symlink("b", "c") + symlink("c", outside) + file("a/new") + directory("a/d")
    yield "through a link to the root", symlink("l", "/") + file("l/" + out + "/new")
    yield "through a link to dot dot", directory("d") + symlink("d/l", "..") + b"".join(
        file("d/" + "l/.." * n + "/" + out + "/new") for n in range(1, 20))
    yield "a directory becomes a link", directory("d") + file("d/a") + symlink("d", outside) + file("d/new") + directory("d/x")
    yield "a file becomes a link and is written to", file("f") + symlink("f", outside + "/victim") + file("f", "overwritten")
    yield "a link is written to", symlink("f", outside + "/victim") + file("f", "overwritten")
    yield "a link gets a mode", symlink("f", outside + "/victim") + file("f", "", mode=0o777, uid=1234) + directory("f", mode=0o777, uid=1234)
    yield "a hard link out", hard("h", outside + "/victim") + file("h", "overwritten")
    yield "a hard link up", hard("h", up + out + "/victim") + file("h", "overwritten")
    yield "a hard link through a link", symlink("l", outside) + hard("h", "l/victim") + file("h", "overwritten")
    yield "a hard link to a link out", symlink("l", outside + "/victim") + hard("h", "l") + file("h", "overwritten")
    yield "a hard link to itself", hard("h", "h") + file("g") + hard("g", "g")
    yield "a hard link to what comes later", hard("h", "later") + file("later")
    yield "a hard link to a directory", directory("d") + hard("h", "d") + file("h/new")
    yield "hard links in a circle", hard("a", "b") + hard("b", "c") + hard("c", "a")
    yield "a whiteout of everything", file(".wh..wh..opq", "") + file(".wh.bin", "") + file("etc/.wh.passwd", "")
    yield "whiteouts of odd names", b"".join(file(name, "") for name in (
        ".wh.", ".wh..", ".wh...", ".wh../" + out, ".wh..wh.", ".wh..wh..wh..opq", "a/.wh..wh.plnk", ".wh./x", ".wh..wh.aufs"))
    yield "whiteouts that are not files", directory(".wh.d") + symlink(".wh.l", outside) + header(".wh.c", b"3") + file(".wh.d/x")
    yield "a whiteout out", file("../.wh." + out.split("/")[0], "") + file("/" + out + "/.wh.victim", "")
    yield "devices", (header("null", b"3", major=octal(1, 8), minor=octal(3, 8), mode=0o666) + header("disk", b"4", major=octal(7, 8)) +
                      header("zero", b"3") + header("fifo", b"6") + header("far", b"4", major=octal(0o7777777, 8)) + header("socket", b"s"))
    yield "a device becomes a file", header("n", b"3", major=octal(1, 8), minor=octal(3, 8)) + file("n") + header("n", b"6") + file("n", "x")
    yield "overlay's own attributes", (
        pax(SCHILY__xattr__trusted__overlay__opaque="y") + directory("d") + pax(SCHILY__xattr__user__overlay__redirect=outside) + file("f") +
        pax(SCHILY__xattr__trusted__overlay__redirect="/" + out) + directory("e") + pax(SCHILY__xattr__trusted__overlay__metacopy="") + file("g"))
    yield "attributes", b"".join(pax(raw=record("SCHILY.xattr." + name, value)) + file(f"f{number}") for number, (name, value) in enumerate((
        ("security.capability", b"\1\0\0\2" + b"\xff" * 16), ("security.capability", b"x"), ("user.big", b"x" * 70000),
        ("", b"x"), ("user." + "n" * 300, b"x"), ("system.posix_acl_access", b"\2\0\0\0junk"), ("no.such.space", b"x"))))
    yield "ten thousand attributes", pax(raw=b"".join(record(f"SCHILY.xattr.user.n{n}", b"x") for n in range(10000))) + file("f")
    yield "2,000 levels", b"".join(pax(path="d/" * depth) + directory("x") for depth in range(1, 1500, 50)) + named("d/" * 2000 + "f")
    yield "30,000 levels", named("d/" * 30000 + "f")
    yield "a name of 64 KB", named("n" * 65536)
    yield "a path of 64 KB", named("/".join(["n" * 250] * 260))
    yield "names of 255, 256 and 4096 bytes", named("n" * 255) + named("m" * 256) + named("o" * 4096)
    yield "a link to 64 KB", pax(linkpath="t" * 65536) + header("l", b"2") + pax(linkpath="t/" * 30000) + header("h", b"1")
    yield "no names", file("") + file(".") + file("/") + file("./") + file("./././") + directory("") + symlink("", "x") + file("..") + file("...")
    yield "odd names", (file(b"new\nline") + file(b"\xff\xfe") + file(b"\x1b[31mred") + file("slash/") + file("a//b///c") + file("a/./b/./c2") +
                        pax(raw=record("path", b"nul\0byte")) + file("x") + file(" ") + file("\\..\\..\\x") + file("C:\\x"))
    yield "a file, a directory, a link, a file", file("x") + directory("x") + file("x/y") + symlink("x", "y") + file("x/z") + file("x")
    yield "a directory over a link to a directory", directory("real") + symlink("d", "real") + directory("d") + file("d/f")
    yield "10,000 times the same name", b"".join(file("same", str(n)) for n in range(10000))
    yield "70,000 hard links", file("f") + b"".join(hard(f"l{n}", "f") for n in range(70000))
    yield "50,000 files", b"".join(file(f"d{n % 100}/f{n}", b"") for n in range(50000))
    for text, raw in (("8 EB", base256((1 << 63) - 1, 12)), ("more than 8 EB", base256(1 << 63, 12)), ("a negative size", base256(-1, 12)),
                      ("almost -8 EB", base256(-(1 << 63), 12)), ("8 GB", octal((8 << 30) - 1, 12)), ("junk as a size", b"9z9z9z9z9z9z"),
                      ("spaces as a size", b" " * 12), ("95 bits", b"\xff" * 12), ("-0", b"-00000000001")):
        yield f"{text} that are not there", header("f", raw_size=raw) + b"x" * 1000
        yield f"{text} of a directory", header("d", b"5", raw_size=raw) + file("after")
        yield f"{text} of a pax header", header("p", b"x", raw_size=raw) + b"x" * 1000
        yield f"{text} of a long name", header("L", b"L", raw_size=raw, magic=b"ustar  \0") + b"x" * 1000
    yield "sizes in pax", b"".join(pax(size=size) + file(f"f{number}") for number, size in enumerate((
        "-1", "99999999999999999999999", "9223372036854775807", "1e3", "", "0x10", " 5", "5")))
    yield "sparse of 8 EB", gnu_sparse("s", (1 << 63) - 1, [(0, 5), ((1 << 63) - 10, 0)], b"hello")
    yield "sparse that overlaps", gnu_sparse("s", 100, [(0, 50), (10, 50), (5, 5)], b"x" * 105)
    yield "sparse beyond its end", gnu_sparse("s", 10, [(0, 5), (1 << 40, 5)], b"x" * 10)
    yield "sparse with a wrong sum", gnu_sparse("s", 100, [(0, 512), (50, 1 << 30)], b"x" * 10)
    yield "sparse of a negative size", gnu_sparse("s", 8 << 30, [(-5, 10), (0, -10)], b"x" * 10)
    yield "sparse of 1 GB", gnu_sparse("s", 1 << 30, [(0, 5), ((1 << 30) - 5, 5)], b"x" * 10)
    yield "sparse in pax", (pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="s", GNU__sparse__realsize=str(1 << 62)) +
                            file("x", b"1000000\n0\n1\n" + b"5\n" * 300))
    yield "sparse in pax, out", (pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="/" + out + "/new", GNU__sparse__realsize="5") +
                                 file("x", padded(b"1\n0\n5\n") + b"hello"))
    yield "sparse in pax 0.1", pax(GNU__sparse__size=str(1 << 50), GNU__sparse__numblocks="3", GNU__sparse__map="0,5,-1,5," + "1," * 9999) + file("x")
    yield "pax of a path out", pax(path="../" * 30 + out + "/new") + file("x") + pax(path=outside + "/new") + file("y")
    yield "pax of a link out", pax(linkpath=outside + "/victim") + header("h", b"1", link="x") + file("h", "overwritten")
    yield "global pax", pax(b"g", path="same", linkpath=outside, size="3", uid="-1") + file("x") + file("y") + symlink("z", "q")
    for number, raw in enumerate((b"99999999 path=x\n", b"0 path=x\n", b"-5 path=x\n", b"5 a=b", b"path=x\n", b"\n" * 100, b"6 a=\xff\n",
                                  b"18446744073709551617 a=b\n", b"11 path=ab\n12 path=abc\n3 \n", b" " * 1000, b"10 pathx=\n", b"1" * 2000)):
        yield f"malformed pax {number}", pax(raw=raw) + file("f")
    yield "a pax header of 64 MB", pax(raw=record("comment", b"c" * (64 << 20))) + file("f")
    yield "a million pax records", pax(raw=b"".join(record(f"k{n}", b"v") for n in range(1000000))) + file("f")
    yield "20,000 pax headers in a row", b"".join(pax(path="p") for _ in range(20000)) + file("f")
    yield "20,000 long names in a row", b"".join(gnu_long(b"L", "p" * 600) for _ in range(20000)) + file("f")
    yield "a long name out", gnu_long(b"L", up + out + "/new") + file("x") + gnu_long(b"K", outside + "/victim") + header("h", b"1") + file("h", "overwritten")
    yield "a long name of 32 MB", gnu_long(b"L", "n" * (32 << 20)) + file("x")
    yield "times", b"".join(pax(mtime=value) + file(f"t{number}") for number, value in enumerate((
        "nan", "inf", "-inf", "1e300", "-1", "-99999999999999999999", "99999999999999999999.999999999999999", "1.", ".5", "1.-5", "x"))) + \
        header("o", raw_size=octal(0, 12), mtime=0o77777777777)
    yield "owners", b"".join(pax(uid=value, gid=value) + file(f"o{number}") for number, value in enumerate((
        "-1", "4294967295", "4294967296", "99999999999999999999", "x", ""))) + header("b", raw_uid=base256(1 << 40, 8)) + header("n", raw_uid=base256(-2, 8)) + \
        pax(uname="u" * 65536, gname="\n") + file("u")
    yield "modes", header("m", raw_mode=b"77777777") + header("s", mode=0o6755) + header("n", raw_mode=base256(-1, 8)) + directory("d", mode=0o7777) + header("x", raw_mode=b"zzzzzzz\0")
    yield "types", b"".join(header(f"t{kind}", bytes([kind]), size=5) + padded(b"hello") for kind in range(256) if bytes([kind]) not in b"xgXLKSN")
    yield "the old types", header("N", b"N", size=100) + padded(b"Rename x to ../../y\n") + header("M", b"M", size=5) + padded(b"hello") + header("V", b"V") + header("D", b"D", size=4) + padded(b"Yx\0\0")
    yield "wrong checksums", header("f", checksum=b"0000000\0") + b"junk" * 128 + file("g")
    yield "an old header", header("f", magic=b"\0" * 8, size=2) + padded(b"ab") + header("dir/", magic=b"\0" * 8)
    yield "a prefix out", header("new", prefix=as_bytes(".." + "/.." * 30)[:150]) + header("new", prefix=as_bytes(outside)[:150])


def ends():
    """Tars that end in another way."""
    yield "no end", file("f")[:700]
    yield "nothing", b""
    yield "one zero block and more", file("f") + b"\0" * BLOCK + file("g")
    yield "after the end", file("f") + END + file("g")
    yield "junk", random.Random(1).randbytes(100000)
    yield "zeros", b"\0" * (10 << 20)


def compressed(plain):
    """(name, bytes) of compressed forms that want memory, time or room; `plain` is a small tar."""
    yield "a gzip bomb", gzip.compress(header("zeros", size=300 << 20) + b"\0" * (300 << 20) + END, 9, mtime=0)
    yield "a bomb in a bomb", gzip.compress(gzip.compress(b"\0" * (200 << 20), 9), 9)
    yield "a truncated gzip", gzip.compress(plain)[:-20]
    yield "a gzip with a wrong sum", gzip.compress(plain)[:-8] + b"12345678"
    yield "gzip and junk", gzip.compress(plain) + b"junk" * 100
    yield "1,000 gzip members", gzip.compress(plain) + gzip.compress(b"") * 1000
    yield "a gzip header without an end", b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * (8 << 20)
    yield "a gzip of itself", gzip.compress(gzip.compress(plain))
    stream = lzma.compress(plain, lzma.FORMAT_ALONE)
    yield "lzma with a dictionary of 4 GB", stream[:1] + struct.pack("<I", 0xffffffff) + stream[5:]
    yield "a truncated xz", lzma.compress(plain)[:-30]
    yield "xz and junk", lzma.compress(plain) + b"junk" * 8
    block = bytearray(lzma.compress(plain, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    block[16] = 40  # 4 GB: the block header's one byte of properties
    block[20:24] = struct.pack("<I", zlib.crc32(bytes(block[12:20])))
    yield "xz with a dictionary of 4 GB", bytes(block)
    yield "a truncated bzip2", bz2.compress(plain)[:-10]
    yield "bzip2 of nothing", bz2.compress(b"")
    zst = subprocess.run(["zstd", "-cq"], input=plain, stdout=subprocess.PIPE, check=True).stdout
    yield "a truncated zstd", zst[:-10]
    # A frame without a content size has a window descriptor: exponent 31, which is 2 TB.
    yield "zstd with a window of 2 TB", b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\x00\x00"
    yield "zstd with a window of 2 GB", b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00"
    yield "skippable zstd frames", b"\x50\x2a\x4d\x18" + struct.pack("<I", 0xffffffff) + b"x" * 1000
    yield "a zstd bomb", subprocess.run(["zstd", "-cq"], input=header("z", size=300 << 20) + b"\0" * (300 << 20) + END, stdout=subprocess.PIPE, check=True).stdout


def ordinary():
    """A tar with one of everything, to be mutated."""
    return (directory("d") + file("d/f", "content\n") + symlink("d/l", "f") + hard("d/h", "d/f") + named("d/" + "long" * 40) +
            pax(SCHILY__xattr__user__a="b", mtime="1400000000.5") + file("x") + gnu_long(b"L", "d/" + "g" * 120) + file("y") +
            gnu_sparse("s", 5000, [(0, 5), (4000, 5)], b"x" * 10) + header("fifo", b"6") + file(".wh.gone", "") + END)


def mutated(plain, seed):
    """One of many: bytes changed, cut, doubled; checksums of headers mostly right again."""
    rng = random.Random(seed)
    data = bytearray(plain)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(6)
        block = at - at % BLOCK
        if what == 0:
            data[at] = rng.randrange(256)
        elif what == 1:
            data[block + 124:block + 136] = base256(rng.choice([-1, 1 << 62, 1 << 33, 1, 600, 0]), 12)
        elif what == 2:
            data[block + 156:block + 157] = rng.choice([b"0", b"1", b"2", b"3", b"5", b"x", b"g", b"L", b"K", b"S", b"6"])
        elif what == 3:
            data[block:block] = data[block:block + BLOCK * rng.randint(1, 4)]
        elif what == 4:
            del data[block:block + BLOCK]
        else:
            data[block:block + 100] = rng.choice([b"../../../tmp/x", b"/tmp/x", b"d/l/x", b"d", b".wh.d", b"s"]).ljust(100, b"\0")
        if len(data) < BLOCK:
            break
    if rng.random() < 0.9:
        for block in range(0, len(data) - BLOCK + 1, BLOCK):
            if data[block + 257:block + 262] == b"ustar":
                data[block:block + BLOCK] = repaired(data[block:block + BLOCK])
    return bytes(data[:rng.randint(1, len(data))] if rng.random() < 0.1 else data)

