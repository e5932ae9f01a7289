"""Whether file locks work on a folder's filesystem: on network filesystems they may hold on one machine only, or never.

Without a lock, two processes could write to the same session.
"""

from __future__ import annotations

import re
from pathlib import Path

# Types in /proc/self/mountinfo. For other FUSE filesystems the kernel keeps the locks itself, which is enough here.
_UNRELIABLE = re.compile(
    r"nfs4?|cifs|smb3|smbfs|9p|afs|ncpfs|beegfs|vboxsf|"
    r"fuse\.(sshfs|s3fs|gcsfuse|rclone|goofys|geesefs|glusterfs|mount-s3|blobfuse2?|davfs|juicefs|vmhgfs-fuse|cvmfs)"
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def unreliable_filesystem(folder: Path, mountinfo: str) -> str | None:
    """The type of the filesystem of `folder` if its locks are unreliable, else None. `folder` need not exist.

    `mountinfo`: the text of /proc/self/mountinfo.
    """
    path, kind, depth = folder.resolve(), "", -1
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        parts = mount.split()
        if len(parts) < 5 or not source:
            continue
        point = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), parts[4]))
        if (
            path.is_relative_to(point) and len(point.parts) >= depth
        ):  # a later mount on the same point hides the earlier one
            kind, depth = source.split()[0], len(point.parts)
    return kind if _UNRELIABLE.fullmatch(kind) else None
