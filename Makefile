# make demo   install, then start everything here and print the address to open; make demo PORT=9000 for another port
# make test   install, then every check there is
# `make help` lists the rest. A second run installs nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs reference bench lock clean

# The first of these that runs and is 3.11 or newer; another one: make PYTHON=/path/to/python …
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := server,embedded,dev,docs
SHOPPERS ?= 8
# Where the shop listens: make demo PORT=9000; 0 takes a free one
PORT ?= 8080
# More for pytest: make test ARGS='tests/unit -x'
ARGS ?=
# How many tests run at a time: two where there are two cores. make test JOBS=1 ARGS='--pdb …' for one after the other
JOBS ?= $(shell test "$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)" -ge 2 && echo 2 || echo 1)

say = printf '\n== %s\n'

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with everything that was tested together (constraints.txt)
	@echo "installed: $$($(BIN)/rec --version) in $(VENV), $$($(BIN)/python --version)"

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found. Name one: make PYTHON=/path/to/python3.11 install" >&2; exit 1; }
	@$(say) "installing into $(VENV) with $(PYTHON) (the first time takes minutes; torch is the largest part)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@begin=$$SECONDS; pip=($(BIN)/python -m pip --disable-pip-version-check install --no-input -c constraints.txt -e '.[$(EXTRAS)]'); \
	if [ -t 1 ]; then "$${pip[@]}"; \
	else "$${pip[@]}" --progress-bar off | awk '/^(Collecting|Downloading)/ { n++; if (n % 20 == 0) print "   ", n, "steps,", $$2; fflush() } /^Installing collected/ { print "    installing", NF - 3, "packages"; fflush() }'; fi; \
	echo "    $$((SECONDS - begin)) s"
	@touch $(STAMP)

demo: install ## everything on this machine, with simulated shoppers; Ctrl-C stops all of it
	@exec $(BIN)/rec up --port $(PORT) --shoppers $(SHOPPERS)

lint: $(STAMP) ## ruff and mypy
	@$(say) "ruff: rules" && $(BIN)/ruff check .
	@$(say) "ruff: format" && $(BIN)/ruff format --check .
	@$(say) "mypy --strict" && $(BIN)/mypy

test: install lint ## ruff, mypy, and every test; REC_TEST_REQUIRE=redis,postgres,kafka,chromium fails where one is missing
	@$(say) "pytest" && $(BIN)/python -m pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS)) $(ARGS)
	@echo "make test: all held"

docs: install ## the documentation as a site in build/site; any warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "build/site/index.html"

reference: install ## write docs/reference from the code
	@$(BIN)/python -m tests.reference

bench: install ## latency, throughput, memory: a table here, the figures in bench.json; fails if a target is missed
	@$(say) "bench (some minutes; leave the machine alone meanwhile)"
	@$(BIN)/python -m tests.bench --out bench.json

lock: ## renew constraints.txt: the newest versions that pyproject.toml allows
	@PYTHON="$(PYTHON)" EXTRAS="$(EXTRAS)" .ci/lock

clean: ## remove what make and the tests have made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
