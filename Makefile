# Two commands: `make demo` shows everything, `make serve` runs the service. `make help` lists the rest.
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo serve test lint check openapi lock browser-tools browser-test clean
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTEST := $(BIN)/pytest -p no:cacheprovider
export HOLDFAST_COMMIT := $(shell git rev-parse HEAD 2>/dev/null)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

install: $(READY) ## the virtual environment, from the hashed lock; the other targets do so too

demo: $(READY) ## the whole life of one model on a sample, then stop
	@$(BIN)/holdfast demo

serve: $(READY) ## the service on 127.0.0.1:8000 (HOLDFAST_PORT), until Ctrl-C
	@$(BIN)/holdfast serve

test: $(READY) ## every test but the marks `browser` and `study`
	$(PYTEST) -n 2 --dist loadfile -m "not browser and not study"

lint: $(READY) ## format, lint, types, schema
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/holdfast db check --scratch

check: lint ## lint, and the fast tests
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser and not study"

browser-tools: ## Chromium for the browser tests (apt, as root)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	  || { echo "Chromium is missing: run 'make browser-tools' as root, or install the package chromium."; exit 1; }

browser-test: $(READY) ## the tests that need a browser
	$(PYTEST) -m browser

openapi: $(READY) ## write openapi.json anew
	$(BIN)/holdfast openapi > openapi.json.new && mv openapi.json.new openapi.json

lock: $(READY) ## compile requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 \
	  --no-emit-package nvidia-nccl-cu12 --no-emit-package nvidia-nccl-cu13 --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --group dev -o requirements.lock

clean: ## remove the virtual environment and caches; the data in .holdfast stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# LightGBM's wheel needs the system's OpenMP: better to say so now than after a gigabyte of downloads.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Holdfast needs Python 3.11 or newer; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ctypes, sys; sys.platform == "linux" and ctypes.CDLL("libgomp.so.1")' 2>/dev/null \
	  || { echo "libgomp.so.1 is missing; as root: apt-get install -y libgomp1"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >$(VENV).log 2>&1 && rm -f $(VENV).log \
	  || { cat $(VENV).log; rm -rf $(VENV) $(VENV).log; \
	       echo "python -m venv does not work here; on Debian, as root: apt-get install -y python3-venv"; exit 1; }

# uv itself comes by pip, pinned and hashed by its lines of the lock; uv installs the rest, compiled once, since every
# worker and command is a process of its own that would compile it again where Python may not write bytecode.
$(READY): $(BIN)/python requirements.lock pyproject.toml
	@echo "Installing into $(VENV) (1.2 GB, once) ..."
	@awk '/^[^ #]/ {on = /^uv==/} on' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync -q --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@
