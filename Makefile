# Both commands do all their own set-up, in a virtual environment of their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
# Most tests wait for sockets most of the time: several at once, also where there are few cores.
PYTEST_ARGS ?= -n 7 --dist worksteal
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# A venv of ours is read by many processes of ours: each would compile everything once more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage test-versions format generated docs dist bench soak clean

help:
	@echo "make demo    see the main job, against the embedded simulator"
	@echo "make test    the whole suite"
	@echo "make check   the quality gates: ruff, mypy, pyright, import-linter; CI runs them beside the tests"
	@echo "make coverage  the suite, and how much of the package it runs: less than 95 % is a failure"
	@echo "make test-versions  the suite with the lowest versions allowed, and on other Pythons that are here"
	@echo "make bench   measure against rivals (needs a quiet machine)"
	@echo "make soak    hours of work: what has grown, what was sent or told twice (SOAK_MINUTES=5: less)"
	@echo "make generated  write anew what is made from the code: pages, the stub of the synchronous client"
	@echo "make docs    the site, into site/: no warning, every link and heading looked up"
	@echo "make dist    sdist and wheel, checked, installed into an empty environment, the demo run from there"
	@echo "make format  format and fix what can be fixed"

demo: $(INSTALLED)
	$(BIN)/python -m trmm_async.cli.demo

test: $(DEVELOPING)
	$(BIN)/pytest $(PYTEST_ARGS)

# Apart from the tests: to be watched makes them take twice the time.
coverage: $(DEVELOPING)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(DEVELOPING)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.typed_docs
	$(BIN)/basedpyright --level error
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/typed.py
	$(BIN)/lint-imports

# The suite with the lowest versions that pyproject.toml allows, then on each other Python that is installed.
PYTHONS := 3.12 3.13
LOWEST := .venv-lowest
test-versions:
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tools/lowest.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/lowest.txt \
		--editable ".[cli,isal,jq,keyring,mcp,nats,otel,parquet,postgres,prometheus,redis]" --group dev
	$(LOWEST)/bin/pytest $(PYTEST_ARGS)
	@for version in $(PYTHONS); do \
		for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
			$$python -c pass 2>/dev/null || continue; \
			echo "== $$($$python --version)"; \
			$(MAKE) VENV=.venv-$$version PYTHON=$$python test || exit 1; \
			continue 2; \
		done; \
		echo "== no Python $$version here"; \
	done

format: $(DEVELOPING)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Tests compare each of them.
generated: $(DEVELOPING)
	$(BIN)/python -m tests.cli.pages
	$(BIN)/python -m tools.coverage_page
	$(BIN)/python -m tools.sync_stub

docs: $(DEVELOPING)
	$(PIP) --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

EMPTY := .venv-dist
dist: $(DEVELOPING)
	$(PIP) --group dist
	rm -rf dist $(EMPTY)
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(PYTHON) -m venv $(EMPTY)
	$(EMPTY)/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[cli]"
	cd $(EMPTY) && bin/python -m trmm_async.cli.demo && bin/trmm explain OutcomeUnknownError > /dev/null

bench: $(DEVELOPING)
	$(PIP) --group bench
	$(BIN)/python -m benchmarks

SOAK_MINUTES ?= 60
soak: $(DEVELOPING)
	$(BIN)/python -m soak --minutes $(SOAK_MINUTES)

clean:
	rm -rf $(VENV) .venv-* .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist site

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip>=25.1"
	$(PIP) --editable ".[cli]"
	touch $@

$(DEVELOPING): $(INSTALLED)
	$(PIP) --group dev
	touch $@
