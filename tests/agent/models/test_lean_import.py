"""A lean import puts off, and leaves nothing out."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from ai_sci.agent.models.lean_import import lean_import, re_exports

EVERY_NAME = """
import importlib, sys
from pathlib import Path
from ai_sci.agent.models.lean_import import lean_import, re_exports
with lean_import():
    import openai
root, lazy = Path(openai.__file__).parent, 0
for init in sorted(root.rglob("__init__.py")):
    homes = re_exports(init.read_text())
    if not homes:
        continue
    lazy += 1
    package = importlib.import_module(".".join(("openai", *init.parent.relative_to(root).parts)))
    assert "__file__" in vars(package) and set(package.__all__) == set(homes)
    for name, (home, original) in homes.items():
        there = importlib.import_module(f"{package.__name__}.{home}")
        assert getattr(package, name) is getattr(there, original), (package, name)
        assert getattr(package, home.split(".")[0]).__name__ == f"{package.__name__}.{home.split('.')[0]}"
    assert not hasattr(package, "nothing_of_that_name")
assert lazy > 20, lazy
"""


def test_every_name_of_openais_lazy_packages_is_what_it_always_was():
    done = subprocess.run([sys.executable, "-c", EVERY_NAME], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "source, homes",
    [
        ("from .a import B as B, C\n__all__ = ['B', 'C']\n", {"B": ("a", "B"), "C": ("a", "C")}),
        ("from __future__ import annotations\nfrom .a.b import c as D\n", {"D": ("a.b", "c")}),
        ("from .a import B\nB.rebuild()\n", {}),  # it does something
        ("import os\n", {}),
        ("from ..a import B\n", {}),
        ("from .a import *\n", {}),
        ("from .a import a\n", {}),  # a name that is a submodule's too
        ("", {}),
    ],
)
def test_only_an_init_that_does_nothing_but_re_export_is_lazy(source, homes):
    assert re_exports(source) == homes


def test_all_is_as_before_after_it():
    from pydantic import BaseModel

    with lean_import():
        assert not gc.isenabled()

        class Later(BaseModel):
            value: int

    class Now(BaseModel):
        value: int

    assert gc.isenabled() and sys.modules.get("httpx._main", gc) is not None
    assert not Later.__pydantic_complete__ and Now.__pydantic_complete__
    assert Later(value="3").value == 3  # type: ignore[arg-type]
