"""Two gates that an attempt waits at, so that killing the harness at any moment never leaves it running.

Each gate is a shell that waits for a line and exits if the harness is gone. The outer one holds everything back until
the limits and the journal are in place. The inner one holds the program back until the sandbox is: before that, nothing
would end the program if the harness were killed.
"""

from __future__ import annotations

import socket
import time

from ai_sci.experiment.base import process_tree

OUTER = ("/bin/sh", "-c", 'read -r go && exec "$@"', "gate")
INNER = ("/bin/sh", "-c", 'echo ready >&0 && read -r go && exec "$@" </dev/null', "gate")
_SETTLING = 1.0  # seconds


def open_gates(gate: socket.socket, root: int, pid_namespace: bool) -> None:
    """Lets process `root` start; `gate` is the other end of its stdin.

    Never fails: a process that died at a gate shows that by its exit code.
    """
    try:
        go(gate)
        if gate.recv(16):
            if pid_namespace:
                _let_settle(root)
            go(gate)
    except OSError:  # killed at the gate
        pass


def go(gate: socket.socket) -> None:
    """Opens the gate that `root` is waiting at. Raises OSError if it is gone."""
    gate.sendall(b"go\n")


def _let_settle(root: int) -> None:
    """Waits until both bubblewrap processes sleep: only then have they set their parent-death signals."""
    deadline = time.monotonic() + _SETTLING
    while time.monotonic() < deadline:
        if all(map(process_tree.is_waiting, process_tree.tree(root, most=1)[:2])):
            return
        time.sleep(0.001)
