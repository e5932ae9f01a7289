"""What the commands do: open a session, resume it, replay it, make a template, examine the machine.

From options to a session that is being driven, and from its end to a status.
"""

from ai_sci.agent.commands.doctor import examine
from ai_sci.agent.commands.engines import engine_kind, read_engine_options
from ai_sci.agent.commands.model_choice import asked_model, choose_model, scripted_session
from ai_sci.agent.commands.new import copy_template
from ai_sci.agent.commands.replay import ReplayOptions
from ai_sci.agent.commands.resuming import ResumeOptions, resume
from ai_sci.agent.commands.start import (
    RunOptions,
    SessionStopped,
    check_machine,
    create_session,
    drive_session,
    exit_code,
    limits_of,
    run,
    session_folder,
)

__all__ = [
    "ReplayOptions",
    "ResumeOptions",
    "RunOptions",
    "SessionStopped",
    "asked_model",
    "check_machine",
    "choose_model",
    "copy_template",
    "create_session",
    "drive_session",
    "engine_kind",
    "examine",
    "exit_code",
    "limits_of",
    "read_engine_options",
    "resume",
    "run",
    "scripted_session",
    "session_folder",
]
