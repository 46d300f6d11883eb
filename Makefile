# Two commands on a fresh machine: `make demo` and `make test`. Needs python3.11+, pip and make; uses uv where it is found.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
RUN_STAMP := $(VENV)/.blackboard-run
DEV_STAMP := $(VENV)/.blackboard-dev
BENCH_STAMP := $(VENV)/.blackboard-bench
ifdef UV
  MAKE_VENV = $(UV) venv --quiet --python $(PYTHON) $(VENV)
  INSTALL = $(UV) pip install --quiet --python $(BIN)/python
else
  MAKE_VENV = $(PYTHON) -m venv $(VENV)
  INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif
# More than there are processors: many tests wait for a lease, or for a process to start.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

# Hundreds of processes start in the tests: none of them is to compile every module anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-long test-api compiled lint format bench test-faults test-cluster test-live clean

demo: $(RUN_STAMP) ## analyse the shipped scan: offline, no key, no Docker, no server
	$(BIN)/blackboard analyze examples/scanned-invoice.pdf --data .blackboard/demo

test: $(DEV_STAMP) ## everything that must hold, in under five minutes
	$(MAKE) --no-print-directory -j2 lint compiled
	$(BIN)/python -m pytest -m "alone and not faults and not cluster"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not faults and not cluster and not alone and not long"

test-long: $(DEV_STAMP) ## what takes seconds a test, most of it to start processes
	$(BIN)/python -m pytest -n auto --dist worksteal -m "long and not faults" --timeout 60

test-api: $(DEV_STAMP) ## made-up requests to every operation of the OpenAPI document: ten times as many, and chained
	BLACKBOARD_API_EXAMPLES=500 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/integration/test_api_schema.py --timeout 3600

# Once, beside the linters: each of the processes that share the tests would do it for itself.
compiled: $(DEV_STAMP)
	@$(BIN)/python -m pytest --collect-only --quiet --quiet > /dev/null

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BENCH_STAMP) ## beside arq, saq and the floor; then accuracy, where a corpus lies next to the project
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.facts
	@if [ -d ../shared/corpus/dev ]; then $(BIN)/python -m benchmarks.accuracy --corpus ../shared/corpus/dev; \
	else echo "no corpus at ../shared/corpus/dev: accuracy not measured"; fi

test-faults: $(DEV_STAMP) ## long campaigns: kills, cuts, random schedules
	BLACKBOARD_FAULT_RUNS=1 $(BIN)/python -m pytest -m "faults" --timeout 3600
	BLACKBOARD_FAULT_RUNS=300 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/contracts/test_state_machine.py tests/unit -k "machine or decide or contests" --timeout 3600

test-cluster: $(DEV_STAMP) ## the store's suite on a three-node cluster, the queues on a server of their own
	$(BIN)/python -m pytest -m cluster --cluster

test-live: $(DEV_STAMP) ## a few real calls; needs ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL of a server of your own
	BLACKBOARD_TEST_BASE_URL=$${ANTHROPIC_BASE_URL:-https://api.anthropic.com} $(BIN)/python -m pytest -m live

$(BIN)/python:
	$(MAKE_VENV)

$(RUN_STAMP): $(BIN)/python pyproject.toml
	$(INSTALL) -e .
	@touch $@

$(DEV_STAMP): $(BIN)/python pyproject.toml
	$(INSTALL) -e '.[dev]'
	@touch $@ $(RUN_STAMP)

$(BENCH_STAMP): $(DEV_STAMP)
	$(INSTALL) -e '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) .blackboard .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
