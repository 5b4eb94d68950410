# Both commands do all their own set-up, in a virtual environment of their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
# Most tests wait for sockets most of the time: several at once, also where there are few cores.
PYTEST_ARGS ?= -n 4
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench clean

help:
	@echo "make demo    see the main job, against the embedded simulator"
	@echo "make test    the whole suite, with every quality gate"
	@echo "make bench   measure against rivals (needs a quiet machine)"
	@echo "make format  format and fix what can be fixed"

demo: $(INSTALLED)
	$(BIN)/python -m trmm_async.cli.demo

test: $(DEVELOPING) check
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(DEVELOPING)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

format: $(DEVELOPING)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEVELOPING)
	$(PIP) --group bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip>=25.1"
	$(PIP) --editable ".[cli]"
	touch $@

$(DEVELOPING): $(INSTALLED)
	$(PIP) --group dev
	touch $@
