"""`ai-sci export`: closed runs for trackers of experiments.

Exporting twice doubles nothing.
"""

from ai_sci.agent.export.send import export
