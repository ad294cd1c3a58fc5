"""Where Linux writes the limits that a container or a service sets on its processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def group_files(
    controller: str, version_2: str, version_1: str, membership: Path, mount: Path
) -> Iterator[Path]:
    """The named file of every group the process is in, itself and all above, where there is one.

    A container sees its own group as the top one; a service of the host is in one further down.
    https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/cgroups.html.
    """
    lines = membership.read_text().splitlines() if membership.exists() else []
    groups = [("", "/"), (controller, "/"), *(tuple(line.split(":", 2)[1:]) for line in lines)]
    for controllers, group in groups:
        if controllers and controller not in controllers.split(","):
            continue
        top, name = (mount / controller, version_1) if controllers else (mount, version_2)
        for folder in (PurePosixPath(group), *PurePosixPath(group).parents):
            file = top / str(folder).lstrip("/") / name
            if file.exists():
                yield file
