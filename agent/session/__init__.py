"""One session on disk: its folder, lock, git log, readable log and screen.

`read_state` reads the state of a session without opening it.
"""

from ai_sci.agent.session.deciding_metric import Deciding, deciding, session_template
from ai_sci.agent.session.git_command import GitFailed, run_git
from ai_sci.agent.session.git_log import GitLog, sha256_of, split_artefacts, try_git
from ai_sci.agent.session.logbook import comparison, first_problem, metrics_line, plain_story, story
from ai_sci.agent.session.reading import read_entries, read_state
from ai_sci.agent.session.recording import EditEvent, Outcome, Recording, load_recording, position_of
from ai_sci.agent.session.screen import LogScreen, PlainScreen, Screen, open_screen
from ai_sci.agent.session.session import (
    JOURNAL,
    Session,
    create_folder,
    folder_in_making,
    is_driven,
    journal_length,
    locked,
    wait_for_leftovers,
    write_records,
)
from ai_sci.agent.session.workspace import NOTES, PLOT, code_files, read_texts
