"""Small rooms with one door each, named in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.rooms import PACKAGE, ROOT, SIDES, modules, rooms

LONGEST = 300  # lines
MOST_IN_THE_ROOT = 5  # modules
# Beside what a room lists, other rooms import from these modules of it: whoever needs the room does not pay for them.
DOORS = {
    "ai_sci.agent.commands.replay",
    "ai_sci.agent.commands.replay_history",
    "ai_sci.agent.commands.start",
    "ai_sci.agent.edits.lint",
    "ai_sci.experiment.slurm.commands",
}


@pytest.mark.parametrize("side", SIDES)
def test_few_modules_are_in_no_room(side: str):
    loose = sorted(file.name for file in (ROOT / side).glob("*.py"))
    assert len(loose) <= MOST_IN_THE_ROOT, f"{side}/ has {loose}: move them into rooms"


def test_no_module_is_long():
    lengths = {name: len(file.read_text().splitlines()) for name, file in modules().items()}
    assert len(lengths) > 100, "are these all of our modules?"
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_other_rooms_import_what_a_room_exports():
    wrong = [
        f"{importer} imports {name} from {source}"
        for importer, source, name in _imports()
        if (room := _room(source))
        and room != _room(importer)
        and not (source == room and name in _exports(room))
        and not DOORS & {source, f"{source}.{name}"}
        and importer != "ai_sci.__main__"
    ]
    assert wrong == [], "import it from the room's __init__.py, which exports what it imports"


def test_inside_a_room_modules_import_modules():
    ours = modules()
    wrong = [
        f"{importer} imports {name} from {source}"
        for importer, source, name in _imports()
        if source == _room(importer) != importer and f"{source}.{name}" not in ours
    ]
    assert wrong == [], "import from the module that defines it, not from the room's own __init__.py"


def test_the_architecture_names_every_room_and_no_other():
    rows = re.findall(
        r"^\| `((?:agent|experiment)/\w+)/?`", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted(rooms())


def _imports() -> Iterator[tuple[str, str, str]]:
    """Importing module, module imported from, imported name ("" for a plain `import`), wherever in the file it is."""
    for importer, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{importer}: relative import"
                yield from ((importer, node.module or "", alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((importer, alias.name, "") for alias in node.names)


def _room(module: str) -> str:
    """`ai_sci.agent.cli` for anything in that room; "" for what is in none."""
    room = ".".join(module.split(".")[:3])
    return room if "/".join(room.split(".")[1:]) in rooms() and room.startswith("ai_sci.") else ""


def _exports(room: str) -> set[str]:
    tree = ast.parse((PACKAGE.parent / room.replace(".", "/") / "__init__.py").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}
