"""Reading images and root filesystem tars as an independent implementation: Python's tarfile and json."""

import bz2
import dataclasses
import gzip
import hashlib
import io
import json
import lzma
import pathlib
import subprocess
import tarfile

XATTR = "SCHILY.xattr."


@dataclasses.dataclass
class Entry:
    """One file of a flattened tree."""

    type: str  # file, dir, symlink, char, block, fifo
    mode: int
    uid: int
    gid: int
    mtime: float
    size: int = 0
    target: str = ""  # of a symlink
    data: bytes = dataclasses.field(default=b"", repr=False)
    xattrs: dict = dataclasses.field(default_factory=dict)
    inode: int = 0  # equal for hard links of one file
    device: tuple = ()

    @property
    def owner(self):
        return (self.uid, self.gid)

    @property
    def text(self):
        return self.data.decode()


def open_tar(data):
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape")


def decompress(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def compress(data, kind):
    """`data` as gz, bz2, xz, zst or (tar) as it is."""
    if kind == "zst":
        return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "tar": bytes}[kind](data)


def tar_info(name, kind=tarfile.REGTYPE, **fields):
    """An entry without content for make_tar()."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mtime = kind, 1400000000
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def make_tar(entries):
    """A tar of TarInfo objects or (name, data) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8",
                      errors="surrogateescape") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size, info.mtime = len(entry[1]), 1500000000
            tar.addfile(info, io.BytesIO(entry[1]))
    return out.getvalue()


_TYPES = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block",
          tarfile.FIFOTYPE: "fifo"}


def apply_layer(tree, data):
    """Applies one layer's tar to a tree: whiteouts first remove what lower layers had."""
    with open_tar(data) as tar:
        members = tar.getmembers()
        for member in members:
            parent, _, name = member.name.strip("/").rpartition("/")
            if name == ".wh..wh..opq":
                _remove_below(tree, parent)
            elif name.startswith(".wh."):
                _remove(tree, f"{parent}/{name[4:]}".lstrip("/"))
        for member in members:
            if not member.name.rpartition("/")[2].startswith(".wh."):
                _add(tree, tar, member)


def _remove_below(tree, path):
    for name in [name for name in tree if name.startswith(f"{path}/") or not path]:
        del tree[name]


def _remove(tree, path):
    tree.pop(path, None)
    _remove_below(tree, path)


def _add(tree, tar, member):
    path = member.name.removeprefix("./").strip("/")
    if path in ("", "."):
        return
    if member.islnk():
        tree[path] = tree[member.linkname.removeprefix("./").strip("/")]
        return
    kind = _TYPES.get(member.type, "file")
    old = tree.get(path)
    if old and old.type == "dir" and kind != "dir":
        _remove_below(tree, path)
    xattrs = {name[len(XATTR):]: value.encode("utf-8", "surrogateescape")
              for name, value in member.pax_headers.items() if name.startswith(XATTR)}
    entry = Entry(kind, member.mode, member.uid, member.gid, float(member.mtime), target=member.linkname,
                  xattrs=xattrs)
    entry.inode = id(entry)
    if kind == "file":
        entry.data = tar.extractfile(member).read()
        entry.size = len(entry.data)
    elif kind in ("char", "block"):
        entry.device = (member.devmajor, member.devminor)
    tree[path] = entry


def read_rootfs_tar(path):
    """path -> Entry of a plain root filesystem tar."""
    tree = {}
    apply_layer(tree, pathlib.Path(path).read_bytes())
    return tree


class Image:
    """An OCI image: archive or layout directory. Every blob read is verified against its digest."""

    def __init__(self, read, names, descriptor=None):
        """`descriptor` is of one manifest; without it the layout's first."""
        self._read, self.names = read, names
        self.index = json.loads(read("index.json"))
        self.descriptor = descriptor or self.index["manifests"][0]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = self.manifest["layers"]

    @staticmethod
    def read(path):
        path = pathlib.Path(path)
        if path.is_dir():
            names = [str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()]
            return Image(lambda name: (path / name).read_bytes(), names)
        with tarfile.open(path, "r:") as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        return Image(files.__getitem__, list(files))

    @staticmethod
    def read_platforms(path):
        """platform -> Image of each manifest of an archive's index; "" -> the image if it is a single one."""
        with tarfile.open(path, "r:") as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        descriptor = json.loads(files["index.json"])["manifests"][0]
        if not descriptor["mediaType"].endswith(("index.v1+json", "manifest.list.v2+json")):
            return {"": Image(files.__getitem__, list(files))}
        manifests = json.loads(files["blobs/" + descriptor["digest"].replace(":", "/")])["manifests"]
        return {"/".join(filter(None, map(manifest["platform"].get, ("os", "architecture", "variant")))):
                Image(files.__getitem__, list(files), manifest) for manifest in manifests}

    @property
    def digest(self):
        return self.descriptor["digest"]

    def blob(self, descriptor):
        data = self._read("blobs/" + descriptor["digest"].replace(":", "/"))
        if len(data) != descriptor["size"] or "sha256:" + hashlib.sha256(data).hexdigest() != descriptor["digest"]:
            raise AssertionError(f"blob {descriptor} does not match its digest or size")
        return data

    def layer_tar(self, number):
        data = decompress(self.blob(self.layers[number]))
        if "sha256:" + hashlib.sha256(data).hexdigest() != self.config["rootfs"]["diff_ids"][number]:
            raise AssertionError(f"layer {number} does not match its diff ID")
        return data

    def layer_names(self, number):
        """Names in one layer's tar, as they are written there."""
        with open_tar(self.layer_tar(number)) as tar:
            return [name.strip("/") for name in tar.getnames()]

    def tree(self):
        """All layers, one upon another: path -> Entry."""
        tree = {}
        for number in range(len(self.layers or [])):
            apply_layer(tree, self.layer_tar(number))
        return tree
