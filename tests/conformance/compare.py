"""What differs between two images: config, history, layers, media types and the flattened files."""

import difflib
import fnmatch
import hashlib
import json
from collections import defaultdict


def _config(image):
    """The config without what has to differ: times, and the layers' digests, of which the number stays."""
    config = json.loads(json.dumps(image.config))
    config.pop("created", None)
    for entry in config.get("history") or []:
        entry.pop("created", None)
    config.get("rootfs", {})["diff_ids"] = len(image.layers or [])
    return config


def _values(where, ours, theirs):
    """Differences of two JSON values, one line for each place."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _values(f"{where}.{key}", ours.get(key, "(none)"), theirs.get(key, "(none)"))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (our, their) in enumerate(zip(ours, theirs)):
            yield from _values(f"{where}.{number}", our, their)
    elif ours != theirs:
        yield f"{where}: lade {json.dumps(ours)}, buildkit {json.dumps(theirs)}"


def _show(data):
    if len(data) > 4000:
        return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:12]}"
    return repr(data)


def _link_groups(tree):
    groups = defaultdict(list)
    for path, entry in tree.items():
        if entry.type != "dir":
            groups[entry.inode].append(path)
    return {path: group for group in groups.values() if len(group) > 1 for path in group}


def _files(ours, theirs, mtimes):
    our_links, their_links = _link_groups(ours), _link_groups(theirs)
    for path in sorted(ours.keys() | theirs.keys()):
        our, their = ours.get(path), theirs.get(path)
        if our is their:  # of one layer that both have
            continue
        if our is None or their is None:
            yield f"tree/{path}: only in {'buildkit' if our is None else 'lade'} ({(our or their).type})"
            continue
        for field, show in (("type", str), ("mode", oct), ("owner", str), ("target", str), ("data", _show),
                            ("xattrs", str), ("device", str)):
            a, b = getattr(our, field), getattr(their, field)
            if a != b:
                yield f"tree/{path} {field}: lade {show(a)}, buildkit {show(b)}"
        if our_links.get(path) != their_links.get(path):
            yield f"tree/{path} links: lade {our_links.get(path)}, buildkit {their_links.get(path)}"
        if any(fnmatch.fnmatchcase(path, glob) for glob in mtimes) and int(our.mtime) != int(their.mtime):
            yield f"tree/{path} mtime: lade {our.mtime}, buildkit {their.mtime}"


def _layer_files(image, number):
    """What a layer adds or changes. How it deletes (names, or an opaque directory) is its own business."""
    return {name for name in image.layer_names(number) if not name.rpartition("/")[2].startswith(".wh.")}


def _layers(ours, theirs):
    """The flattened trees say what the layers come to; this says that each has what its own step made."""
    digests = [image.config["rootfs"]["diff_ids"] or [] for image in (ours, theirs)]
    for number, (our_digest, their_digest) in enumerate(zip(*digests)):
        if our_digest != their_digest:
            our, their = _layer_files(ours, number), _layer_files(theirs, number)
            for name in sorted(our ^ their):
                yield f"layer/{number}/{name}: only in {'lade' if name in our else 'buildkit'}"


def differences(ours, theirs, mtimes=()):
    """Lines that say where lade's image differs from BuildKit's."""
    found = list(_values("config", _config(ours), _config(theirs)))
    for name in ("mediaType", "annotations"):
        found += _values(f"manifest.{name}", ours.manifest.get(name), theirs.manifest.get(name))
    found += _values("manifest.layers", [layer["mediaType"] for layer in ours.layers or []],
                     [layer["mediaType"] for layer in theirs.layers or []])
    return found + list(_layers(ours, theirs)) + list(_files(ours.tree(), theirs.tree(), mtimes))


def texts(ours, theirs):
    """Lines that say where the answers to a subrequest differ."""
    for line in difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "buildkit", "lade", lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield f"answer: only in {'lade' if line[0] == '+' else 'buildkit'}: {line[1:]!r}"
