"""The messages between the processes of a batch: sessions ask, the batch answers.

They travel over a socket pair created before the fork. Both ends are this program, so pickle is safe.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import socket
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Union

from ai_sci.agent.budgets import Amount, BudgetReached, Limit
from ai_sci.experiment.attempt import AttemptPlan
from ai_sci.experiment.base import AiSciError, Allocation
from ai_sci.experiment.slots import Held

_MOST = 64 * 1024  # bytes per message
_HEADLINE = 1000  # characters, since metric names and server errors can be of any length
_DESCRIPTORS = 250  # per message; the kernel's limit is 253, and a CPU slot needs one per CPU
_MORE = b"more"  # carries extra descriptors for the next message; no pickle starts like this


# From a session.


@dataclass(frozen=True)
class WantSlot:
    """Asks for a slot. The answer, GivenSlot or Refused, may take long."""

    run: int
    attempt: int
    gpus: int


@dataclass(frozen=True)
class SlotIsFree:
    """The session has released its slot."""


@dataclass(frozen=True)
class Reserve:
    """Asks to reserve this amount. The answer, Reserved or Refused, may take long."""

    worst_case: Amount


@dataclass(frozen=True)
class Settle:
    """Replaces an earlier reserve with the amount spent. Not answered."""

    reserved: Amount
    spent: Amount


@dataclass(frozen=True)
class WhatIsLeft:
    """Asks for SharedLimits."""


@dataclass(frozen=True)
class Headline:
    """A line for the batch's screen and, where it has changed, the session's progress. Not answered."""

    text: str
    runs_closed: int | None = None
    runs_left: int | None = None


# From the batch.


@dataclass(frozen=True)
class GivenSlot:
    """A slot for one attempt. Its locks come as descriptors with the message."""

    allocation: Allocation


@dataclass(frozen=True)
class Reserved:
    """The amount asked for is reserved."""


@dataclass(frozen=True)
class SharedLimits:
    """The limits that the sessions share, by name, with what is used of each."""

    limits: Mapping[str, Limit]


@dataclass(frozen=True)
class Refused:
    """A slot or reserve was refused, for this reason."""

    reason: str


Said = Union[WantSlot, SlotIsFree, Reserve, Settle, WhatIsLeft, Headline]
Answer = Union[GivenSlot, Reserved, SharedLimits, Refused]


class Hangup(AiSciError):
    """The other end is gone."""

    exit_code = 3


def new_channel() -> tuple[socket.socket, socket.socket]:
    """Both ends of a channel that keeps message boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Said | Answer, descriptors: Sequence[int] = ()) -> None:
    """Sends one message with its descriptors. Raises Hangup when the other end is gone."""
    parts = [descriptors[at : at + _DESCRIPTORS] for at in range(0, len(descriptors), _DESCRIPTORS)] or [()]
    try:
        for part in parts[:-1]:
            socket.send_fds(channel, [_MORE], list(part))
        socket.send_fds(channel, [pickle.dumps(message)], list(parts[-1]))
    except ConnectionError as error:
        raise Hangup("the batch's own process has ended") from error


def receive(channel: socket.socket) -> tuple[Said | Answer, tuple[int, ...]]:
    """Waits for the next message and its descriptors. Raises Hangup when the other end is gone."""
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
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # some of the slot's locks were lost
            raise Hangup("the batch's own process has ended")
    return pickle.loads(data), tuple(descriptors)


class SharedResources:
    """The session's side: asks the batch for slots and budgets and waits for the answers."""

    own = "--session-max-"

    def __init__(self, channel: socket.socket, time_limit: Limit | None, on_gpus: bool) -> None:
        """`time_limit` is the batch's, as used so far. `on_gpus`: whether its slots are GPUs."""
        self._channel = channel
        self._time_limit, self._since = time_limit, time.monotonic()
        self._on_gpus = on_gpus

    def reserve(self, worst_case: Amount) -> None:
        """Reserves `worst_case` from the shared budgets, waiting if need be. Raises BudgetReached."""
        send(self._channel, Reserve(worst_case))
        answer, _ = receive(self._channel)
        if isinstance(answer, Refused):
            raise BudgetReached(answer.reason)

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Replaces the reserve with what was spent."""
        with contextlib.suppress(Hangup):  # our journal has what was spent
            send(self._channel, Settle(reserved, spent))

    def time_left(self) -> float:
        """Seconds left of the batch's time limit; infinite without one."""
        limit = self._time()
        return math.inf if limit is None else limit.left

    def limits(self) -> Mapping[str, Limit]:
        """The batch's limits by name, with what all sessions have used of them."""
        send(self._channel, WhatIsLeft())
        answer, _ = receive(self._channel)
        shared = answer.limits if isinstance(answer, SharedLimits) else {}
        limit = self._time()
        return shared if limit is None else {**shared, limit.name: limit}

    def _time(self) -> Limit | None:
        limit = self._time_limit
        return limit and replace(limit, used=limit.used + time.monotonic() - self._since)

    def gpus_for(self, plan: AttemptPlan) -> int:
        """The number of GPUs that the attempt would hold."""
        return plan.limits.gpus if self._on_gpus else 0

    @contextmanager
    def slot(self, plan: AttemptPlan, tell: Callable[[str], None]) -> Generator[Allocation, None, None]:
        """Waits for a slot and holds it for the attempt. Raises BudgetReached when refused."""
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
            with contextlib.suppress(Hangup):  # the locks are released anyway
                send(self._channel, SlotIsFree())

    def headline(self, text: str, runs_closed: int | None = None, runs_left: int | None = None) -> None:
        """Sends a line for the batch's screen and, if given, the session's progress."""
        with contextlib.suppress(Hangup):
            send(self._channel, Headline(text[:_HEADLINE], runs_closed, runs_left))
