"""The machine images that the endpoint knows: Ubuntu's, with the names and the owner they have on EC2."""

import json

CANONICAL = "099720109477"

#: Release name, version, name of the volume type in the path, dates of publication (newest last).
_RELEASES = [
    ("focal", "20.04", "hvm-ssd", ["20250408", "20250530.2"]),
    ("jammy", "22.04", "hvm-ssd", ["20260807", "20261023"]),
    ("noble", "24.04", "hvm-ssd-gp3", ["20260818", "20261103"]),
    ("resolute", "26.04", "hvm-ssd-gp3", ["20260911", "20261109"]),
]


def all_images():
    """Descriptions in moto's form. One old and one current image of each release and architecture, so that
    "the newest" is a choice."""
    images = []
    for release, version, volumes, dates in _RELEASES:
        for arch, architecture in (("amd64", "x86_64"), ("arm64", "arm64")):
            for date in dates:
                name = f"ubuntu/images/{volumes}/ubuntu-{release}-{version}-{arch}-server-{date}"
                number = f"{int(version.replace('.', '')):04x}{int(date[:8]):08x}{len(arch) + ord(arch[1]):05x}"
                day = f"{date[:4]}-{date[4:6]}-{date[6:8]}"
                images.append(
                    {
                        "ami_id": f"ami-{number}",
                        "owner_id": CANONICAL,
                        "name": name,
                        "image_location": f"{CANONICAL}/{name}",
                        "description": f"Canonical, Ubuntu, {version}, {arch} {release} image",
                        "creation_date": f"{day}T05:12:33.000Z",
                        "state": "available",
                        "public": True,
                        "architecture": architecture,
                        "root_device_name": "/dev/sda1",
                        "root_device_type": "ebs",
                        "virtualization_type": "hvm",
                        "hypervisor": "xen",
                        "image_type": "machine",
                        "sriov": "simple",
                        "platform": None,
                    }
                )
    return images


def write(path):
    """Writes the list where moto reads it (`MOTO_AMIS_PATH`)."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(all_images(), file)
