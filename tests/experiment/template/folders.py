"""Hand-made template folders and packages for the tests, and a look at processes."""

from __future__ import annotations

import time
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
        for file, content in {
            f"{name}.py": text,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"{name}.py,,\n",
        }.items():
            wheel.writestr(zipfile.ZipInfo(file), content)  # with a fixed date: the same text is the same wheel
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


def gone(pid: int) -> bool:
    """Whether the process ends within two seconds; one that nobody has waited for yet counts as ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
