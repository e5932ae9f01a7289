"""One session at work: what every step needs."""

from __future__ import annotations

from dataclasses import dataclass

from ai_sci.agent.budgets import ResourceBroker
from ai_sci.agent.journal import State
from ai_sci.agent.loop.editor import Editor
from ai_sci.agent.session import Recording, Session
from ai_sci.experiment.attempt import Engine, ExecutionContext


@dataclass(frozen=True)
class SessionContext:
    session: Session
    execution: ExecutionContext
    editor: Editor
    broker: ResourceBroker
    engine: Engine
    earlier: Recording | None = None  # whose finished attempts are taken over

    @property
    def state(self) -> State:
        return self.session.state
