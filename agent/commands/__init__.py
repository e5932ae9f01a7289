"""What the commands do: open, resume and replay sessions, create templates, examine the machine."""

from ai_sci.agent.commands.doctor import examine
from ai_sci.agent.commands.engines import engine_kind, read_engine_options
from ai_sci.agent.commands.model_choice import asked_model, choose_model, scripted_session
from ai_sci.agent.commands.new import copy_template
from ai_sci.agent.commands.new_session import check_git, check_machine, numbered_folder, session_folder
from ai_sci.agent.commands.replay import ReplayOptions
from ai_sci.agent.commands.resuming import ResumeOptions, resume
from ai_sci.agent.commands.start import (
    RunOptions,
    SessionStopped,
    create_session,
    drive_session,
    exit_code,
    limits_of,
    run,
)
