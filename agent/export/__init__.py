"""`ai-sci export`: sends finished runs to an experiment tracker.

Exporting twice creates no duplicates.
"""

from ai_sci.agent.export.send import export
