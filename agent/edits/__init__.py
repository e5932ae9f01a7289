"""From a reply to new file contents, all of its edits or none; and the linter that reads the result.

Parsing and planning touch no file; `write_files` does.
"""

from ai_sci.agent.edits.lint import lint_report
from ai_sci.agent.edits.planning import EditRefused, plan_edits, write_files
from ai_sci.agent.edits.scan import Scan, all_completed, scan_reply

__all__ = [
    "EditRefused",
    "Scan",
    "all_completed",
    "lint_report",
    "plan_edits",
    "scan_reply",
    "write_files",
]
