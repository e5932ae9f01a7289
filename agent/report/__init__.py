"""`ai-sci report`: a session or a batch as one HTML page that anybody can open and check against its records.

A page depends only on the journal and the commits that it names.
"""

from ai_sci.agent.report.check import check_report, tell_checked
from ai_sci.agent.report.commits import Commits
from ai_sci.agent.report.make import write_report
