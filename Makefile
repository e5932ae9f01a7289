# make setup | run | test | test-all | test-live | test-slurm | gauntlet | bench: each installs what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For the server that `make test-live` talks to: its packages conflict with aider-chat's pins in $(VENV).
LIVE := .venv-live
# bubblewrap comes from PyPI; to use the system's instead, run scripts/install-sandbox.sh (needs root).
.PHONY: images setup run test test-all test-live test-slurm gauntlet lint format bench clean

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12) and "ai-sci needs Python 3.10-3.12; this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# The main job with the defaults: a scripted session and a small real language model; no API key, no model hub.
run: setup
	$(BIN)/ai-sci run --idea temporal_sae

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	$(BIN)/pytest -n 3

test-all: lint
	$(BIN)/pytest -n 2 -m 'not live and not slurm'

test-live: setup $(LIVE)/.done
	AI_SCI_LIVE_REQUIRED=1 $(BIN)/pytest -m live -v -s --durations=0 tests/live

$(LIVE)/.done: tests/live/requirements.txt
	$(PYTHON) -m venv --clear $(LIVE)
	$(LIVE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Against a real two-node Slurm cluster on this host. Needs root, and Debian or Ubuntu to install the daemons from.
test-slurm: setup
	@if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo "test-slurm skipped: it starts Slurm's daemons, which needs root on Debian or Ubuntu"; \
	else \
		scripts/install-slurm.sh && $(BIN)/pytest -n 2 -m slurm tests/slurm; \
	fi

# Injects every known fault into the real command and prints a table of the outcomes; takes about 15 minutes.
gauntlet: setup
	$(BIN)/python -m tests.gauntlet

bench: setup
	$(BIN)/python -m tests.bench

# Remakes the screenshot of `ai-sci watch` in the README.
images: setup
	$(BIN)/python scripts/watch_image.py

clean:
	rm -rf $(VENV) $(LIVE)
