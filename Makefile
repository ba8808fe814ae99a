# `make demo` and `make test` need make and Python 3.11 or newer. Nothing else: no uv, no Node.
# What each target does is written down in CONTRIBUTING.md; `make` alone lists them.

# The oldest Python first: it is the one that everything must work on.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed-from-lock

# dagstermill holds jupyter-client below 8 and ipykernel below 7: it, and the runner on that older
# pair, are tested in an environment of their own.
DAGSTERMILL := .venv-dagstermill
DAGSTERMILL_STAMP := $(DAGSTERMILL)/installed-from-lock
DAGSTERMILL_TESTS := tests/components/notebook_runner/test_dagstermill_adapter.py \
	tests/components/notebook_runner/test_dagstermill_problems.py \
	tests/components/notebook_runner/test_dagstermill_step.py
OLDER_KERNEL_TESTS := tests/components/execution/test_run.py \
	tests/components/execution/test_foreign_kernel.py \
	tests/components/execution/test_parity.py \
	tests/components/execution/test_endings.py::test_a_dead_kernel_is_told_with_its_cell_and_output_is_kept

.DEFAULT_GOAL := help
.PHONY: help install demo test test-dagstermill lint format bench faults lock clean

help:
	@sed -n 's/^## /  make /p' $(firstword $(MAKEFILE_LIST))

$(BIN)/python $(DAGSTERMILL)/bin/python:
	@test -n "$(PYTHON)" || { echo "dagbook needs Python 3.11 or newer: found none. Name one with \`make PYTHON=/path/to/python3.11 …\`" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dagbook needs Python 3.11 or newer: $(PYTHON) is older. Name another with \`make PYTHON=/path/to/python3.11 …\`" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(@:/bin/python=)

# pip only fetches and unpacks what the lock names, each file by its hash: it resolves nothing and
# builds nothing. The build backend of the editable install is in the lock for the same reason.
define install_lock
	@echo "Installing what $< names into $(@D): about a minute …"
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps --only-binary :all: -r $<
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --no-index --editable .
	@$(@D)/bin/python -m bash_kernel.install --sys-prefix 2>/dev/null >&2
	@touch $@
endef

$(STAMP): requirements.lock pyproject.toml $(BIN)/python
	$(install_lock)

$(DAGSTERMILL_STAMP): requirements-dagstermill.lock pyproject.toml $(DAGSTERMILL)/bin/python
	$(install_lock)

## install   set up .venv from requirements.lock; does nothing when that has not changed
install: $(STAMP)

## demo      set up ./demo and run its notebooks through Dagster
demo: install
	@if test -d demo; then cp -R components/dagbook/demo/. demo/; else $(BIN)/dagbook init demo --demo; fi
	@$(BIN)/python -m dagbook.tour demo

# All the tests are run by several processes, for they wait most of the time: more than a small
# machine has cores. A part of them (PYTEST_ARGS) is run by one, which starts at once.
WORKERS ?= 4
BY_WORKERS := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# dagbook is compiled once, where Python is told to write no bytecode (PYTHONDONTWRITEBYTECODE):
# each of the hundreds of processes that the tests start would compile it anew.
COMPILE := -m compileall -q components

## test      lint, type check and test everything that this machine can
test: install
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target \
		lint $(if $(PYTEST_ARGS),,test-dagstermill)
	@$(BIN)/python $(COMPILE)
	$(BIN)/python -m pytest $(or $(PYTEST_ARGS),$(BY_WORKERS))

# The part with dagstermill is required to be there.
test-dagstermill: $(DAGSTERMILL_STAMP)
	@$(DAGSTERMILL)/bin/python $(COMPILE)
	DAGBOOK_REQUIRE=dagstermill $(DAGSTERMILL)/bin/python -m pytest $(BY_WORKERS) -p no:cacheprovider \
		$(DAGSTERMILL_TESTS) $(OLDER_KERNEL_TESTS)

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
bench: install $(DAGSTERMILL_STAMP)
	$(BIN)/python tests/benchmarks/bench.py --set-up --write docs/benchmarks.md $(BENCH_ARGS)
	$(BIN)/python tests/benchmarks/definitions.py --write docs/benchmarks-definitions.md

## faults    provoke every fault as often as the list of faults says (hours)
faults: install $(DAGSTERMILL_STAMP)
	$(BIN)/python tests/faults/faults.py --write docs/faults.md $(FAULTS_ARGS)

# The second lock follows the first, but for the pair that dagstermill holds back. scikit-learn is
# for `make bench`, whose contestants all have it.
## lock      resolve both locks anew from pyproject.toml (through uv, installed aside)
lock: $(BIN)/python
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip --disable-pip-version-check install --quiet uv; }
	@printf 'hatchling>=1.26\neditables\n' | .venv-lock/bin/uv --no-config pip compile --quiet \
		--universal --python-version 3.11 --extra test --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml - --output-file requirements.lock
	@sed -n 's/^\([a-z0-9].*==.*\) \\$$/\1/p' requirements.lock \
		| grep -vE '^(jupyter-client|ipykernel)==' >.venv-lock/constraints.txt
	@printf '%s\n' hatchling editables pytest pytest-timeout pytest-xdist \
		bash_kernel ipywidgets jsonschema scikit-learn \
		| .venv-lock/bin/uv --no-config pip compile --quiet \
		--universal --python-version 3.11 --extra dagstermill --upgrade \
		--constraint .venv-lock/constraints.txt \
		--generate-hashes --no-emit-index-url --no-annotate --no-header \
		pyproject.toml - --output-file requirements-dagstermill.lock

## clean     remove everything that make made
clean:
	rm -rf .venv .venv-lock .venv-bench .venv-dagstermill demo dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find components tests -name __pycache__ -type d -prune -exec rm -rf {} +
