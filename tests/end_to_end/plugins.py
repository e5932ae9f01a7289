"""A package that a third party might have installed: one module, and the entry points that name its parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def make_plugin(folder: Path, module: str, source: str, entry_points: Mapping[str, Mapping[str, str]]) -> Path:
    """Writes `module` and its metadata into `folder`; returns the folder, which belongs on PYTHONPATH.

    `entry_points` is {group: {name: object in the module}}, such as {"ai_sci.editors": {"patch": "PatchEditor"}}.
    """
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {module}:{part}" for name, part in names.items())])
        for group, names in entry_points.items()
    )
    (metadata / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    return folder
