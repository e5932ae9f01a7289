"""Runs a command in a terminal of its own: python -m tests.gauntlet.terminal COMMAND…

SIGUSR1 closes the terminal, as a dropped ssh connection does; SIGUSR2 types Ctrl-C. What the command prints goes to
stdout. Exits like the command.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import sys


def main(command: list[str]) -> int:
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    signal.signal(signal.SIGUSR2, lambda *_: os.write(master, b"\x03"))
    hung_up: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: hung_up.append(1))
    while not hung_up:
        if not select.select([master], [], [], 0.05)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # the command has ended
            break
        if not data:
            break
        os.write(1, data)
    os.close(master)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
