"""Shared basics: errors, quantities, verdicts, limits, processes, the cache folder, located TOML and JSON.

Imports no other room.
"""

from ai_sci.experiment.base import process_tree
from ai_sci.experiment.base.allocation import Allocation
from ai_sci.experiment.base.cache import cache_folder, cache_root, hash_of, locked
from ai_sci.experiment.base.child import Finished, run_child
from ai_sci.experiment.base.cleaning import clean_output, last_error_line, printable
from ai_sci.experiment.base.errors import AiSciError, ConfigError, DiskFull, EnvironmentFailed
from ai_sci.experiment.base.limits import Limits, machine_memory
from ai_sci.experiment.base.located import TomlFile, line_at, read_json, read_text, read_toml
from ai_sci.experiment.base.output import LIVE_BYTES, TAIL_BYTES, Output
from ai_sci.experiment.base.plugins import installed_plugins, load_plugin, make_plugin, plugin_errors
from ai_sci.experiment.base.process_tree import ProcessIdentity, boot_id, end_leftover, identify, still_runs
from ai_sci.experiment.base.quantities import format_duration, format_size, parse_duration, parse_size, seconds_in
from ai_sci.experiment.base.tables import Table, nearest
from ai_sci.experiment.base.trusted_env import secret_variables, trusted_environment
from ai_sci.experiment.base.verdict import Verdict
