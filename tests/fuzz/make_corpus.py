#!/usr/bin/env python3
"""Seeds for the fuzzers: make_corpus.py TESTDATA OUTPUT."""
import io
import pathlib
import re
import sys
import tarfile

IGNORE_FILES = [
    "*\n!a/b\n**/*.go\n",
    "# c\n/a/\n! b\na?[b-d]\\*\n",
    "docs/**\n!docs/README*.md\n**/x/**/y\n",
]


MOUNTS = [b"type=cache,id=x,target=/a,sharing=locked,mode=0755,uid=1", b"type=tmpfs,target=/a,size=1.5g",
          b"type=secret,id=a,env=B,required=true", b'type=bind,"source=a,b",target=/c,rw', b"type=ssh,id=default"]


CONFIG = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:@0"]}}'
MANIFEST = (b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
            b'"application/vnd.oci.image.config.v1+json","digest":"sha256:@1","size":151},"layers":[{"mediaType":'
            b'"application/vnd.oci.image.layer.v1.tar","digest":"sha256:@0","size":1024}]}')
INDEX = (b'{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":'
         b'"sha256:@2","size":397,"annotations":{"org.opencontainers.image.ref.name":"app:1"}}]}')
LAYER = bytes(1024)
ARCHIVES = [b"\1" + b"\xff".join(members) for members in (
    (b"l/layer.tar\n" + LAYER, b"@1.json\n" + CONFIG,
     b'manifest.json\n[{"Config":"@1.json","RepoTags":["app:1"],"Layers":["l/layer.tar"]}]'),
    (b"blobs/sha256/@0\n" + LAYER, b"blobs/sha256/@1\n" + CONFIG, b"blobs/sha256/@2\n" + MANIFEST,
     b"index.json\n" + INDEX, b'oci-layout\n{"imageLayoutVersion":"1.0.0"}'),
    (b"l/layer.tar\n" + LAYER, b"k/layer.tar\n->../l/layer.tar", b"c.json\n" + CONFIG,
     b'manifest.json\n[{"Config":"c.json","RepoTags":null,"Layers":["k/layer.tar"]}]'))]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Of HTTP/2 (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name: bytes, value: bytes) -> bytes:
    """A header that no table keeps (RFC 7541, section 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


SETTINGS = frame(4, 0, 0, b"")
HEADERS = b"\x88" + field(b"content-type", b"application/grpc")  # :status 200
SESSIONS = [
    b"\x20" + SETTINGS + frame(1, 4, 1, HEADERS) + frame(0, 0, 1, b"\0\0\0\0\3abc" * 4)
    + frame(1, 5, 1, field(b"grpc-status", b"0")),
    b"\x90" + SETTINGS + frame(1, 5, 3, HEADERS + field(b"grpc-status", b"5") + field(b"grpc-message", b"no%20%C3")),
    b"\x10" + SETTINGS + frame(1, 4, 1, HEADERS) + frame(0, 1, 1, b"\0\1\0\0\0ab") + frame(3, 0, 3, b"\0\0\0\x08"),
    b"\xff" + SETTINGS + frame(8, 0, 1, b"\0\0\1\0") + frame(6, 0, 0, bytes(8)) + frame(7, 0, 0, bytes(8)),
]


def step_frame(kind: int, payload: bytes) -> bytes:
    """Ethernet, as a step sends it."""
    return b"\x52\x55\n\0\2\2" + b"\2\0\0\0\0\1" + kind.to_bytes(2, "big") + payload


def packet(protocol: int, to: bytes, payload: bytes, fragment: int = 0) -> bytes:
    """IPv4 from a step's address."""
    return (b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + b"\0\1" + fragment.to_bytes(2, "big")
            + bytes([64, protocol, 0, 0]) + b"\n\0\2d" + to + payload)


ICMP, TCP, UDP = (1, b"\x08\0" + bytes(6)), (6, b"\x9c\x40\0\x35" + bytes(16)), (17, b"\x9c\x40\0\x35\0\x08\0\0")
FRAMES = [step_frame(0x0800, packet(protocol, to, payload)) for protocol, payload in (ICMP, TCP, UDP)
          for to in (b"\n\0\2\2", b"\n\0\2\3", b"\x7f\0\0\1", b"\xc0\0\2\2", b"\1\1\1\1")]
FRAMES += [step_frame(0x0800, packet(17, b"\1\1\1\1", bytes(24), fragment)) for fragment in (0x2000, 3, 0x2003)]
FRAMES += [step_frame(0x0806, b"\0\1\x08\0\6\4\0\1" + b"\2\0\0\0\0\1\n\0\2d" + bytes(6) + b"\n\0\2\2"),
           step_frame(0x8100, b"\0\1\x08\0" + packet(*TCP[:1], b"\1\1\1\1", TCP[1])), step_frame(0x86dd, bytes(40))]


def tar(form: int, members) -> bytes:
    """An archive of (name, type, other fields of its header, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, kind, fields, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


REG, DIR, SYM, LNK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
TREES = [
    [("f", REG, {"mode": 0o4755, "uid": 1, "gid": 2, "mtime": 3}, b"text")],
    [("d/", DIR, {"mode": 0o1777}, b""), ("d/f", REG, {}, b"x" * 600)],
    [("usr/lib/", DIR, {}, b""), ("lib", SYM, {"linkname": "usr/lib"}, b""), ("lib/f", REG, {}, b"below a link")],
    [("f", REG, {}, b"one"), ("g", LNK, {"linkname": "f"}, b""), ("f", REG, {}, b"again")],
    [("n", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3}, b""), ("b", tarfile.BLKTYPE, {"devmajor": 7}, b""),
     ("p", tarfile.FIFOTYPE, {}, b"")],
    [("d/.wh.gone", REG, {}, b""), ("d/.wh..wh..opq", REG, {}, b""), ("d/new", REG, {}, b"")],
    [("../out", REG, {}, b"x"), ("/abs", REG, {}, b"x"), ("a/../../b", REG, {}, b"x"), ("./", DIR, {}, b"")],
    [("x" * 90 + "/" + "y" * 90, REG, {}, b"long"), ("s", SYM, {"linkname": "z" * 150}, b"")],
    [("loop", SYM, {"linkname": "loop"}, b""), ("loop/f", REG, {}, b"x"), ("d", DIR, {}, b""), ("d", REG, {}, b"")],
]
PAX = [
    {"path": "in/pax", "size": "4", "uid": "99999999", "mtime": "1.5"},
    {"SCHILY.xattr.user.a": "b", "SCHILY.xattr.trusted.overlay.opaque": "y", "LIBARCHIVE.xattr.user.c": "ZA"},
    {"linkpath": "q" * 200, "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
     "GNU.sparse.realsize": "2048"},
]
TARS = [tar(form, tree) for tree in TREES for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
        if form != tarfile.USTAR_FORMAT or tree is not TREES[7]]
TARS += [tar(tarfile.PAX_FORMAT, [("f", REG, {"pax_headers": headers}, b"1\n0\n4\n" + bytes(505) + b"data")]) for headers in PAX]


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7f | 0x80]), value >> 7
    return out + bytes([value])


def message(**fields) -> bytes:
    """A message of protobuf's, by numbers of its fields: f1=7, f2=b"bytes"."""
    out = b""
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def packets(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


# fsutil.proto: PACKET_STAT 0, REQ 1, DATA 2, FIN 3; Stat: path, mode, uid, gid, size, modtime, linkname.
END_OF_LIST, FIN = message(f1=0), message(f1=3)


def stat_packet(path: bytes, mode: int, size: int = 0, link: bytes = b"") -> bytes:
    return message(f1=0, f2=message(f1=path, f2=mode, f3=1, f4=2, f5=size, f6=1_700_000_000_000_000_000, f7=link))


def data_packet(number: int, content: bytes) -> bytes:
    return message(f1=2, f3=number, f4=content)


DIRECTORY, LINK = 1 << 31 | 0o755, 1 << 27 | 0o777
TREE_SYNCS = [
    packets(stat_packet(b"a", 0o644, 3), END_OF_LIST, data_packet(0, b"abc"), data_packet(0, b""), FIN),
    packets(stat_packet(b"d", DIRECTORY), stat_packet(b"d/b", 0o4755, 1), stat_packet(b"link", LINK, 0, b"d/b"), END_OF_LIST,
            data_packet(1, b"x"), data_packet(1, b""), FIN),
    packets(stat_packet(b"a", 0o644, 3), stat_packet(b"b", 0o644, 3, b"a"), END_OF_LIST, data_packet(0, b"abc"),
            data_packet(0, b""), FIN),
    packets(stat_packet(b"p", 1 << 25 | 0o600), stat_packet(b"x/y", 0o644), END_OF_LIST, FIN),
    packets(stat_packet(b"../a", 0o644, 1), END_OF_LIST, FIN), packets(message(f1=4, f4=b"an error")),
]

AGENT = [bytes([255]) + b"\0\0\0\1\x0b", bytes([128]) + b"\0\0\0\1\x0b" + b"\0\0\0\5\x0c\0\0\0\0",
         bytes([200]) + b"\0\0\0\5\x0d\0\0\0\0" + b"\0\0\0\1\x05", bytes([255]) + b"\0\0\0\1\x11\0\0\0\1\x0b",
         bytes([128]) + b"\0\4\0\1\x0b\0\0\0\0\0"]
FILTERS = [b"type==regular,inuse\n\ntext", b"description~=[^z]*nothere\n\nRUN cat", b'id~="^layer:[0-9]+$"', b"type!=source.local\ntype==x",
           b"shared,private\nmutable==true", b"description~=(a*)*Q\n\n" + b"a" * 50, b"description~=(?i)\\p{Greek}{2,9}|x{100}"]


# ops.proto, as fuzz_llb.cpp describes: a Definition with metadata, then ops, whose inputs are "@N". -1 is any negative number.
MINUS = (1 << 64) - 1


def map_entry(key: bytes, value: bytes) -> bytes:
    return message(f1=key, f2=value)


def input_of(number: int, output: int = 0) -> bytes:
    return message(f1=message(f1=b"@%d" % number, f2=output))


def llb_source(identifier: bytes, **attrs: bytes) -> bytes:
    pairs = b"".join(message(f2=map_entry(name.replace("_", ".", 1).encode(), value)) for name, value in attrs.items())
    return message(f3=message(f1=identifier) + pairs)


def llb_file(action: bytes, number: int, base: int = MINUS, other: int = MINUS, output: int = 0) -> bytes:
    """A file op of one action: copy 4, mkfile 5, mkdir 6, rm 7, symlink 8."""
    return message(f4=message(f2=message(f1=base, f2=other, f3=output) + message(**{f"f{number}": action})))


def llb_exec(meta: bytes, *mounts: bytes, **fields) -> bytes:
    return message(f2=message(f1=meta) + b"".join(message(f2=mount) for mount in mounts) + message(**fields))


MKFILE = llb_file(message(f1=b"/f", f2=0o644, f3=b"text", f5=MINUS), 5)
ROOT = message(f1=0, f3=b"/", f4=0)
META = message(f1=b"sh", f2=b"A=b", f3=b"/w", f4=b"1:2") + message(
    f5=message(f1=b"http://p", f4=b"x"), f6=message(f1=b"host", f2=b"10.0.0.1"), f7=b"name", f9=message(f1=b"nofile", f2=9, f3=9),
    f12=3)
MOUNTS_OF_EXEC = [message(f1=0, f2=b"sub", f3=b"/b", f4=1, f5=1), message(f1=MINUS, f3=b"/c", f4=MINUS, f6=3, f20=message(f1=b"id", f2=2)),
                  message(f1=MINUS, f3=b"/t", f4=MINUS, f6=4, f19=message(f1=4096)),
                  message(f1=MINUS, f3=b"/s", f4=MINUS, f6=1, f21=message(f1=b"s", f4=0o400)),
                  message(f1=MINUS, f3=b"/a", f4=MINUS, f6=2, f22=message(f5=1))]
ABOUT = message(f2=map_entry(b"@0", message(f1=1, f2=map_entry(b"llb.customname", b"a name"), f7=message(f1=1 << 20, f6=b"0")))) + message(
    f3=message(f1=map_entry(b"@0", message(f1=message(f1=0, f2=message(f1=message(f1=1), f2=message(f1=2))))), f2=message(f1=b"Dockerfile", f2=b"FROM x")))
COPY = message(f1=b"/f*", f2=b"/g", f3=message(f1=message(f2=1), f2=message(f1=message(f1=b"users"))), f4=MINUS, f5=1, f6=1, f8=1, f9=1, f11=MINUS,
               f12=b"*.c", f13=b"x", f14=b"u+x")
GRAPHS = [
    (ABOUT, MKFILE, input_of(0)),
    (ABOUT, MKFILE, input_of(0) + llb_file(COPY, 4, 0, 0), input_of(1)),
    (b"", MKFILE, input_of(0) + llb_exec(META, ROOT, *MOUNTS_OF_EXEC, f5=message(f1=b"s", f2=b"S")), input_of(1, 1)),
    (b"", MKFILE, input_of(0) + llb_exec(META, ROOT, f3=1), input_of(1)),
    (b"", MKFILE, input_of(0) + message(f4=b"".join(message(f2=part) for part in (
        message(f1=0, f2=MINUS, f3=MINUS, f6=message(f1=b"/d", f2=0o700, f3=1)), message(f1=1, f2=MINUS, f3=MINUS, f8=message(f1=b"to", f2=b"/d/l")),
        message(f1=2, f2=MINUS, f3=0, f7=message(f1=b"/f", f3=1))))), input_of(1)),
    (b"", MKFILE, llb_source(b"lade-result://earlier"), input_of(0) + input_of(1) + message(f6=message(f1=message(f1=0)) + message(f1=message(f1=1))),
     input_of(0) + input_of(2) + message(f7=message(f1=message(f1=0), f2=message(f1=1))), input_of(3)),
    (b"", MKFILE, input_of(0) + message(f8=message(f1=b"x", f2=0)), input_of(1)),
    (b"", llb_source(b"local://context", local_includepattern=b'["a"]', local_excludepatterns=b'["*.o"]', local_followpaths=b'["l"]',
                     local_sharedkeyhint=b"k", local_differ=b"none", local_session=b"s"), input_of(0)),
    (b"", llb_source(b"git://example.com/x.git#main:sub", git_fullurl=b"https://example.com/x.git", git_keepgitdir=b"true", git_checksum=b"0" * 40,
                     git_authtokensecret=b"GIT_AUTH_TOKEN"), input_of(0)),
    (b"", llb_source(b"https://example.com/f", http_filename=b"f", http_checksum=b"sha256:" + b"0" * 64, http_perm=b"0o600", http_uid=b"1"), input_of(0)),
    (b"", llb_source(b"docker-image://docker.io/library/x@sha256:" + b"0" * 64, image_resolvemode=b"pull") + message(f10=message(f1=b"arm64", f2=b"linux", f3=b"v8")), input_of(0)),
]


def write(folder: pathlib.Path, seeds) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:04}").write_bytes(seed)


def main() -> None:
    testdata, output = map(pathlib.Path, sys.argv[1:])
    files = [path.read_bytes() for path in sorted(testdata.glob("parser/**/Dockerfile"))]
    # Words are what stands between blanks; those with quotes or variables are worth trying.
    words = sorted({w for f in files for w in f.split() if re.search(rb"[$\"'\\<]", w)})
    # The first byte of an expansion or dockerignore seed is its options or its path's length.
    expansions = [b"\0" + word for word in words]
    expansions += [b"\0${V" + op + b"}" for op in (b":-x", b"+x", b"#*a", b"%%b*", b"/a/b", b"//?/")]
    write(output / "values", [b"\0" + value for value in MOUNTS] + [b"\1" b"1h2m3.5s", b"\2" b"1.5 GiB", b"\3true",
                              b'\4["a", "b\\n"]', b"\5" b"3<<-EOF", b"\6linux/arm/v7", b"\6windows(10.0)/amd64",
                              b"\x072026-01-02T03:04:05.123456789Z"])
    write(output / "image_archive", ARCHIVES)
    write(output / "xml_text", [b"<Error><Code>A &amp; &#x41;</Code></Error>", b"<R><UploadId>x</UploadId></R>",
                                b"[default]\na = b\n[profile x]\nc=d\n"])
    write(output / "session", SESSIONS)
    write(output / "tar", [bytes([dialect]) + archive for archive in TARS for dialect in (0, 1)])
    write(output / "tree_sync", TREE_SYNCS)
    write(output / "llb", [packets(*graph) for graph in GRAPHS])
    write(output / "ssh_forward", AGENT)
    write(output / "usage_filter", FILTERS)
    configs = [CONFIG.replace(b"@0", b"0" * 64), b'{"config":{"Env":["A=b"],"Labels":{"a":"b"}}}', b'{"rootfs":{}}', b"null",
               b'{"os":"linux","architecture":"arm","variant":"v7","rootfs":{"type":"","diff_ids":null},"history":[{}]}']
    write(output / "frontend_config", configs)
    write(output / "frame_filter", FRAMES)
    write(output / "parser", files)
    write(output / "expansion", expansions)
    write(output / "dockerignore", [b"\x03a/b" + text.encode() for text in IGNORE_FILES])


main()
