# `make` lists the targets. Nothing has to be installed before but Python 3.11 or newer and make.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BROWSER_STAMP := $(VENV)/.installed-browser
export NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba-cache
export PYTHONPATH :=

.PHONY: help setup demo test check lint types bench audit reliability test-browser lock clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with the locked packages (the other targets do it by themselves)

# The stamp holds the hash of the lock it was made from: a new date alone installs nothing again.
$(STAMP): requirements.lock
	@python=""; \
	for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer with its venv module is needed and was not found" >&2; \
	  echo "(Debian, Ubuntu: apt install python3 python3-venv; or https://www.python.org/downloads/)" >&2; exit 1; \
	fi; \
	sum=$$("$$python" -c 'import hashlib; print(hashlib.sha256(open("requirements.lock", "rb").read()).hexdigest())'); \
	if [ -x $(PY) ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$$sum" ]; then touch $(STAMP); exit 0; fi; \
	if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "Making $(VENV) with $$("$$python" --version) ..."; "$$python" -m venv --clear $(VENV); \
	fi; \
	echo "Installing the packages of requirements.lock (about 1 GB, a few minutes the first time) ..."; \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	echo "$$sum" > $(STAMP)

demo: $(STAMP) ## Run the daemon on the replay exchange and the dashboard: no keys, no network
	$(PY) -m core demo

test: $(STAMP) ## Run all tests
	$(PY) -m pytest -q

check: lint types ## Lint, types and the tests that hold code and documents to their rules
	$(PY) -m pytest -q -m law

lint: $(STAMP)
	$(PY) -m ruff check .

types: $(STAMP)
	$(PY) -m mypy

bench: $(STAMP) ## Measure speed
	$(PY) -m bench

audit: $(STAMP) ## Measure the truth scorecard, print it and write docs/AUDIT.md
	$(PY) -m core audit --page docs/AUDIT.md

reliability: $(STAMP) ## Run the long fault tests and print the fault scorecard
	$(PY) -m tests.reliability

test-browser: $(BROWSER_STAMP) ## Look at the dashboard in a real browser (installs chromium where it may)
	@bash tests/browser/chromium.sh
	$(PY) -m pytest -q -m browser tests/browser

$(BROWSER_STAMP): $(STAMP) tests/browser/requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/browser/requirements.lock
	@touch $(BROWSER_STAMP)

lock: $(STAMP) ## Renew requirements.lock after a change of requirements*.txt (needs uv: pip install uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --custom-compile-command "make lock" --quiet requirements-dev.txt -o requirements.lock
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --custom-compile-command "make lock" --quiet -c requirements.lock tests/browser/requirements.txt \
	  -o tests/browser/requirements.lock

clean: ## Remove .venv and caches; data and models stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
