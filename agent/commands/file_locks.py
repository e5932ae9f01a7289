"""Whether locks hold on the filesystem of a folder: on network filesystems flock may bind one machine only, or nobody.

Two processes that both take themselves for the only one would write to the same session.
"""

from __future__ import annotations

import re
from pathlib import Path

# By type in /proc/self/mountinfo. Of other FUSE filesystems the kernel keeps the locks itself, which is enough here.
_UNRELIABLE = re.compile(
    r"nfs4?|cifs|smb3|smbfs|9p|afs|ncpfs|beegfs|vboxsf|"
    r"fuse\.(sshfs|s3fs|gcsfuse|rclone|goofys|geesefs|glusterfs|mount-s3|blobfuse2?|davfs|juicefs|vmhgfs-fuse|cvmfs)"
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def unreliable_filesystem(folder: Path, mountinfo: str) -> str | None:
    """The type of the filesystem that `folder` is on, if its locks cannot be relied on. `folder` need not exist.

    `mountinfo`: the text of /proc/self/mountinfo.
    """
    path, kind, depth = folder.resolve(), "", -1
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        parts = mount.split()
        if len(parts) < 5 or not source:
            continue
        point = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), parts[4]))
        if path.is_relative_to(point) and len(point.parts) >= depth:  # of two on one point, the later one is seen
            kind, depth = source.split()[0], len(point.parts)
    return kind if _UNRELIABLE.fullmatch(kind) else None
