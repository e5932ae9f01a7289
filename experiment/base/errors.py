"""The errors that end a command with one clear line instead of a traceback."""

from __future__ import annotations


class AiSciError(Exception):
    """One line that says what is wrong and what to do about it; `exit_code` is the command's."""

    exit_code = 2


class ConfigError(AiSciError):
    """The command, the template or the configuration is wrong; nothing was started."""

    exit_code = 2


class EnvironmentFailed(AiSciError):
    """Something outside the session failed (network, pip, prepare step); the same command can be tried again."""

    exit_code = 3


class DiskFull(AiSciError):
    """The disk is full, and not because of the experiment: no attempt can say anything until there is room."""

    exit_code = 3
