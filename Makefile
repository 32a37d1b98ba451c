# `make run` and `make test` are all that is needed; both install what they need into .venv.

PYTHON ?= python3
CONFIG ?= config.example.yaml
BIN := .venv/bin

.PHONY: run test lock faults bench clean

run: .venv/.run
	@$(BIN)/sidecar run --config $(CONFIG)

test: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/pytest

faults: .venv/.test ## the long trials, and a line for each promise of docs/reliability.md
	SIDECAR_GENERATED_BODIES=10000 $(BIN)/pytest -m "faults or promise" --promises --timeout 3600

bench: .venv/.run ## look-up and claim beside ever more stored clicks; CLICKS=100000 for a short run
	$(BIN)/python bench/clicks.py $(CLICKS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.test: .venv/.run requirements/test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

lock: .venv/.test ## pin every version again, with hashes and without addresses
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --output-file requirements/run.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --extra test --constraint requirements/run.txt \
		--output-file requirements/test.txt pyproject.toml

LOCK := --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --strip-extras --allow-unsafe --annotation-style line

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
