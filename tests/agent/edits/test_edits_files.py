"""Writing planned texts into a session folder: all or none, and nothing outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_sci.agent.edits import EditRefused, write_files
from ai_sci.agent.edits import files as edit_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "experiment.py").write_text("old\n")
    (folder / "plot.py").write_text("old plot\n")
    (tmp_path / "outside.py").write_text("outside\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_files_are_written_as_they_are_planned(folder: Path):
    texts = {"experiment.py": "α = 1\r\nb\udce9\n", "notes.txt": "no end", "src/deep/model.py": "x\n"}
    write_files(folder, texts)
    assert contents(folder) == {
        "experiment.py": "α = 1\r\nb".encode() + b"\xe9\n",
        "plot.py": b"old plot\n",
        "notes.txt": b"no end",
        "src/deep/model.py": b"x\n",
    }


def test_permissions_are_kept(folder: Path):
    (folder / "plot.py").chmod(0o754)
    write_files(folder, {"plot.py": "new\n", "notes.txt": "new\n"})
    umask = os.umask(0)
    os.umask(umask)
    assert (folder / "plot.py").stat().st_mode & 0o777 == 0o754
    assert (folder / "notes.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_a_killed_harness_left_is_no_obstacle(folder: Path):
    (folder / ".experiment.py.new").write_text("half")
    write_files(folder, {"experiment.py": "new\n"})
    assert contents(folder) == {"experiment.py": b"new\n", "plot.py": b"old plot\n"}


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "a/../../outside.py", "..", "", "a\\b.py", "a\0.py"])
def test_names_outside_the_folder(folder: Path, name: str):
    before = contents(folder.parent)
    with pytest.raises(EditRefused, match="is not a file inside"):
        write_files(folder, {"experiment.py": "new\n", name: "new\n"})
    assert contents(folder.parent) == before


def test_symbolic_links_are_refused(folder: Path):
    (folder / "plot.py").unlink()
    (folder / "plot.py").symlink_to(folder.parent / "outside.py")
    (folder / "src").symlink_to(folder.parent)
    (folder / "dangling.py").symlink_to(folder.parent / "missing.py")
    before = contents(folder.parent)
    for name in ("plot.py", "src/outside.py", "dangling.py"):
        with pytest.raises(EditRefused, match="is a symbolic link"):
            write_files(folder, {"experiment.py": "new\n", name: "new\n"})
    assert contents(folder.parent) == before


def test_a_link_in_the_place_of_the_file_beside(folder: Path):
    (folder / ".experiment.py.new").symlink_to(folder.parent / "outside.py")
    write_files(folder, {"experiment.py": "new\n"})
    assert (folder.parent / "outside.py").read_text() == "outside\n"
    assert contents(folder)["experiment.py"] == b"new\n"


def test_what_is_no_file_is_refused(folder: Path):
    (folder / "notes.txt").mkdir()
    os.mkfifo(folder / "pipe.py")
    for name in ("notes.txt", "pipe.py"):
        with pytest.raises(EditRefused, match="not a regular file"):
            write_files(folder, {"experiment.py": "new\n", name: "new\n"})
    assert contents(folder)["experiment.py"] == b"old\n"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_rename_that_fails_undoes_those_before_it(folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int):
    before = contents(folder)
    rename, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing + 1:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no"):
        write_files(folder, {"experiment.py": "new\n", "notes.txt": "new\n", "plot.py": "new\n"})
    assert contents(folder) == before


def test_a_full_disk_leaves_everything_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = contents(folder)
    synced = []

    def fsync(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(edit_files.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        write_files(folder, {"experiment.py": "new\n", "plot.py": "new\n"})
    assert contents(folder) == before
