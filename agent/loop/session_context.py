"""What every step of the loop needs."""

from __future__ import annotations

from dataclasses import dataclass

from ai_sci.agent.budgets import ResourceBroker
from ai_sci.agent.journal import State
from ai_sci.agent.loop.editor import Editor
from ai_sci.agent.session import Recording, Session
from ai_sci.experiment.attempt import Engine, ExecutionContext


@dataclass(frozen=True)
class SessionContext:
    """An open session with its editor, engine and budgets."""

    session: Session
    execution: ExecutionContext
    editor: Editor
    broker: ResourceBroker
    engine: Engine
    earlier: Recording | None = None  # its finished attempts are reused

    @property
    def state(self) -> State:
        """The session's state as of the last event."""
        return self.session.state
