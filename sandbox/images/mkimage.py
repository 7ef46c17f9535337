#!/usr/bin/env python3
"""mkimage.py OUT.tar NAME:TAG FOLDER [key=value ...]: an OCI image archive of one layer, the folder's content.

keys: entrypoint, cmd (JSON lists), env (repeatable), user, workdir. The layer is not compressed: the archive is
imported on the same machine. The same folder gives the same digests.
"""
import hashlib
import io
import json
import os
import sys
import tarfile


def clean(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def main():
    out, name, root = sys.argv[1:4]
    options = {}
    for argument in sys.argv[4:]:
        key, value = argument.split("=", 1)
        options.setdefault(key, []).append(value)

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in sorted(os.listdir(root)):
            tar.add(os.path.join(root, entry), arcname=entry, filter=clean)
    layer = buffer.getvalue()

    config = {"Env": options.get("env", ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])}
    for key, field in (("entrypoint", "Entrypoint"), ("cmd", "Cmd")):
        if key in options:
            config[field] = json.loads(options[key][0])
    for key, field in (("user", "User"), ("workdir", "WorkingDir")):
        if key in options:
            config[field] = options[key][0]
    image = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "mkimage"}],
    }).encode()

    media = "application/vnd.oci.image."
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": media + "manifest.v1+json",
        "config": {"mediaType": media + "config.v1+json", "digest": digest(image), "size": len(image)},
        "layers": [{"mediaType": media + "layer.v1.tar", "digest": digest(layer), "size": len(layer)}],
    }).encode()
    index = json.dumps({
        "schemaVersion": 2,
        "mediaType": media + "index.v1+json",
        "manifests": [{
            "mediaType": media + "manifest.v1+json",
            "digest": digest(manifest),
            "size": len(manifest),
            "platform": {"architecture": "amd64", "os": "linux"},
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
            },
        }],
    }).encode()

    with tarfile.open(out, "w") as tar:
        def add(path, content):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add("index.json", index)
        for blob in (manifest, image, layer):
            add("blobs/sha256/" + digest(blob)[7:], blob)


main()
