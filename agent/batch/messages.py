"""What the processes of a batch say to each other: the sessions' ask, the batch's answers.

They go over a socket pair that the batch made before it forked the session, so both ends are this same program.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Union

from ai_sci.agent.budgets import Amount, BudgetReached, Limit
from ai_sci.experiment.attempt import AttemptPlan
from ai_sci.experiment.base import AiSciError, Allocation
from ai_sci.experiment.slots import Held

_MOST = 64 * 1024  # bytes of a message
_HEADLINE = 1000  # characters: what a metric is called, or a server says, may be of any length
_DESCRIPTORS = 250  # the kernel takes 253 with one message, and a share of a large machine's CPUs has one for each
_MORE = b"more"  # a message that only brings descriptors for the one that follows; no pickle begins so


# What a session says.


@dataclass(frozen=True)
class WantSlot:
    """It waits for a slot; GivenSlot or Refused is the answer."""

    run: int
    attempt: int
    gpus: int


@dataclass(frozen=True)
class SlotIsFree:
    pass


@dataclass(frozen=True)
class Reserve:
    """It waits until this is set aside; Reserved or Refused is the answer."""

    worst_case: Amount


@dataclass(frozen=True)
class Settle:
    reserved: Amount
    spent: Amount


@dataclass(frozen=True)
class WhatIsLeft:
    """SharedLimits is the answer."""


@dataclass(frozen=True)
class Headline:
    """Something that a person wants to know, and how far the session is, where that has changed."""

    text: str
    runs_closed: int | None = None
    runs_left: int | None = None


# What the batch answers.


@dataclass(frozen=True)
class GivenSlot:
    allocation: Allocation  # its locks come as descriptors beside the message


@dataclass(frozen=True)
class Reserved:
    pass


@dataclass(frozen=True)
class SharedLimits:
    limits: Mapping[str, Limit]


@dataclass(frozen=True)
class Refused:
    reason: str


Said = Union[WantSlot, SlotIsFree, Reserve, Settle, WhatIsLeft, Headline]
Answer = Union[GivenSlot, Reserved, SharedLimits, Refused]


class Hangup(AiSciError):
    """The other end is gone."""

    exit_code = 3


def new_channel() -> tuple[socket.socket, socket.socket]:
    """Both ends; each message arrives whole and alone."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Said | Answer, descriptors: Sequence[int] = ()) -> None:
    """Raises Hangup when the other end is gone."""
    parts = [descriptors[at : at + _DESCRIPTORS] for at in range(0, len(descriptors), _DESCRIPTORS)] or [()]
    try:
        for part in parts[:-1]:
            socket.send_fds(channel, [_MORE], list(part))
        socket.send_fds(channel, [pickle.dumps(message)], list(parts[-1]))
    except ConnectionError as error:
        raise Hangup("the batch's own process has ended") from error


def receive(channel: socket.socket) -> tuple[Said | Answer, tuple[int, ...]]:
    """The next message, and the descriptors that came with it. Raises Hangup."""
    data, descriptors = _MORE, []
    while data == _MORE:
        try:
            data, more, flags, _ = socket.recv_fds(channel, _MOST, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError as error:
            raise Hangup("the batch's own process has ended") from error
        descriptors += more
        if not data or flags & socket.MSG_CTRUNC:
            Held((), descriptors).close()
            if data:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # a slot with some of its locks is none
            raise Hangup("the batch's own process has ended")
    return pickle.loads(data), tuple(descriptors)


class SharedResources:
    """A session's end: asks the batch, and waits for its answers."""

    own = "--session-max-"

    def __init__(self, channel: socket.socket, time_limit: Limit | None, on_gpus: bool) -> None:
        """`time_limit` is the batch's, as used now. `on_gpus`: whether its slots are GPUs."""
        self._channel = channel
        self._time_limit, self._since = time_limit, time.monotonic()
        self._on_gpus = on_gpus

    def reserve(self, worst_case: Amount) -> None:
        send(self._channel, Reserve(worst_case))
        answer, _ = receive(self._channel)
        if isinstance(answer, Refused):
            raise BudgetReached(answer.reason)

    def settle(self, reserved: Amount, spent: Amount) -> None:
        with contextlib.suppress(Hangup):  # the batch is gone; what was spent is in this session's journal
            send(self._channel, Settle(reserved, spent))

    def time_left(self) -> float:
        limit = self._time()
        return math.inf if limit is None else limit.left

    def limits(self) -> Mapping[str, Limit]:
        send(self._channel, WhatIsLeft())
        answer, _ = receive(self._channel)
        shared = answer.limits if isinstance(answer, SharedLimits) else {}
        limit = self._time()
        return shared if limit is None else {**shared, limit.name: limit}

    def _time(self) -> Limit | None:
        limit = self._time_limit
        return limit and replace(limit, used=limit.used + time.monotonic() - self._since)

    def gpus_for(self, plan: AttemptPlan) -> int:
        return plan.limits.gpus if self._on_gpus else 0

    @contextmanager
    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> Iterator[Allocation]:
        send(self._channel, WantSlot(plan.run, plan.attempt, plan.limits.gpus))
        answer, descriptors = receive(self._channel)
        if not isinstance(answer, GivenSlot):
            raise BudgetReached(answer.reason if isinstance(answer, Refused) else f"no slot, but {answer}")
        held = Held((), descriptors)
        try:
            if limit := self._time():
                limit.check()
            yield replace(answer.allocation, lock_fds=descriptors, time_left=self.time_left())
        finally:
            held.close()
            with contextlib.suppress(Hangup):  # the locks are free all the same
                send(self._channel, SlotIsFree())

    def headline(self, text: str, runs_closed: int | None = None, runs_left: int | None = None) -> None:
        with contextlib.suppress(Hangup):
            send(self._channel, Headline(text[:_HEADLINE], runs_closed, runs_left))
