# Everything runs from .venv, which any target makes when it is missing or older than what it is made from.
# Needs Python >= 3.11 with venv, nothing else. `make test ARGS="tests/core -x"` passes arguments on.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV  := .venv
BIN   := $(VENV)/bin
PY    := $(BIN)/python
READY := $(VENV)/.ready
UV    ?= uv
ARGS  ?=
HOURS ?= 1

# Three processes share many tests out, each with a server of its own: most tests wait. What ARGS choose runs in one,
# unless WORKERS says otherwise.
WORKERS ?= $(if $(ARGS),0,3)
PYTEST  := $(PY) -m pytest --numprocesses=$(WORKERS) --dist=worksteal

# the linters share two processors; output of each stays together where make can do that (4.0 and later)
PARALLEL := -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

LINT := check-types check-lint check-format check-layers check-dependencies

.PHONY: help setup demo test test-slow check lint bench loadtest chaos soak docs clean lock
.PHONY: check-format check-lint check-types check-layers check-dependencies check-tests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make .venv with the pinned dependencies (every other target does it too)
	@:

demo: $(READY) ## show what the pool does, on a PostgreSQL of its own
	@$(BIN)/dbpool demo $(ARGS)

test: $(READY) ## the test suite, but for what searches and loads a server for long
	@$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(READY) ## the rest of it (some ten minutes)
	@$(PYTEST) -m slow $(ARGS)

check: $(READY) ## all that lint does, and the tests without a server (under a minute)
	@$(MAKE) $(PARALLEL) -k check-tests $(LINT)

lint: $(READY) ## format, lint, types, layers, dependencies
	@$(MAKE) $(PARALLEL) -k $(LINT)

bench: $(READY) ## side by side with other pools
	@$(PY) -m bench $(ARGS)

loadtest: $(READY) ## find the limit of a server, with a report in build/loadtest (about two minutes)
	@$(BIN)/dbpool loadtest run --quick -o build/loadtest $(ARGS)

chaos: $(READY) ## ten minutes of faults on servers of its own; build/chaos.json says what broke
	@$(PY) -m tests.rigs chaos --json build/chaos.json $(ARGS)

soak: $(READY) ## HOURS=1 of faults and a ledger of every write; build/soak.json says what broke
	@$(PY) -m tests.rigs soak --hours $(HOURS) --json build/soak.json $(ARGS)

docs: $(READY) ## the documentation as a site, in build/site (`.venv/bin/mkdocs serve` shows it while you write)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet $(ARGS)

clean: ## remove .venv, caches and build results
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -type d -name __pycache__ -prune -exec rm -rf {} +

lock: ## pin the newest allowed versions in requirements.lock (needs uv)
	@$(UV) pip compile pyproject.toml --all-extras --group dev --group bench --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --upgrade --quiet \
	  --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

check-format: ; @$(BIN)/ruff format --check --output-format=concise --quiet . || { echo "not formatted: run $(BIN)/ruff format ."; exit 1; }
check-lint: ; @$(BIN)/ruff check --quiet .
check-types: ; @$(BIN)/mypy --no-error-summary && cd examples && MYPYPATH=. ../$(BIN)/mypy --no-error-summary --config-file ../pyproject.toml *.py support
check-layers: ; @out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }
check-dependencies: ; @out=$$($(BIN)/deptry . 2>&1) || { echo "$$out"; exit 1; }
check-tests: ; @$(PYTEST) -q tests/core tests/loop tests/loadtest/scripts \
	tests/loadtest/recording tests/loadtest/points tests/loadtest/reports $(ARGS)

$(READY): requirements.lock pyproject.toml
	@rm -f $@
	@if $(PY) -c 'import pip' 2>/dev/null; then echo "Bringing $(VENV) up to date."; else \
	  found=; new=; \
	  for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    new=$$python; \
	    $$python -c 'import venv, ensurepip' 2>/dev/null && found=$$python && break; \
	  done; \
	  if [ -z "$$new" ]; then \
	    echo "dbpool needs Python 3.11 or newer on the PATH: install it, or say make PYTHON=/path/to/python3." >&2; exit 1; \
	  elif [ -z "$$found" ]; then \
	    echo "$$($$new -V) has no venv and ensurepip: install them (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found -V): this takes a minute, once."; \
	  rm -rf $(VENV) && $$found -m venv $(VENV); \
	fi
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
