"""`ai-sci report`: a session or a batch as one page that anybody can open, and check against what it was made from.

A page is a function of the journal and the commits that it names, and of nothing else.
"""

from ai_sci.agent.report.check import check_report, tell_checked
from ai_sci.agent.report.commits import Commits
from ai_sci.agent.report.make import write_report
