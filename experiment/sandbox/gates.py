"""The two gates that an attempt waits at, so that at no instant a killed harness leaves it running.

Two shells wait for a line each, and give up when the harness is gone. The outer one lets the limits and the journal be
in place before anything starts. The inner one lets the sandbox be in place before the program starts: until then
nothing would end it if the harness were killed.
"""

from __future__ import annotations

import socket
import time

from ai_sci.experiment.base import process_tree

OUTER = ("/bin/sh", "-c", 'read -r go && exec "$@"', "gate")
INNER = ("/bin/sh", "-c", 'echo ready >&0 && read -r go && exec "$@" </dev/null', "gate")
_SETTLING = 1.0  # seconds


def open_gates(gate: socket.socket, root: int, pid_namespace: bool) -> None:
    """`gate` is the other end of the stdin of process `root`. A process that ended at a gate says so by its exit."""
    try:
        go(gate)
        if gate.recv(16):
            if pid_namespace:
                _let_settle(root)
            go(gate)
    except OSError:  # killed at the gate
        pass


def go(gate: socket.socket) -> None:
    gate.sendall(b"go\n")


def _let_settle(root: int) -> None:
    """Until bubblewrap waits, outside and as process 1 inside: just before, each asks to be killed with its parent."""
    deadline = time.monotonic() + _SETTLING
    while time.monotonic() < deadline:
        if all(map(process_tree.is_waiting, process_tree.tree(root, most=1)[:2])):
            return
        time.sleep(0.001)
