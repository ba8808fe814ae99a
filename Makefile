# `make demo` and `make test` need make and Python 3.11 or newer. Nothing else: no uv, no Node.
# What each target does is written down in CONTRIBUTING.md; `make` alone lists them.

# The oldest Python first: it is the one that everything must work on.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/installed-from-lock

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench faults lock clean

help:
	@sed -n 's/^## /  make /p' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "dagbook needs Python 3.11 or newer: found none. Name one with \`make PYTHON=/path/to/python3.11 …\`" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dagbook needs Python 3.11 or newer: $(PYTHON) is older. Name another with \`make PYTHON=/path/to/python3.11 …\`" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# pip only fetches and unpacks what the lock names, each file by its hash: it resolves nothing and
# builds nothing. The build backend of the editable install is in the lock for the same reason.
$(STAMP): requirements.lock pyproject.toml $(BIN)/python
	@echo "Installing what requirements.lock names into $(VENV): about a minute …"
	@$(PIP) install --quiet --require-hashes --no-deps --only-binary :all: -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@$(BIN)/python -m bash_kernel.install --sys-prefix 2>/dev/null >&2
	@touch $@

## install   set up .venv from requirements.lock; does nothing when that has not changed
install: $(STAMP)

## demo      set up ./demo and run its notebooks through Dagster
demo: install
	@if test -d demo; then cp -R components/dagbook/demo/. demo/; else $(BIN)/dagbook init demo --demo; fi
	@$(BIN)/python -m dagbook.tour demo

## test      lint, type check and test everything that this machine can
test: install lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

## lint      ruff and mypy, changing nothing
lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## format    let ruff mend what it can
format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## bench     measure dagbook against papermill, nbclient, dagstermill and a plain script
bench: install
	$(BIN)/python tests/benchmarks/bench.py --set-up --write docs/benchmarks.md $(BENCH_ARGS)

## faults    provoke every fault as often as the list of faults says (hours)
faults: install
	$(BIN)/python tests/faults/faults.py --write docs/faults.md $(FAULTS_ARGS)

## lock      resolve requirements.lock anew from pyproject.toml (through uv, installed aside)
lock: $(BIN)/python
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip --disable-pip-version-check install --quiet uv; }
	@printf 'hatchling>=1.26\neditables\n' | .venv-lock/bin/uv --no-config pip compile --quiet \
		--universal --python-version 3.11 --extra test --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml - --output-file requirements.lock

## clean     remove everything that make made
clean:
	rm -rf .venv .venv-lock .venv-bench .venv-dagstermill demo dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find components tests -name __pycache__ -type d -prune -exec rm -rf {} +
