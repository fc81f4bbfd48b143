"""What of two images has to be equal, and the error that says where they differ.

Times are compared where an epoch makes them a part of the result: then the digests have to be equal. Otherwise a cached
file has the time of when it was made, which is in no key.
"""

import hashlib

from image import Image


class Difference(Exception):
    """`kind` is what differs, in one word: shrinking keeps to it."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def is_git_index(path):
    """Git's index has the times and inodes of what it checked out, which are new each time."""
    return path.endswith(".git/index")


def look(tree):
    """All of a tree but its times: path -> what is there, and which paths are links of one file."""
    def data(path, entry):
        if is_git_index(path):
            return b""
        return entry.data if len(entry.data) < 2000 else hashlib.sha256(entry.data).hexdigest()

    files = {path: (entry.type, oct(entry.mode), entry.owner, entry.target, data(path, entry), entry.device,
                    sorted(entry.xattrs.items())) for path, entry in tree.items()}
    groups = {}
    for path, entry in tree.items():
        if entry.type != "dir":
            groups.setdefault(entry.inode, set()).add(path)
    return files, sorted(sorted(group) for group in groups.values() if len(group) > 1)


def config(image):
    out = {key: value for key, value in image.config.items() if key not in ("created", "rootfs")}
    out["history"] = [{key: value for key, value in entry.items() if key != "created"}
                      for entry in image.config.get("history", [])]
    return out


def shown(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + "..."


def compare_mappings(kind, warm, clean):
    for path in sorted(set(warm) | set(clean)):
        if warm.get(path) != clean.get(path):
            raise Difference(kind, f"{path}\n  cached: {shown(warm.get(path))}\n  clean:  {shown(clean.get(path))}")


def compare_images(warm_path, clean_path, epoch):
    warm, clean = Image.read(warm_path), Image.read(clean_path)
    compare_mappings("config", config(warm), config(clean))
    if len(warm.layers) != len(clean.layers):
        raise Difference("layers", f"{len(warm.layers)} instead of {len(clean.layers)}")
    (warm_files, warm_links), (clean_files, clean_links) = look(warm.tree()), look(clean.tree())
    compare_mappings("tree", warm_files, clean_files)
    if warm_links != clean_links:
        raise Difference("links", f"\n  cached: {warm_links}\n  clean:  {clean_links}")
    for number in range(len(warm.layers)):
        names = [sorted(image.layer_names(number)) for image in (warm, clean)]
        if names[0] != names[1]:
            raise Difference("layer", f"{number}: {shown(sorted(set(names[0]) ^ set(names[1])))}")
    if epoch and warm.digest != clean.digest and not any(map(is_git_index, warm_files)):
        raise Difference("digest", f"{warm.digest} instead of {clean.digest}" + times(warm, clean))


def times(warm, clean):
    """Where digests differ and trees do not: the files whose times do."""
    one, other = warm.tree(), clean.tree()
    return "".join(f"\n  {path}: {one[path].mtime} {other[path].mtime}" for path in sorted(one)
                   if path in other and one[path].mtime != other[path].mtime)[:1500]
