# make demo and make test work on a fresh clone: they make .venv and install what they need, once.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Two test workers share the cores: more threads in each would only push each other aside.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2

.PHONY: help demo test check format clean

help:
	@echo "make demo    the paper's experiment in miniature on drawn streets; says where report and pictures lie"
	@echo "make test    make check, then all tests"
	@echo "make check   style, types and who may import whom"
	@echo "make format  put the code into its one style"
	@echo "make clean   remove .venv and caches"

demo: $(VENV)/.demo-ready
	$(BIN)/aaff demo --out demo

test: check
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 8

check: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

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
	$(PIP_INSTALL) '.[train]'
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the tests need into $(VENV) (some minutes, once)"
	$(PIP_INSTALL) '.[train,quantize,onnxruntime,dev]'
	@touch $@ $(VENV)/.demo-ready
