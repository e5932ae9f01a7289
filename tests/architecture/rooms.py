"""Our rooms and modules, as they lie on disk."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ai_sci"
SIDES = ("agent", "experiment")


def rooms() -> set[str]:
    """`agent/cli` and so on: the packages directly below a side."""
    return {f"{side}/{init.parent.name}" for side in SIDES for init in (ROOT / side).glob("*/__init__.py")}


def modules() -> dict[str, Path]:
    """The file of each module of ours, by its dotted name; a package goes by its own, without `__init__`."""
    files = [*PACKAGE.glob("*.py"), *(file for side in SIDES for file in (PACKAGE / side).rglob("*.py"))]
    return {_dotted(file): file for file in files}


def _dotted(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
