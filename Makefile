# Everything a fresh checkout needs: Python 3.11 or newer, and make.
# The first target that needs it makes .venv; a change of pyproject.toml renews it.
#
#   PYTHON=/path/to/python make test     another interpreter (`make clean` first)
#   make test ARGS="-k router -x"        more arguments for the tool

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
RUN  := $(VENV)/.stamp-run
DEV  := $(VENV)/.stamp-dev
ARGS ?=

# `--verifytypes` heeds no option but asks the first python on the PATH.
PYRIGHT := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright

# Pyright runs on node: 200 MB from PyPI, only for a machine that has none.
NODE = $(if $(shell command -v node),,'pyright[nodejs]')

CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)

.PHONY: help demo test lint format bench prove build clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(RUN) ## run the customer-events example on its sample (ARGS=recorded files)
	@$(BIN)/python -m examples.customer_events $(ARGS)

test: $(DEV) ## run the tests, on asyncio and trio, and the code in the docs
	@$(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests.halves)

lint: $(DEV) ## style, format, types, completeness of public types, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy flowkit $(wildcard tests/typing)
	$(PYRIGHT) --verifytypes flowkit --ignoreexternal
	$(if $(wildcard tests/typing),$(PYRIGHT) tests/typing)
	$(BIN)/codespell

format: $(DEV) ## let ruff mend what it can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(DEV) ## overhead a step, as ratios to floors measured in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

prove: $(DEV) ## the long proofs: every property at its full count (hours)
	@FLOWKIT_PROVE=1 $(BIN)/python -m pytest -m prove --timeout=0 $(ARGS)

build: $(DEV) ## the wheel, in dist/
	@$(BIN)/python -m build --wheel

clean: ## remove everything that make made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate counts only if it runs (a pyenv shim may not), is new enough and can
# make an environment (Debian keeps ensurepip in a package of its own).
$(BIN)/python:
	@old=; bare=; \
	for python in $(CANDIDATES); do \
	    version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { old="$$python $$version"; continue; }; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { bare="$$python"; continue; }; \
	    echo "Setting up $(VENV) with $$python (Python $$version)"; \
	    exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$bare" ]; then \
	    echo "$$bare cannot make environments: ensurepip is missing." >&2; \
	    echo "On Debian or Ubuntu: sudo apt-get install python3-venv. Then run make again." >&2; \
	elif [ -n "$$old" ]; then \
	    echo "flowkit needs Python 3.11 or newer; found $$old." >&2; \
	    echo "Name another one: make PYTHON=/path/to/python3.11" >&2; \
	else \
	    echo "None of these runs: $(CANDIDATES). flowkit needs Python 3.11 or newer." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.11" >&2; \
	fi; \
	exit 1

# What a user installs; enough for `make demo`.
$(RUN): pyproject.toml | $(BIN)/python
	@echo "Installing flowkit and its extras"
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.[cli,cron,plot,trio]'
	@touch $@

$(DEV): pyproject.toml $(RUN) | $(BIN)/python
	@echo "Installing the tools for tests and checks (once, about a minute)"
	@$(PIP) install --group dev $(NODE)
	@touch $@
