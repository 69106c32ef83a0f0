# Everything a newcomer, a developer and the checks need. `make help` lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= .layercake
BIN := .venv/bin
STAMPS := .make
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup run test soak bench bench-quick bench-large bench-many bench-micro bench-sign-in \
	bench-refused bench-replay crash-table \
	check page-check format clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMPS)/python ## set up what `make run` needs, in this folder
	@echo "set up; next: make run"

run: $(STAMPS)/python ## start Layercake with an example graph, open to this machine
	@$(BIN)/layercake import examples/river-ferry --project Examples --graph "River ferry" --if-empty --data-dir $(DATA)
	@$(BIN)/layercake serve --open --host $(HOST) --port $(PORT) --data-dir $(DATA)

test: $(STAMPS)/test ## run all tests, scaled to minutes
	@echo "tests of the page"
	@npm --prefix web --silent test
	@echo "tests of the whole server; beside them those of the store on PostgreSQL 15 and 18, units, properties and faults, shown at the end"
	@{ $(PYTEST) -q -p no:cacheprovider --postgres 15 tests/contract tests/integration/test_database.py \
			tests/integration/test_migrate.py tests/integration/test_log_writer.py tests/integration/test_leases.py \
			tests/integration/test_following.py; code=$$?; \
		$(PYTEST) -q -p no:cacheprovider tests/contract tests/unit tests/property tests/faults || code=1; exit $$code; } >$(STAMPS)/beside.log 2>&1 & beside=$$!; \
		trap 'pkill -P $$beside 2>/dev/null' EXIT; \
		$(PYTEST) -q tests/integration; code=$$?; \
		wait $$beside || code=1; cat $(STAMPS)/beside.log; exit $$code

soak: $(STAMPS)/test ## run the random tests and the faults with full counts (an hour or more)
	@rm -f $(STAMPS)/soak.jsonl
	@LAYERCAKE_FAULT_ROUNDS=50 LAYERCAKE_FAULT_FIGURES=$(STAMPS)/soak.jsonl LAYERCAKE_PROPERTY_ROUNDS=5000 \
		LAYERCAKE_FUZZ_FRAMES=6000 LAYERCAKE_API_EXAMPLES=100 \
		$(PYTEST) -q tests/property tests/faults tests/integration/test_schemathesis.py; code=$$?; \
		$(BIN)/python scripts/soak_figures.py $(STAMPS)/soak.jsonl; exit $$code

bench: $(STAMPS)/bench ## measure against the peers and write docs/benchmarks.md (about two hours; ONLY="name name" for some)
	@$(BIN)/python -m bench.suite $(ONLY)
	@$(BIN)/python -m bench.report

bench-quick: $(STAMPS)/bench ## measure one graph with 50 people against y-websocket (two minutes)
	@$(BIN)/python -m bench.suite --quick

bench-large: $(STAMPS)/test ## measure a graph of 10,000 nodes and 20,000 edges
	@$(BIN)/python -m bench.large

bench-many: $(STAMPS)/test ## measure what thousands of graphs leave behind in the server
	@$(BIN)/python -m bench.many

bench-micro: $(STAMPS)/bench ## compare the walk, the room and replay with the figures that are kept
	@$(BIN)/python -m bench.micro

bench-sign-in: $(STAMPS)/test ## measure live editing while 50 people sign in at once
	@$(BIN)/python -m bench.sign_in

bench-replay: $(STAMPS)/test ## measure rebuilds of 1,000 to 50,000 nodes with as many edits
	@$(BIN)/python -m bench.replay

bench-refused: $(STAMPS)/test ## measure 1,000 people whose rights end at once, and whose clients come again
	@$(BIN)/python -m bench.refused

crash-table: $(STAMPS)/bench ## kill servers with -9 and count lost edits, for docs/reliability.md (12 minutes)
	@$(BIN)/python -m bench.crash_table

check: $(STAMPS)/test ## lint, types, import rules, then all tests
	@echo "lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@echo "types"
	@$(BIN)/mypy
	@echo "import rules"
	@$(BIN)/lint-imports --no-cache >$(STAMPS)/imports.log || { cat $(STAMPS)/imports.log; exit 1; }
	@echo "lint and types of the page"
	@npm --prefix web --silent run check
	@$(MAKE) --no-print-directory test

format: $(STAMPS)/test ## format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

clean: ## remove everything that was set up or built; data stay
	rm -rf .venv $(STAMPS) web/dist web/node_modules tests/clients/node_modules bench/npm/node_modules

$(STAMPS)/.there:
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/page: $(STAMPS)/.there $(shell git ls-files web 2>/dev/null)
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || \
		{ echo "Node.js 20 or later is missing; install it (Debian's packages are nodejs and npm), then run make again" >&2; exit 1; }
	@echo "building the page"
	@npm --prefix web --silent ci --no-audit --no-fund
	@npm --prefix web --silent run build >/dev/null
	@touch $@

$(STAMPS)/python: $(STAMPS)/.there $(STAMPS)/page pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is missing; install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "installing Layercake into .venv"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || \
		{ echo "Python cannot make virtual environments; install Debian's package python3-venv" >&2; exit 1; }
	@$(PIP) --editable .
	@touch $@

$(STAMPS)/test: $(STAMPS)/python tests/clients/package.json tests/clients/package-lock.json
	@echo "installing what the tests need"
	@$(PIP) --editable '.[dev]'
	@npm --prefix tests/clients --silent ci --no-audit --no-fund
	@scripts/ensure_program.sh "Chromium (or another one in CHROME)" chromium "$(CHROME)" chromium
	@scripts/ensure_program.sh "PostgreSQL 15" postgresql-15 /usr/lib/postgresql/15/bin/postgres
	@touch $@

$(STAMPS)/bench: $(STAMPS)/test bench/npm/install.sh bench/npm/package.json bench/npm/package-lock.json
	@echo "installing the servers that are measured"
	@$(PIP) --editable '.[dev,bench]'
	@cd bench/npm && ./install.sh || { echo "the servers written for Node.js were not installed; they need npm, and where nothing ready-made fits \
		a C++ compiler, make and python3 (Debian's package is build-essential)" >&2; exit 1; }
	@touch $@
