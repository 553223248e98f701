SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
NOW := $(shell date -u +%Y%m%dT%H%M%SZ)
OUT := results/runs/$(NOW)-quick
BASELINE := results/baselines/quick
BIN := .venv/bin

# Every process that the tests start would otherwise compile the program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help bench device-check test test-slow lint types reference docs browser emulator baseline clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

# Exit code 1 says that a contestant failed; the others are worth a report all the same.
bench: .venv/measures  ## measure with the suite `quick`, print its table, write report.html
	@code=0; $(BIN)/bitbench run quick --out "$(OUT)" || code=$$?; \
	[ $$code -le 1 ] || exit $$code; \
	$(BIN)/bitbench report "$(OUT)" -o "$(OUT)/report.html"; \
	exit $$code

device-check: .venv/measures  ## show all that only a GPU can show, in eight minutes, with a summary of one page
	@$(BIN)/python -m suites.device_check --out results/runs/$(NOW)-device

test: .venv/installed  ## run the tests, less the slow ones
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

test-slow: .venv/installed  ## run all tests, minutes
	@$(BIN)/python -m pytest

lint: .venv/installed  ## check style and formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/installed  ## check types
	@$(BIN)/mypy

reference: .venv/installed  ## write the pages of docs/reference that are made of the code
	@$(BIN)/python -m docs.generate

docs: .venv/installed  ## build the site into build/site; a dead link or anchor is an error
	@$(BIN)/python -m sphinx -c docs -W --keep-going -q . build/site
	@echo build/site/index.html

browser:  ## install the Chromium that tests of the report drive (Debian; elsewhere install both by hand)
	@sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo apt-get -qq update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium chromium-driver

emulator:  ## install what runs the ARM kernels of `native` in the tests (Debian)
	@sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo apt-get -qq update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
		gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static

# The threads are fixed because bytes allocated in a forward depend on them; one round, because exact metrics have no noise.
# A dirty checkout is allowed, because the change that moved the numbers is committed together with its baseline.
baseline: .venv/measures  ## measure the exact metrics anew that every change is gated against: REASON="why they moved"
	@[ -n "$${REASON:-}" ] || { echo 'say why the numbers moved: make baseline REASON="..."' >&2; exit 2; }
	@rm -rf results/runs/baseline
	@$(BIN)/bitbench run quick --metric exact --threads 2 --rounds 1 --out results/runs/baseline
	@$(BIN)/bitbench baseline accept results/runs/baseline --as $(BASELINE) --reason "$$REASON" --allow-dirty

clean:  ## remove the virtual environment and what tools left behind, never results
	@rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .benchmarks

# One environment for every target, in two steps: to measure takes less than to develop. It is an editable install: only a
# change of dependencies needs another.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.venv/measures: pyproject.toml constraints.txt
	@echo "installing into .venv (once; torch is large)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(INSTALL) --editable .
	@touch $@

.venv/installed: .venv/measures
	@echo "installing what developers need"
	@$(INSTALL) --editable '.[dev,docs]'
	@touch $@
