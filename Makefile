# GroundEdit: one command for each thing a person does. Needs git, make and Python 3.11 with pip.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
# uv does not read pip's configuration; a machine that keeps wheels in a folder says so to pip in this variable.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
OUT ?= out/demo
TEST_PROCESSES ?= 2

.PHONY: help setup setup-test setup-torch demo build test test-slow test-long check format bench-orchestration bench-serving bench-perception bench-llama clean
help:            ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/:/' | column -t -s:

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9

.venv/core.stamp: $(BIN)/uv deploy/requirements/core.txt pyproject.toml
	$(UV) -r deploy/requirements/core.txt
	$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test.stamp: .venv/core.stamp deploy/requirements/test.txt
	$(UV) -r deploy/requirements/test.txt
	@touch $@

.venv/torch.stamp: .venv/core.stamp deploy/requirements/torch.txt
	$(UV) -r deploy/requirements/torch.txt
	@touch $@

setup: .venv/core.stamp              ## install the pipeline into .venv (no torch)
setup-test: .venv/test.stamp         ## and what its tests need
setup-torch: .venv/torch.stamp       ## and what the model package needs

demo: setup                          ## photographs to release and gallery, on Prefect and Ray
	$(BIN)/groundedit build --profile embedded --out $(OUT)

build: setup                         ## the same through a Prefect deployment (a server and a worker must run)
	$(BIN)/prefect deployment run build-groundedit/local --watch

# One thread: at the tests' sizes torch's threads only wait for each other, and for ages where cores are busy.
test: setup-test setup-torch         ## the tests, under 15 minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not slow and not long"

test-slow: setup-test setup-torch    ## real kills, real servers and whole builds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "slow and not long"

test-long: setup-test setup-torch    ## the same at length, for before a release
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long

format: setup-test                   ## write files as the formatter wants them
	$(BIN)/ruff format .

check: setup-test setup-torch        ## format, lint, types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench-orchestration: setup-test      ## what Prefect and Ray cost over a bare loop
	$(BIN)/python -m tests.benchmarks.orchestration

bench-serving: setup-test            ## how close pools and servers come to their busiest resource, 3 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.serving

bench-perception: setup-test setup-torch  ## batched detector and segmenter against one at a time, on tiny models
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.perception

bench-llama: setup-test              ## a real llama.cpp server with 64 requests in flight and with one
	$(BIN)/python -m tests.benchmarks.llama_server

clean:                               ## forget the environment and outputs
	rm -rf .venv out
