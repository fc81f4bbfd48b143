#!/usr/bin/env python3
"""Seeds for the fuzzers: make_corpus.py TESTDATA OUTPUT."""
import pathlib
import re
import sys

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
    write(output / "frame_filter", FRAMES)
    write(output / "parser", files)
    write(output / "expansion", expansions)
    write(output / "dockerignore", [b"\x03a/b" + text.encode() for text in IGNORE_FILES])


main()
