"""What tests of caches that machines share have in common. A machine is a state directory."""

import gzip
import hashlib
import json
import pathlib
import struct

from image import make_tar

STAGES = """FROM busybox AS tool
RUN echo tool > /tool; echo noise
FROM busybox
COPY --from=tool /tool /bin/tool
COPY a.txt /dst/
RUN cat /dst/a.txt /bin/tool > /both
"""

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class TwoMachines:
    """For test cases: `self.ws.state` is this machine, `self.there` another one; the context is STAGES."""

    def setUp(self):
        super().setUp()
        self.there = self.ws.new_state(name="other-machine")
        self.write({"Dockerfile": STAGES, "a.txt": "a\n"})


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content_of_image_layer(diff_id):
    """What content keys see of an image's layer: its diff ID, packed as lade packs it."""
    return sha256(struct.pack("<Q", 7) + b"diff-id" + bytes.fromhex(diff_id.removeprefix("sha256:")))


class CacheDirectory:
    """The directory of a cache of type=local, read and rewritten by hand."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.index = json.loads((self.path / "index.json").read_text())
        self.manifest = json.loads(self.read(self.index["manifests"][0]))
        self.document = json.loads(self.read(self.manifest["config"]))

    def blob(self, digest):
        return self.path / "blobs" / digest.replace(":", "/")

    def read(self, descriptor):
        return self.blob(descriptor["digest"]).read_bytes()

    def put(self, data, media_type):
        self.blob(sha256(data)).write_bytes(data)
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    def layer(self, entries, **claims):
        """A layer of the document with these files; `claims` replace what is true of it. Returns its index."""
        tar = make_tar(entries)
        layer = {"diffID": sha256(tar), "content": sha256(b"whatever"),
                 "blob": self.put(gzip.compress(tar, mtime=0), OCI_LAYER)}
        layer.update(claims)
        self.document["layers"].append({name: value for name, value in layer.items() if value is not None})
        return len(self.document["layers"]) - 1

    def save(self):
        """Writes the document, and a manifest that lists it."""
        self.manifest["config"].update(self.put(json.dumps(self.document).encode(), self.manifest["config"]["mediaType"]))
        self.index["manifests"][0].update(
            self.put(json.dumps(self.manifest).encode(), self.index["manifests"][0]["mediaType"]))
        (self.path / "index.json").write_text(json.dumps(self.index))
