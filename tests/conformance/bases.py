"""The images that cases build FROM: written as OCI layouts here, pushed to a registry of the run's own.

`busybox` is plain; every other one has what a case may need to meet in a base: see BASES.
"""

import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile

import support

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI = "application/vnd.oci.image."


class Layout:
    """Writes an OCI image layout."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        (self.directory / "blobs/sha256").mkdir(parents=True)
        (self.directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (self.directory / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": _OCI + media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def image(self, layers, config, architecture="amd64", history=None):
        """`layers` are tars; returns the manifest's descriptor."""
        blobs, diff_ids = [], []
        for layer in layers:
            blobs.append(self.blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip"))
            diff_ids.append("sha256:" + hashlib.sha256(layer).hexdigest())
        document = {"architecture": architecture, "os": "linux", "created": "2021-03-04T05:06:07Z", "config": config,
                    "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        if history is None:
            history = _history(*((f"layer {number}", False) for number in range(len(layers))))
        if history:
            document["history"] = history
        manifest = {"schemaVersion": 2, "mediaType": _OCI + "manifest.v1+json",
                    "config": self.document(document, "config.v1+json"), "layers": blobs}
        return self.document(manifest, "manifest.v1+json")

    def finish(self, descriptor):
        descriptor = dict(descriptor, annotations={"org.opencontainers.image.ref.name": "latest"})
        (self.directory / "index.json").write_text(json.dumps(
            {"schemaVersion": 2, "mediaType": _OCI + "index.v1+json", "manifests": [descriptor]}))


@dataclasses.dataclass
class File:
    """One entry of a layer."""

    name: str
    data: str = ""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    owner: tuple = (0, 0)
    target: str = ""
    xattrs: dict = dataclasses.field(default_factory=dict)
    mtime: int = 1500000000


def directory(name, mode=0o755, **fields):
    return File(name, mode=mode, kind=tarfile.DIRTYPE, **fields)


def symlink(name, target):
    return File(name, kind=tarfile.SYMTYPE, target=target, mode=0o777)


def hardlink(name, target):
    return File(name, kind=tarfile.LNKTYPE, target=target)


def layer(*files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            info = tarfile.TarInfo(file.name)
            info.type, info.mode, info.mtime, info.linkname = file.kind, file.mode, file.mtime, file.target
            info.uid, info.gid = file.owner
            info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in file.xattrs.items()}
            data = file.data.encode()
            info.size = len(data) if file.kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def _repacked(rename, *files):
    """A layer of `files` and of busybox, whose entries `rename` gives other names, or None to leave them out."""
    out = io.BytesIO(layer(*files))
    with tarfile.open(fileobj=out, mode="a", format=tarfile.PAX_FORMAT) as made, \
            tarfile.open(support.busybox_tar()) as busybox:
        for member in busybox:
            if name := rename(member.name.removeprefix("./")):
                member.name = name
                made.addfile(member, busybox.extractfile(member) if member.isreg() else None)
    return out.getvalue()


def busybox_layer():
    """Both builders mount on /dev, /proc and /sys; only `bare` has to see that these are missing."""
    return _repacked(lambda name: name if name != "." else "", *map(directory, ("dev", "proc", "sys", "root")))


def _history(*entries):
    return [{"created": "2021-03-04T05:06:07Z", "created_by": text, **({"empty_layer": True} if empty else {})}
            for text, empty in entries]


def _plain(layout):
    return layout.image([busybox_layer()], {"Env": [f"PATH={PATH}"], "Cmd": ["/bin/sh"]},
                        history=_history(("import busybox", False), ("CMD sh", True)))


def _other(layout):
    """The same files with one more, so that COPY --from of an image is seen to read the right one."""
    extra = layer(directory("opt"), File("opt/other", "from other\n", owner=(7, 8), mode=0o640))
    return layout.image([busybox_layer(), extra], {"Env": [f"PATH={PATH}"]})


def _configured(layout):
    """Every field of the config is set, and all of it must be inherited."""
    return layout.image([busybox_layer()], {
        "User": "nobody", "WorkingDir": "/srv", "Entrypoint": ["/bin/echo", "base"], "Cmd": ["from-base"],
        "Env": ["PATH=/bin:/base", "BASE=one", "EMPTY="], "Labels": {"base.label": "yes", "over": "base"},
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "StopSignal": "SIGINT", "Shell": ["/bin/sh", "-ec"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5000000000}},
        history=_history(("import busybox", False), ("many things", True)))


def _no_path(layout):
    return layout.image([busybox_layer()], {"Env": ["ONLY=this"]})


def _no_config(layout):
    return layout.image([busybox_layer()], {})


def _onbuild(layout):
    return layout.image([busybox_layer()], {
        "Env": [f"PATH={PATH}"], "WorkingDir": "/app",
        "OnBuild": ["ARG WHO=trigger", "RUN echo made for $WHO > /trigger", "ENV TRIGGERED=yes",
                    "COPY hello.txt /app/"]})


def _onbuild_from(layout):
    return layout.image([busybox_layer()], {"Env": [f"PATH={PATH}"], "OnBuild": ["COPY --from=other /opt/other /brought"]})


def _onbuild_bad(layout):
    return layout.image([busybox_layer()], {"Env": [f"PATH={PATH}"], "OnBuild": ["RUN exit 9"]})


def _merged(layout):
    """A merged /usr: /bin is a symlink, and there are links of other kinds to write through."""
    return layout.image([_repacked(
        lambda name: f"usr/{name}" if name.startswith("bin/") else "",
        directory("usr"), directory("usr/bin"), directory("etc"), directory("tmp", 0o1777), directory("dev"),
        directory("proc"), directory("sys"), symlink("bin", "usr/bin"), directory("real", 0o750, owner=(41, 42)),
        directory("real/sub"), symlink("abs", "/real"), symlink("rel", "real/sub"), symlink("up", "../../real"),
        symlink("dangling", "nowhere/there"), symlink("loop", "loop"), symlink("file-link", "real/file"),
        File("real/file", "real\n"), symlink("etc/through", "/abs/sub"),
        File("etc/passwd", "root:x:0:0::/:/bin/sh\nbob:x:41:42::/home/bob:/bin/sh\n"),
        File("etc/group", "root:x:0:\nbobs:x:42:\nextra:x:99:bob\n"))], {"Env": [f"PATH={PATH}"]})


def _odd(layout):
    """Files of every kind over four layers with whiteouts."""
    first = layer(
        directory("odd", 0o2775, owner=(3, 4)), File("odd/setuid", "s\n", 0o4755), File("odd/setgid", "g\n", 0o2755),
        File("odd/one", "linked\n"), hardlink("odd/two", "odd/one"), File("odd/three", "three\n", owner=(1000, 2000)),
        File("odd/fifo", kind=tarfile.FIFOTYPE, mode=0o600),
        File("odd/user-xattr", "x\n", xattrs={"user.note": "hello"}), directory("odd/dir"),
        File("odd/dir/a", "a\n"), File("odd/dir/b", "b\n"), directory("odd/opaque"),
        File("odd/opaque/old", "old\n"), File("odd/name with spaces", "spaces\n"), File("odd/ünï", "umlauts\n"),
        directory("odd/sticky", 0o1777), File("odd/none", "", 0o000))
    second = layer(File("odd/dir/.wh.a"), File("odd/three", "three, again\n"), File("odd/opaque/.wh..wh..opq"),
                   File("odd/opaque/new", "new\n"))
    third = layer(File("odd/dir/a", "a is back\n"), File("odd/.wh.three"))
    return layout.image([busybox_layer(), first, second, third], {"Env": [f"PATH={PATH}"]})


def _no_history(layout):
    return layout.image([busybox_layer(), layer(File("second", "layer\n"))], {"Env": [f"PATH={PATH}"]}, history=[])


def _users(layout):
    """passwd and group with more people, and lines that are not as they should be."""
    passwd = ("root:x:0:0:root:/root:/bin/sh\nalice:x:1001:2001:Alice:/home/alice:/bin/sh\n"
              "bob:x:1002:2002::/home/bob:/bin/sh\n# a comment\n\nbroken line\n77:x:1077:2077::/:/bin/sh\n"
              "homeless:x:1003:2003:::/bin/sh\nalice:x:9999:9999:second alice:/:/bin/sh\n")
    group = ("root:x:0:\nalices:x:2001:\nstaff:x:50:alice,bob\nadm:x:4:alice\nwheel:x:10:root\nbroken\n"
             "bobs:x:2002:\n88:x:3088:\n")
    return layout.image([busybox_layer(), layer(directory("etc"), File("etc/passwd", passwd), File("etc/group", group),
                                           directory("home"), directory("home/alice", owner=(1001, 2001)))],
                        {"Env": [f"PATH={PATH}"]})


def _platforms(layout):
    """An index of two architectures; their files say which they are of."""
    manifests = []
    for architecture in ("amd64", "arm64"):
        descriptor = layout.image([busybox_layer(), layer(File("arch", f"{architecture}\n"))],
                                  {"Env": [f"PATH={PATH}"]}, architecture)
        manifests.append(dict(descriptor, platform={"os": "linux", "architecture": architecture}))
    return layout.document({"schemaVersion": 2, "mediaType": _OCI + "index.v1+json", "manifests": manifests},
                           "index.v1+json")


def _bare(layout):
    """No /dev, /proc, /sys, /tmp and no /etc: just busybox."""
    tree = _repacked(lambda name: name if name.startswith("bin") else "")
    return layout.image([tree], {"Env": [f"PATH={PATH}"]})


def _debian(layout):
    return layout.image([support.debian_tar().read_bytes()], {"Env": [f"PATH={PATH}"], "Cmd": ["bash"]})


BASES = {"busybox": _plain, "other": _other, "configured": _configured, "no-path": _no_path, "no-config": _no_config,
         "onbuild": _onbuild, "onbuild-from": _onbuild_from, "onbuild-bad": _onbuild_bad, "merged": _merged,
         "odd": _odd, "users": _users, "platforms": _platforms, "bare": _bare, "debian": _debian,
         "no-history": _no_history}


class Bases:
    """Pushes bases to the registry when they are first asked for."""

    def __init__(self, registry, work):
        self.registry, self.work, self.pushed = registry, work, set()

    def make(self, names):
        for name in sorted(set(names) - self.pushed):
            layout = Layout(self.work / f"base-{name}")
            layout.finish(BASES[name](layout))
            subprocess.run(["skopeo", "copy", "-q", "--all", "--insecure-policy", "--dest-tls-verify=false",
                            f"oci:{layout.directory}:latest", f"docker://{self.registry.host}/{name}"],
                           check=True, env=support.environment())
            self.pushed.add(name)

    def layout(self, name):
        """The image as a directory, and its digest."""
        directory = self.work / f"base-{name}"
        return directory, json.loads((directory / "index.json").read_text())["manifests"][0]["digest"]

    def context(self, name):
        """What a named context of that base is."""
        return f"docker-image://{self.registry.host}/{name}:latest"
