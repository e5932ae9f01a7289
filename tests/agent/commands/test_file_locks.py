"""`ai-sci doctor` warns of a runs folder whose locks may not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_sci.agent.commands.file_locks import unreliable_filesystem

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:42 / /mnt/c rw - 9p drvfs rw
34 22 0:43 / /mnt/ssh rw - fuse.sshfs user@host: rw
35 22 0:44 / /mnt/pool rw - fuse.mergerfs a:b rw
36 22 0:45 / /over rw - nfs server:/over rw
37 36 0:46 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    "folder, found",
    [
        ("/data/runs", None),
        ("/home/me/runs", "nfs4"),
        ("/home/local/runs", None),  # a disk below a network filesystem
        ("/homes/runs", None),  # not below /home
        ("/mnt/my share/runs", "cifs"),
        ("/mnt/c", "9p"),
        ("/mnt/ssh/runs", "fuse.sshfs"),
        ("/mnt/pool/runs", None),
        ("/over/runs", None),  # the later mount hides the earlier
    ],
)
def test_the_filesystem_of_a_folder(folder, found):
    assert unreliable_filesystem(Path(folder), MOUNTS) == found


def test_links_are_followed(tmp_path):
    (tmp_path / "runs").symlink_to("/home/me")
    assert unreliable_filesystem(tmp_path / "runs", MOUNTS) == "nfs4"


def test_lines_that_nobody_can_read_are_passed_over():
    assert unreliable_filesystem(Path("/home/me"), "half a line\n\n" + MOUNTS + "40 22 0:1 / /home") == "nfs4"
