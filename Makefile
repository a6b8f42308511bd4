# make demo and make test work on a fresh clone: they make .venv and install what they need, once.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Two test workers share the cores: more threads in each would only push each other aside.  A file stays with one
# worker, so that what its tests share is made once.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2

DATA ?=
ARGS ?=

.PHONY: help demo test check format clean reproduce reproduce-miniature bench-train bench-video bench-memory bench-synthetic data-given tables docs fuzz

help:
	@echo "make demo                  train, evaluate, export and run a network on synthetic streets, in minutes"
	@echo "make test                  make check, then all tests"
	@echo "make check                 lint, types and import contracts"
	@echo "make format                format the code"
	@echo "make clean                 remove .venv and caches"
	@echo "make reproduce DATA=DIR    the paper's experiment (experiments/paper); resumable"
	@echo "make reproduce-miniature   the same plan on synthetic streets, in minutes"
	@echo "make bench-train DATA=DIR  training speed beside a plain PyTorch loop (benchmarks/training)"
	@echo "make bench-video           frames per second from video file to video file"
	@echo "make bench-memory          memory over a long video"
	@echo "make fuzz                  21,000 broken inputs for all readers of files; figures in results/fuzz.json"
	@echo "make bench-synthetic       how hard the synthetic data set is"
	@echo "make docs                  build the documentation site into site/"
	@echo "make tables                put the numbers of results/ into README and docs"
	@echo "ARGS='…' adds options to reproduce and bench-*."

demo: $(VENV)/.demo-ready
	$(BIN)/aaff demo --out demo

reproduce: data-given $(VENV)/.demo-ready
	$(BIN)/python -m experiments.paper --data $(DATA) $(ARGS)

reproduce-miniature: $(VENV)/.demo-ready
	$(BIN)/python -m experiments.paper --miniature $(ARGS)

bench-train: data-given $(VENV)/.demo-ready
	$(BIN)/python -m benchmarks.training --data $(DATA) $(ARGS)

bench-video: $(VENV)/.demo-ready
	$(BIN)/python -m benchmarks.video_speed $(ARGS)

bench-memory: $(VENV)/.demo-ready
	$(BIN)/python -m benchmarks.video_memory $(ARGS)

bench-synthetic: $(VENV)/.test-ready
	$(BIN)/python -m benchmarks.synthetic_difficulty $(ARGS)

fuzz: $(VENV)/.test-ready
	$(ONE_THREAD) $(BIN)/python -m tests.fuzz --json results/fuzz.json $(ARGS)

tables: $(VENV)/.demo-ready
	$(BIN)/python -m scripts.update_tables

data-given:
	@test -n "$(DATA)" || { echo "name the folder of the data set: make … DATA=camvid"; exit 2; }

test: check
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --durations 8

docs: $(VENV)/.docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m scripts.check_words
	$(BIN)/codespell README.md CONTRIBUTING.md SECURITY.md docs src

format: $(VENV)/.test-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed; name one: make PYTHON=/path/to/python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the demo needs into $(VENV) (some minutes, once)"
	$(PIP_INSTALL) '.[train,server]'
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the tests need into $(VENV) (some minutes, once)"
	$(PIP_INSTALL) '.[train,quantize,onnxruntime,server,dev]'
	@touch $@ $(VENV)/.demo-ready

$(VENV)/.docs-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the documentation needs into $(VENV) (once)"
	$(PIP_INSTALL) '.[docs]'
	@touch $@
