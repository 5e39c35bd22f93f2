# Needs Python 3.11, make and a package index; `make lab` and `make test` do the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: lab test build verify lint clean

lab: $(VENV)/installed ## open JupyterLab on the series; ARGS goes to JupyterLab
	$(BIN)/mechpuzzles start $(ARGS)

test: $(VENV)/installed ## run every test, on all cores; ARGS goes to pytest
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

build: $(VENV)/installed ## make the notebooks, the release and the index from the puzzle folders
	$(BIN)/mechpuzzles build

verify: $(VENV)/installed ## hold every puzzle to the gate
	$(BIN)/mechpuzzles verify

lint: $(VENV)/installed ## style and types
	$(BIN)/ruff format --check utils tests solutions
	$(BIN)/ruff check utils tests solutions
	$(BIN)/mypy

clean: ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt $(shell find jupyter -type f)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,course,dev]'
	touch $@
