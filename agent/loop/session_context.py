"""One session at work: what every step needs."""

from __future__ import annotations

from dataclasses import dataclass

from ai_sci.agent.budgets.broker import ResourceBroker
from ai_sci.agent.journal.state import State
from ai_sci.agent.models.protocol import Model
from ai_sci.agent.session.recording import Recording
from ai_sci.agent.session.session import Session
from ai_sci.experiment.attempt.engine import Engine
from ai_sci.experiment.attempt.execution_context import ExecutionContext


@dataclass(frozen=True)
class SessionContext:
    session: Session
    execution: ExecutionContext
    model: Model
    broker: ResourceBroker
    engine: Engine
    earlier: Recording | None = None  # whose finished attempts are taken over

    @property
    def state(self) -> State:
        return self.session.state
