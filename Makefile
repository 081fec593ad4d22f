# Python 3.11, make and git are enough: every target runs in .venv, which is made once.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

BENCH_BIN := .bench-env/bin
BENCH_INSTALLED := .bench-env/installed

.PHONY: demo test test-slow check format bench-env clean

demo: $(INSTALLED)
	$(BIN)/finetune demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m "slow or not slow"

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-env: $(BENCH_INSTALLED)

clean:
	rm -rf .venv .bench-env .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build tailtune.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A change of the dependencies, and nothing else, installs again.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(INSTALLED)

# The tools that `python -m benchmarks.peers` compares with, apart from tailtune's own environment.
$(BENCH_INSTALLED): constraints.txt benchmarks/peers/requirements.txt benchmarks/peers/constraints.txt
	$(PYTHON) -m venv .bench-env
	$(BENCH_BIN)/python -m pip install --disable-pip-version-check -r benchmarks/peers/requirements.txt
	$(BENCH_BIN)/python -m pip install --disable-pip-version-check --no-deps -c benchmarks/peers/constraints.txt fastai
	$(BENCH_BIN)/python -m benchmarks.peers.tools.check
	touch $(BENCH_INSTALLED)
