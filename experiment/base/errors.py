"""Errors that end a command with one clear line instead of a traceback."""

from __future__ import annotations


class AiSciError(Exception):
    """The message is one line: what is wrong and how to fix it. `exit_code` is the command's exit code."""

    exit_code = 2


class ConfigError(AiSciError):
    """The command, the template or the configuration is wrong; nothing was started."""

    exit_code = 2


class EnvironmentFailed(AiSciError):
    """Something outside the session failed (network, pip, prepare step); the same command can be retried."""

    exit_code = 3


class DiskFull(AiSciError):
    """The disk is full, and not because of the experiment: attempts mean nothing until there is space."""

    exit_code = 3
