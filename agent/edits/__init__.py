"""Turns a reply into new file contents, applying all of its edits or none, and lints the result.

Parsing and planning touch no file; `write_files` does. The linter is slow to import, so import it from
`ai_sci.agent.edits.lint` where it is used.
"""

from ai_sci.agent.edits.files import EditRefused, write_files
from ai_sci.agent.edits.formats import Edit, EditFormat
from ai_sci.agent.edits.match import NoLocation, replace_once
from ai_sci.agent.edits.not_edits import Seen, seen_instead
from ai_sci.agent.edits.parse import (
    all_completed,
    edit_instructions,
    edits_of,
    load_edit_formats,
    parse_reply,
    prose_of,
)
from ai_sci.agent.edits.planning import plan_edits, plan_files
from ai_sci.agent.edits.reasoning import end_of_reasoning, opens_reasoning, part_reasoning
from ai_sci.agent.edits.scan import Fence, Scan, lone_names, name_above, scan_reply
