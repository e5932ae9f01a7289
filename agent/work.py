"""One session at work: what every step needs."""

from __future__ import annotations

from dataclasses import dataclass

from agent.desk import Desk
from agent.model import Model
from agent.recording import Recording
from agent.session import Session
from agent.state import State
from experiment.engine import Engine
from experiment.setup import Setup


@dataclass(frozen=True)
class Work:
    session: Session
    setup: Setup
    model: Model
    desk: Desk
    engine: Engine
    earlier: Recording | None = None  # whose finished attempts are taken over

    @property
    def state(self) -> State:
        return self.session.state
