# make setup | run | test | test-all | test-live | test-slurm | gauntlet | bench: each sets up what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The server that `make test-live` talks to: aider-chat's pins leave no room for its packages in $(VENV).
LIVE := .venv-live
# bubblewrap comes from PyPI; scripts/install-sandbox.sh installs the system's instead, which needs root.
.PHONY: images setup run test test-all test-live test-slurm gauntlet lint format bench clean

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12) and "ai-sci needs Python 3.10-3.12; this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# The main job on the embedded defaults: scripted session, small real language model, no key, no hub.
run: setup
	$(BIN)/ai-sci run --idea temporal_sae

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
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

# Against a real cluster of two nodes on this host: as root, on Debian, which is where its daemons are installed from.
test-slurm: setup
	@if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo "test-slurm is skipped: it starts Slurm's daemons, which needs root on Debian (or Ubuntu)"; \
	else \
		scripts/install-slurm.sh && $(BIN)/pytest -n 2 -m slurm tests/slurm; \
	fi

# Every fault that we know of, against the real command: a table, in at most 10 minutes.
gauntlet: setup
	$(BIN)/python -m tests.gauntlet

bench: setup
	$(BIN)/python -m tests.bench

# The screenshot of `ai-sci watch` in the README, made anew.
images: setup
	$(BIN)/python scripts/watch_image.py

clean:
	rm -rf $(VENV) $(LIVE)
