"""Where this command and the Pythons that it starts import from: never a folder that depends on where it was started.

Folders of templates and sessions hold an `experiment.py` that a model has edited, and people start ai-sci there.
"""

import os
import site
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # the folder that `ai_sci` was imported from
_RUN = "import runpy, sys; sys.path[:] = {path!r}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def forget_current_folder() -> None:
    """Takes the current folder and what PYTHONPATH names relative to it off `sys.path`.

    `-m` puts the current folder there, and so does an empty entry in PYTHONPATH. Python's own folders stay.
    """
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = "/nowhere"
    relative = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if not os.path.isabs(entry)]
    hostile = {os.path.realpath(os.path.join(here, entry)) for entry in (".", *relative)}
    hostile -= {os.path.realpath(entry) for entry in (os.path.dirname(os.__file__), *site.getsitepackages())}
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) not in hostile]


def python_argv(module: str, *arguments: str) -> list[str]:
    """`python -m MODULE ARGUMENTS` that imports from where this process does, whatever folder it is started in."""
    path = [entry for entry in sys.path if os.path.isabs(entry)]  # a notebook's has an empty one: its current folder
    path += [] if _HOME in path else [_HOME]
    return [sys.executable, "-I", "-u", "-c", _RUN.format(path=path, module=module), *arguments]
