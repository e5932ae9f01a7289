"""Hand-made template folders and packages for the tests."""

from __future__ import annotations

import zipfile
from pathlib import Path


def make_template(folder: Path, toml: str | None = None, **files: str) -> Path:
    """A template folder; `files` are named with `__` for `/` and `_` before the suffix for `.`: `prepare_py`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.py").write_text("print('hello')\n")
    if toml is not None:
        (folder / "template.toml").write_text(toml)
    for name, text in files.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def make_wheel(folder: Path, name: str, version: str, text: str) -> Path:
    """A wheel with one module, so that pip can install something without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def make_source_package(folder: Path, name: str, build: str) -> Path:
    """A package folder whose in-tree build backend runs the Python lines `build` before it builds its wheel."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
    )
    body = "".join(f"    {line}\n" for line in build.splitlines())
    (folder / "backend.py").write_text(
        "import zipfile\nfrom pathlib import Path\n\n\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        f"{body}"
        f"    name, info = '{name}-1.0-py3-none-any.whl', '{name}-1.0.dist-info'\n"
        "    with zipfile.ZipFile(Path(directory, name), 'w') as wheel:\n"
        f"        wheel.writestr('{name}.py', 'answer = 42')\n"
        f"        wheel.writestr(info + '/METADATA', 'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n"
        "        wheel.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        f"        wheel.writestr(info + '/RECORD', '{name}.py,,\\n')\n"
        "    return name\n"
    )
    return folder
