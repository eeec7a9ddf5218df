# One command each, on a machine with Python 3.11+, venv and make: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# which tests, as arguments of pytest; none: all
TESTS ?=
# versions that were tested together
CONSTRAINTS := $(shell $(PYTHON) -c "import sys; print('constraints.txt' if sys.version_info < (3, 12) else 'constraints-3.12.txt')")

.PHONY: help env demo test soak test-prep test-remote gpu-tiny notebook docs wheel wheel-test load-test commands lint format types clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

env: $(VENV)/.installed  ## create .venv with everything for development; minutes, 1.7 GB

$(VENV)/.installed: pyproject.toml constraints.txt $(CONSTRAINTS)
	@$(PYTHON) .ci/install $(VENV) -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

demo: env  ## shards -> training -> tracking -> scores, report and video under runs/demo
	$(BIN)/python -m siamjax demo --out=runs/demo

test: env  ## the tests
	$(BIN)/python -m pytest -n 2 $(TESTS)

soak: env  ## five minutes of random interruptions: training, preparation, evaluation
	$(BIN)/python tests/soak.py --minutes=5

$(VENV)/.prep: $(VENV)/.installed
	@$(PYTHON) .ci/install $(VENV) -c $(CONSTRAINTS) -e '.[dev,prep,dask]'
	@touch $@

test-prep: $(VENV)/.prep  ## the tests of data preparation with TensorFlow Datasets installed
	$(BIN)/python -m pytest -n 2 tests/data_prep

$(VENV)/.remote: $(VENV)/.installed
	@$(PYTHON) .ci/install $(VENV) -c $(CONSTRAINTS) -e '.[dev,remote,test-remote]'
	@touch $@

test-remote: $(VENV)/.remote  ## the tests of files at addresses, against a local S3 server too
	$(BIN)/python -m pytest -m 'slow or not slow' tests/remote tests/data/test_staging.py tests/training/test_mirror.py

gpu-tiny: env  ## what measures a GPU, on this CPU with tiny networks
	rm -rf runs/gpu-tiny
	$(BIN)/python benchmarks/gpu.py --tiny --out=runs/gpu-tiny

notebook: env  ## execute notebooks/siamjax_colab.ipynb from end to end
	$(BIN)/python -m pytest -m slow tests/test_notebook.py

$(VENV)/.docs: $(VENV)/.installed
	@$(PYTHON) .ci/install $(VENV) -c $(CONSTRAINTS) -e '.[dev,docs]'
	@touch $@

docs: $(VENV)/.docs  ## the pages under docs/_build/html; a warning or a broken link is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html

wheel: env  ## dist/siamjax-*.whl
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

wheel-test: wheel  ## install the wheel in an empty environment elsewhere and use it
	.ci/wheel-test $(PYTHON) -c $(CONSTRAINTS)

load-test:  ## siamjax.load() from everywhere, with every Python of this machine
	.ci/load-test

commands: env  ## run every command of README and docs; says what it leaves out and why
	docs/check_commands.sh

lint: env  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: env  ## let ruff rewrite the files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: env  ## mypy
	$(BIN)/mypy

clean:  ## remove runs and caches (the environment stays)
	rm -rf runs build dist docs/_build docs/_api .pytest_cache .mypy_cache .ruff_cache .hypothesis
