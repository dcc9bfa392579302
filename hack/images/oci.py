# SPDX-License-Identifier: Apache-2.0
"""Writes OCI image layouts. The same input gives the same bytes, so digests can be pinned."""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EPOCH = "2020-01-01T00:00:00Z"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Tree:
    """A layer's tar under construction. Parents are added where they are missing."""

    def __init__(self, parents=True):
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._seen = set()
        self._parents = parents

    def entry(self, name, kind, data=b"", mode=0o644, uid=0, gid=0, link="", device=(0, 0), pax=None):
        """Adds one entry exactly as given: hostile layers are made with this."""
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid = kind, mode, uid, gid
        info.linkname, info.size = link, len(data)
        info.devmajor, info.devminor = device
        info.mtime = 1577836800
        info.pax_headers = pax or {}
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def _add(self, path, kind, **fields):
        name = path.strip("/")
        if self._parents:
            parts = name.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                parent = "/".join(parts[:depth])
                if parent not in self._seen:
                    self.dir(parent)
        self._seen.add(name)
        return self.entry(name, kind, **fields)

    def dir(self, path, mode=0o755, uid=0, gid=0):
        return self._add(path, tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)

    def file(self, path, data=b"", mode=0o644, uid=0, gid=0, pax=None):
        data = data.encode() if isinstance(data, str) else data
        return self._add(path, tarfile.REGTYPE, data=data, mode=mode, uid=uid, gid=gid, pax=pax)

    def symlink(self, path, target):
        return self._add(path, tarfile.SYMTYPE, link=target, mode=0o777)

    def hardlink(self, path, target, mode=0o755, uid=0, gid=0):
        # Some unpackers apply the attributes of a hard link to the file it leads to.
        return self._add(path, tarfile.LNKTYPE, link=target.strip("/"), mode=mode,
                         uid=uid, gid=gid)

    def copy(self, source, path=None):
        """Copies a regular file of this machine, following symbolic links."""
        with open(source, "rb") as f:
            mode = stat.S_IMODE(os.fstat(f.fileno()).st_mode)
            return self.file(path or source, f.read(), mode=mode)

    def done(self):
        self._tar.close()
        return self._buffer.getvalue()


class Layout:
    """An OCI layout directory; images are named by org.opencontainers.image.ref.name."""

    def __init__(self, path):
        self.path = path
        self._index = []
        os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def _write(self, name, data):
        with open(os.path.join(self.path, name), "wb") as f:
            f.write(data)

    def blob(self, data, media_type):
        digest = sha256(data)
        self._write("blobs/sha256/" + digest[7:], data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def layer(self, tar):
        """Stores a gzip layer; the result is given to image()."""
        return self.blob(gzip.compress(tar, 6, mtime=0), LAYER), sha256(tar)

    def image(self, layers, config=None, names=(), **overrides):
        """Writes an image of layer() results; returns its manifest's descriptor."""
        document = {
            "created": EPOCH,
            "architecture": architecture(),
            "os": "linux",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [{"created": EPOCH, "created_by": "berth"} for _ in layers],
        }
        document.update(overrides)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(encode(document), CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
        }
        descriptor = self.blob(encode(manifest), MANIFEST)
        for name in names:
            self.name(name, descriptor)
        return descriptor

    def name(self, name, descriptor):
        self._index.append(
            dict(descriptor, annotations={"org.opencontainers.image.ref.name": name}))
        self._write("index.json", encode({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": self._index}))


def encode(document):
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
