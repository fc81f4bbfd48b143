"""Cases out of documents: every ```dockerfile block of the Markdown files below a folder, such as BuildKit's docs.

Most blocks are fragments, and name images, files and programs that are not there. They are completed in one mechanical
way:
- lines of dots alone are left out, and a block without FROM gets "FROM example" after its directives;
- every image that is named stands for one image: busybox (as bash, too) with a stand-in for each program that any block
  runs and busybox has not (or would need a network for), which makes the files that follow -o and succeeds, and with a
  file at each path that any block copies or mounts from a stage or image;
- the context has what COPY, ADD and bind mounts name: a directory with a file where the name ends in a slash or has no
  dot, else a file; what a wildcard stands for is "x"; secrets that are mounted and entitlements that are needed are given.

Both tools then have to build the same image, or both have to fail; DIFFERS names the exceptions.
"""

import dataclasses
import pathlib
import re
import shlex
import tarfile

import bases
import case as cases
import support

# A regular expression that only the block matches -> the difference that is meant, and why.
DIFFERS = {}

BASE = "example"
NETWORKED = {"wget", "ping", "rpm", "dpkg", "nslookup", "nc", "apk"}
_FENCE = re.compile(r"^(?P<prefix>[\s>]*)(?P<fence>```+|~~~+)\s*(?P<kind>\w*)")
_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=", re.I)
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/-]*(:[\w.-]+)?")
_STAND_IN = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in -o) shift; mkdir -p "$(dirname "$1")"; echo made > "$1" ;; esac
  shift
done
"""


@dataclasses.dataclass
class Block:
    """What a document shows, with its fence's indentation and quotation marks taken off."""

    name: str
    lines: list

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def _blocks(folder):
    for path in sorted(folder.rglob("*.md")):
        block, prefix, fence = None, "", ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found = _FENCE.match(line)
            if block is not None and found and found["fence"] == fence and not found["kind"]:
                yield block
                block, fence = None, ""
            elif block is not None:
                block.lines.append(line.removeprefix(prefix) if line.startswith(prefix) else line.lstrip("> "))
            elif found and not fence:
                prefix, fence = found["prefix"], found["fence"]
                if found["kind"].lower() == "dockerfile":
                    block = Block(f"documents/{'-'.join(path.relative_to(folder).parts)}-{number}", [])
            elif found and found["fence"] == fence:
                fence = ""


def _completed(lines):
    lines = [line for line in lines if not re.fullmatch(r"\s*(\.\.\.|…)\s*", line)]
    if not any(re.match(r"\s*FROM\s", line, re.I) for line in lines):
        at = 0
        while at < len(lines) and _DIRECTIVE.match(lines[at]):
            at += 1
        lines.insert(at, f"FROM {BASE}")
    return lines


def _instructions(lines):
    """(keyword, flags, rest) of each instruction, continued lines joined; heredocs' lines are part of the rest."""
    escape = "`" if any(re.match(r"#\s*escape\s*=\s*`", line) for line in lines) else "\\"
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith(escape) and at < len(lines):
            following = lines[at].strip()
            at += 1
            line = line[:-1] + ("" if following.startswith("#") else following) if following else line
        ends = re.findall(r"<<-?['\"]?(\w+)", line)
        while ends and at < len(lines):
            line += "\n" + lines[at]
            ends = ends[1:] if lines[at].strip() == ends[0] else ends
            at += 1
        keyword, _, rest = line.partition(" ")
        flags = []
        while found := re.match(r"\s*--([\w-]+)(?:=(\S*))?\s*", rest):
            flags.append((found[1], found[2] or ""))
            rest = rest[found.end() :]
        yield keyword.upper(), flags, rest.strip()


def _defaults(instructions):
    """What ARGs in front of the first FROM and the platform arguments stand for."""
    values = {
        "BUILDPLATFORM": "linux/amd64",
        "TARGETPLATFORM": "linux/amd64",
        "TARGETOS": "linux",
        "TARGETARCH": "amd64",
    }
    for keyword, _, rest in instructions:
        if keyword == "ARG" or keyword == "ENV":
            for name, value in re.findall(r"(\w+)=(\S*)", rest):
                values.setdefault(name, value.strip("\"'"))
    return values


def _expanded(text, values):
    def value(found):
        name, default = found[1] or found[2], found[3] or ""
        return values.get(name) or default

    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?[^}]*\})", value, text)


def _paths(rest):
    """Sources of a COPY or ADD."""
    rest = rest.split("\n")[0]
    try:
        words = re.findall(r'"([^"]*)"', rest) if rest.startswith("[") else shlex.split(rest)
    except ValueError:
        words = rest.split()
    return [
        word for word in words[:-1] if not word.startswith("<<") and "://" not in word and not word.startswith("git@")
    ]


def _mounts(flags):
    for name, value in flags:
        if name == "mount":
            yield dict(field.partition("=")[::2] for field in value.split(","))


class _Needs:
    """What one block needs to be there."""

    def __init__(self, lines):
        self.images, self.sources, self.copied, self.programs, self.secrets = set(), set(), set(), set(), set()
        self.stages = set()
        instructions = list(_instructions(lines))
        self.values = _defaults(instructions)
        for keyword, flags, rest in instructions:
            if keyword == "ONBUILD":
                keyword, _, rest = rest.partition(" ")
            if keyword == "FROM":
                self._from(rest)
            elif keyword in ("COPY", "ADD"):
                self._copy(dict(flags), rest)
            elif keyword == "RUN":
                self._run(flags, rest)

    def _image(self, name):
        name = name.removesuffix(":latest")
        if name.lower() not in self.stages | {"scratch"} and not name.isdigit() and _IMAGE.fullmatch(name):
            self.images.add(name)

    def _from(self, rest):
        words = _expanded(rest, self.values).split()
        if words:
            self._image(words[0])
        if len(words) == 3:
            self.stages.add(words[2].lower())

    def _copy(self, flags, rest):
        paths = [_expanded(path, self.values) for path in _paths(rest)]
        if "from" in flags:
            self._image(flags["from"])
            self.copied.update(paths)
        else:
            self.sources.update(paths)

    def _run(self, flags, rest):
        for mount in _mounts(flags):
            source = _expanded(mount.get("source", mount.get("src", "")), self.values)
            if mount.get("type", "bind") == "secret":
                self.secrets.add(mount.get("id", "") or mount.get("target", mount.get("dst", "")).rpartition("/")[2])
            elif "from" in mount:
                self._image(mount["from"])
                self.copied.add(source)
            elif mount.get("type", "bind") == "bind" and source:
                self.sources.add(source)
        if rest.startswith("["):
            rest = " ".join(re.findall(r'"([^"]*)"', rest))
        self.programs.update(re.findall(r"(?:^|&&|\|\||[;|(\n])\s*(?:\w+=\S*\s+)*([a-z][\w.+-]*)(?=\s|$)", rest))


def _clean(path):
    return re.sub(r"\[[^]]*\]|[*?]+", "x", path).strip("/").removeprefix("./").removesuffix("/.")


def _files(sources):
    """The context: path -> content."""
    files = {"some-file": "some file\n"}
    for source in sorted(sources):
        path = _clean(source)
        if not path or path.startswith("..") or path == ".":
            continue
        if source.endswith("/") or "." not in path.rpartition("/")[2].lstrip("."):
            path += "/file"
        if not any(known.startswith(path + "/") or path.startswith(known + "/") for known in files):
            files[path] = f"{path}\n"
    return files


def _differs(text):
    return {where: why for pattern, (where, why) in DIFFERS.items() if re.search(pattern, text)}


def _allow(text):
    return next(
        (
            name
            for flag, name in (("--security=insecure", "security.insecure"), ("--network=host", "network.host"))
            if flag in text
        ),
        "",
    )


class Documents:
    """All blocks below a folder as cases, and the image that all of them build from."""

    def __init__(self, folder):
        self.cases = []
        self._programs, self._copied = set(), set()
        for block in _blocks(folder):
            lines = _completed(block.lines)
            needs = _Needs(lines)
            text = "\n".join(lines) + "\n"
            case = cases.Case(
                block.name,
                text.encode(),
                context="empty",
                allow=_allow(text),
                file=_files(needs.sources),
                secret={name: "secret\n" for name in needs.secrets if name},
                differs=_differs(text),
                named={name: f"docker-image://{{registry}}/{BASE}:latest" for name in [BASE, *needs.images]},
            )
            self._programs |= needs.programs
            self._copied |= needs.copied
            self.cases.append(case)

    def base(self, layout):
        """A maker for bases.BASES."""
        with tarfile.open(support.busybox_tar()) as busybox:
            known = {name.rpartition("/")[2] for name in busybox.getnames()} - NETWORKED
        shell = set(
            "if then else elif fi for do done while until case esac cd export set test echo exit true false source exec".split()
        )
        files = [
            bases.directory("etc"),
            bases.File("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
        ]
        files += [
            bases.File(f"usr/local/bin/{name}", _STAND_IN, mode=0o755)
            for name in sorted(self._programs - known - shell)
        ]
        files.append(bases.symlink("bin/bash", "busybox"))
        copied = _files(self._copied)
        parents = {str(parent) for name in copied for parent in pathlib.PurePath(name).parents} - {"."}
        files += [bases.directory(name) for name in sorted(parents)]
        files += [bases.File(name, text) for name, text in copied.items()]
        return layout.image(
            [bases.busybox_layer(), bases.layer(*files)], {"Env": [f"PATH={bases.PATH}"], "Cmd": ["/bin/sh"]}
        )
