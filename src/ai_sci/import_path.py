"""Keeps the current folder off the import path of ai-sci and of the Python processes that it starts.

People start ai-sci inside template and session folders, which hold an `experiment.py` edited by a model.
"""

import os
import site
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # the folder that `ai_sci` was imported from
_RUN = "import runpy, sys; sys.path[:] = {path!r}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def forget_current_folder() -> None:
    """Removes the current folder, and PYTHONPATH entries relative to it, from `sys.path`.

    `-m` and an empty entry in PYTHONPATH put the current folder there. Python's own folders stay.
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
    """`python -m MODULE ARGUMENTS` with this process's import path, whatever folder it is started in."""
    path = [
        entry for entry in sys.path if os.path.isabs(entry)
    ]  # notebooks have an empty one, for their current folder
    path += [] if _HOME in path else [_HOME]
    return [sys.executable, "-I", "-u", "-c", _RUN.format(path=path, module=module), *arguments]
