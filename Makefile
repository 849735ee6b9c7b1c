# `make help` lists the targets. Everything comes from PyPI and npm; nothing needs root.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# Three workers on two cores: much of the suite waits. `make test N=8` on a larger machine.
N ?= 3
T ?= tests
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_STAMP := .venv/.stamp-run
DEV_STAMP := .venv/.stamp-dev
PACKAGE_STAMP := .venv/.stamp-package
NODE_STAMP := node_modules/.stamp
CLIENTS_STAMP := .cache/clients/.stamp
CLIENTS_LOCKS := $(wildcard tests/clients/python/*.txt) $(addprefix tests/clients/node/,package.json package-lock.json .npmrc)

.PHONY: help run dev check format lint types layers tidy budgets fix test check-vendor bench lock clean

help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMP) $(PACKAGE_STAMP) ## install what is missing and serve on 127.0.0.1:8000 (ARGS="--port 9000")
	@exec $(BIN)/halley serve $(ARGS)

dev: $(DEV_STAMP) $(PACKAGE_STAMP) ## serve from data/dev with a fixed test key, each setting overridable from outside
	@export HALLEY_DATA_DIR="$${HALLEY_DATA_DIR:-data/dev}"; \
	export HALLEY_BOOTSTRAP_KEY="$${HALLEY_BOOTSTRAP_KEY:-sk-test-development-only}"; \
	export HALLEY_SANDBOX_DELAY="$${HALLEY_SANDBOX_DELAY:-0.5}"; \
	export PYTHONDEVMODE=1 PYTHONUNBUFFERED=1; \
	env | grep -E '^HALLEY_' | grep -v '^HALLEY_SECRET=' | sort | sed 's/^/  /'; \
	exec $(BIN)/halley serve $(ARGS)

check: ## formatter, linter, types, layers, house rules and budgets, about a minute; all of them, whatever fails
	@$(MAKE) --keep-going format lint types layers tidy budgets

format: $(DEV_STAMP)
	@echo "ruff format --check" && $(BIN)/ruff format --check --output-format=concise . || \
		{ echo "Run \`make fix\` to format these."; exit 1; }

lint: $(DEV_STAMP)
	@echo "ruff check" && $(BIN)/ruff check --quiet --output-format=concise .

types: $(DEV_STAMP) $(PACKAGE_STAMP) $(NODE_STAMP)
	@echo "pyright" && node_modules/.bin/pyright

layers: $(DEV_STAMP) $(PACKAGE_STAMP)
	@echo "lint-imports" && output="$$($(BIN)/lint-imports --no-logo 2>&1)" || { echo "$$output"; exit 1; }

tidy: $(DEV_STAMP)
	@echo "scripts/tidy.py" && $(BIN)/python scripts/tidy.py

budgets: $(DEV_STAMP) $(PACKAGE_STAMP) ## count what calls cost and hold it to scripts/budgets.toml (ARGS="--explain chat", "--write")
	@echo "scripts/budgets" && $(BIN)/python -m scripts.budgets $(or $(ARGS),--quiet)

fix: $(DEV_STAMP) ## let ruff format the tree and mend what it safely can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

test: $(DEV_STAMP) $(PACKAGE_STAMP) $(CLIENTS_STAMP) ## run the tests (T=tests/ledger for some, N=8 for more workers, ARGS="-x")
	@$(BIN)/python -m pytest -n $(N) $(T) $(ARGS)

check-vendor: $(DEV_STAMP) $(PACKAGE_STAMP) ## run the conformance suite and the house rules for one vendor (V=name)
	@test -n "$(V)" || { echo "Name a vendor: make check-vendor V=name, one of:"; \
		for each in src/halley/vendors/*/__init__.py; do echo "  $$(basename "$$(dirname "$$each")")"; done; exit 2; }
	@$(BIN)/python scripts/tidy.py
	@$(BIN)/python -m pytest tests/conformance --vendor=$(V) $(ARGS)

bench: $(DEV_STAMP) $(PACKAGE_STAMP) ## measure calls beside nginx and other gateways, half an hour (ARGS="--peers none", "--help")
	@$(BIN)/python -m bench $(ARGS)

lock: $(DEV_STAMP) ## resolve the dependencies anew and write the lock files (UPGRADE=1 takes newer versions)
	@UPGRADE="$(UPGRADE)" scripts/lock.sh

clean: ## remove environments and caches; ./data stays
	rm -rf .venv node_modules .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build
	find src tests scripts bench -name __pycache__ -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------ environments, made when stale

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Halley needs Python 3.11 or later, but \`$(PYTHON)\` is: $$($(PYTHON) --version 2>&1 || true)"; \
		echo "Install it, or name another one: make PYTHON=/path/to/python3.11 run"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "\`$(PYTHON) -m venv\` did not work, so .venv could not be made."; \
		echo "On Debian and Ubuntu the module is a package of its own: python3-venv"; exit 1; }

$(RUN_STAMP): requirements/build.txt requirements/run.txt | $(BIN)/python
	@echo "Installing what the gateway needs (about half a minute, once)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/run.txt
	@touch $@

$(DEV_STAMP): requirements/dev.txt | $(BIN)/python
	@echo "Installing what checks and tests need (about a minute, once)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@ $(RUN_STAMP)

# The build backend is pinned in requirements/build.txt, so nothing is resolved or downloaded here.
$(PACKAGE_STAMP): pyproject.toml | $(RUN_STAMP)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_STAMP): package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo "pyright comes from npm: install Node 20 or later for \`make check\`."; exit 1; }
	@npm ci --silent
	@touch $@

$(CLIENTS_STAMP): $(CLIENTS_LOCKS) scripts/clients.sh | $(BIN)/python
	@echo "Installing the clients that the tests run (about half a minute, once)"
	@scripts/clients.sh
	@touch $@
