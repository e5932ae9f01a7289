"""Templates and ideas on disk: `template.toml`, settings, checks, `ideas.json`.

Every error names its file and line.
"""

from ai_sci.experiment.template.checks import failed_checks
from ai_sci.experiment.template.copying import source_files
from ai_sci.experiment.template.ideas import Idea, find_idea, load_ideas, read_idea, slug, template_ideas
from ai_sci.experiment.template.settings import gpu_present
from ai_sci.experiment.template.template import PrepareStep, Template, bundled_templates, load_template, template_names
