# Everything a contributor runs. `make` alone lists it.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# What the long commands take. ARGS is appended as it is.
SEED ?=
RUNS ?= 200
ARGS ?=
# Of the tests: half of them wait for servers most of the time.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 5 ? n + 2 : 6)))

# What contracts/asyncapi.json describes.
ASYNCAPI_MODULES := contracts.inventory contracts.payments contracts.shipping contracts.notifications \
	contracts.customers contracts.provisioning contracts.mailboxes contracts.accounts contracts.workplace \
	contracts.research contracts.documents contracts.drafting contracts.contacts services.ordering.definitions \
	services.onboarding.definitions services.hr.definitions services.outreach.definitions

# Every test that starts a process would compile the whole of saga again: half of its start, hundreds of times.
unexport PYTHONDONTWRITEBYTECODE
# Keeps pyright from asking the network whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## create .venv from requirements.lock and install the project into it

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make venv PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: servers
servers: ## install PostgreSQL, RabbitMQ and Prometheus if the tests would find none (Debian, Ubuntu)
	@tests/install-servers.sh

.PHONY: check
check: lint ## format, lint, types, import contracts, tidiness: what CI runs before the tests
	$(BIN)/pytest -q tests/architecture

.PHONY: lint
lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@echo "$(BIN)/mypy and $(BIN)/pyright, side by side"
	@$(BIN)/mypy & mypy=$$!; $(BIN)/pyright --pythonpath $(BIN)/python --warnings; found=$$?; wait $$mypy && exit $$found
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## let ruff format and fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(STAMP) ## write again what follows from the code: references, error pages, index, AsyncAPI
	$(BIN)/python -m tests.wire_reference
	$(BIN)/python -m tests.limits_reference
	$(BIN)/python -m tests.error_pages
	$(BIN)/python -m tests.reference_pages
	$(BIN)/python -m tests.metrics_reference
	$(BIN)/python -m tests.python_reference
	$(BIN)/python -m tests.log_reference
	$(BIN)/python -m tests.document_index
	$(BIN)/saga contracts asyncapi $(ASYNCAPI_MODULES) --title 'Reference services' --write contracts/asyncapi.json

.PHONY: test
test: servers lint ## all of it: install what is missing, check, and run every test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-docker
test-docker: $(STAMP) ## the compose file of infra/ with orders through it; needs a Docker engine
	$(BIN)/python -m tests.infra.stack $(ARGS)

.PHONY: sim
sim: $(STAMP) ## simulate: SEED= repeats one run, RUNS= tries that many new seeds
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--runs $(RUNS)) $(ARGS)

.PHONY: chaos
chaos: servers $(STAMP) ## real processes, real servers, kill -9: the long acceptance run
	$(BIN)/python -m tests.acceptance.orders $(ARGS)

.PHONY: chaos-customers
chaos-customers: servers $(STAMP) ## the same for branches: customers are taken on and turned back
	$(BIN)/python -m tests.acceptance.customers $(ARGS)

.PHONY: chaos-people
chaos-people: servers $(STAMP) ## the same for what people decide: hires and messages
	$(BIN)/python -m tests.acceptance.piece hr-onboarding $(ARGS)
	$(BIN)/python -m tests.acceptance.piece agency-outreach $(ARGS)

.PHONY: chaos-structure
chaos-structure: servers $(STAMP) ## kill -9 in every phase of branches, items and sub-sagas, many times
	$(BIN)/python -m tests.acceptance.structure_kills $(ARGS)

# The peer brings a database toolkit of its own: it never shares an environment with ours.
PEERS := $(VENV)/peers
PEERS_LOCK := tests/bench/dbos/requirements.lock

$(PEERS)/dbos/.installed: $(PEERS_LOCK) $(STAMP)
	test -x $(PEERS)/dbos/bin/python || $(PYTHON) -m venv $(PEERS)/dbos
	$(PEERS)/dbos/bin/python -m pip install --quiet --require-hashes --requirement $(PEERS_LOCK)
	@touch $@

.PHONY: bench
bench: servers $(STAMP) $(PEERS)/dbos/.installed ## the engine beside DBOS Transact and beside the bare transport
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: bench-waiting
bench-waiting: servers $(STAMP) ## what a million waiting sagas and ten thousand timers cost: about half an hour
	$(BIN)/python -m tests.bench.waiting $(ARGS)

.PHONY: lock-bench
lock-bench: $(STAMP) ## resolve the lock of the benchmarks' peer again
	$(BIN)/uv pip compile $(PEERS_LOCK:.lock=.in) --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
		--no-config --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock-bench" \
		--output-file $(PEERS_LOCK)
	@! grep -nE '://|^-|file:' $(PEERS_LOCK) || { echo "$(PEERS_LOCK) names a place" >&2; exit 1; }

.PHONY: demo
demo: $(STAMP) ## the demo, nothing to install
	$(BIN)/saga demo $(ARGS)

.PHONY: lock
lock: $(STAMP) ## resolve requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --upgrade --quiet \
		--no-config --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file requirements.lock
	@! grep -nE '://|^-|file:' requirements.lock || { echo "requirements.lock names a place" >&2; exit 1; }

.PHONY: clean
clean: ## remove what tools leave behind, and .venv
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
