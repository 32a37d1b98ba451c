# `make run` and `make test` are enough to start; both install their dependencies into .venv.

PYTHON ?= python3
CONFIG ?= config.example.yaml
BIN := .venv/bin

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test docs wheel lock faults fuzz audit audit-base bench bench-clicks clean

run: .venv/.run
	@$(BIN)/sidecar run --config $(CONFIG)

# Tests start hundreds of processes: each would compile the sources again.
test faults: export PYTHONDONTWRITEBYTECODE :=

test: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/pytest --numprocesses 4 --dist worksteal

docs: .venv/.test ## docs/ as a site in build/site; fails on a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --strict

wheel: .venv/.run ## dist/*.whl, which runs without the repository: sidecar init, sidecar run
	$(PIP) wheel --no-index --no-deps --no-build-isolation --wheel-dir dist .

faults: .venv/.test ## the long tests, and a line for each promise of docs/reliability.md
	SIDECAR_GENERATED_BODIES=10000 $(BIN)/pytest -m "faults or promise" --promises --timeout 3600

fuzz: .venv/.fuzz ## coverage-guided fuzzing, FUZZ_SECONDS for each reader of untrusted bytes
	for target in $$($(BIN)/python -m tests.fuzz.targets); do \
		$(BIN)/python tests/fuzz/with_coverage.py $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

FUZZ_SECONDS ?= 60

audit: .venv/.audit audit-base ## known vulnerabilities of every locked version; STRICT= skips packages without advisories
	$(BIN)/pip-audit $(STRICT) --disable-pip --require-hashes --progress-spinner off \
		-r requirements/build.txt -r requirements/run.txt -r requirements/postgres.txt -r requirements/test.txt \
		-r requirements/fuzz.txt -r requirements/audit.txt -r requirements/lock.txt

STRICT ?= --strict

# An official image gets security fixes by a new build under the same tag, so an older build lacks some.
audit-base: ## checks that the base image is the newest build of its tag; needs docker and its registry
	@pinned=$$(sed -n 's/^ARG BASE=//p' Dockerfile); tag=$${pinned%@*}; \
	newest=$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$$tag" 2>/dev/null) || newest=; \
	if [ -z "$$newest" ]; then \
		echo "audit-base: no registry was reachable for the newest build of $$tag"; [ -z "$(STRICT)" ]; \
	elif [ "$$tag@$$newest" != "$$pinned" ]; then \
		echo "audit-base: there is a newer build; set it in the Dockerfile: ARG BASE=$$tag@$$newest"; exit 1; \
	fi

bench: .venv/.test ## the table of docs/performance.md; BENCH="--quick" for a short run, BENCH="--json --only intake" for a part
	@$(BIN)/python -m bench $(BENCH)

bench-clicks: .venv/.run ## look-up and claim with ever more stored clicks; CLICKS=100000 for a short run
	$(BIN)/python -m bench.clicks $(CLICKS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

# Source packages are built with our build.txt; build isolation would download and run a newer setuptools. Microsoft's
# SDK, which tests our wire format independently, is published as source only.
SOURCES := --no-binary msads --no-build-isolation

.venv/.run: .venv/bin/python requirements/build.txt requirements/run.txt pyproject.toml
	$(PIP) install --require-hashes --only-binary :all: -r requirements/build.txt
	$(PIP) install --require-hashes --only-binary :all: -r requirements/run.txt
	$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: .venv/.run requirements/test.txt
	$(PIP) install --require-hashes --only-binary :all: $(SOURCES) -r requirements/test.txt
	@touch $@

.venv/.fuzz .venv/.audit .venv/.lock: .venv/.%: .venv/.test requirements/%.txt
	$(PIP) install --require-hashes --only-binary :all: $(SOURCES) -r requirements/$*.txt
	@touch $@

lock: .venv/.lock ## pin every version again, with hashes and without addresses
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --only-build-deps --all-build-deps \
		--output-file requirements/build.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --output-file requirements/run.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --extra postgres --constraint requirements/run.txt \
		--output-file requirements/postgres.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade $(LOCK) --extra test --extra postgres --constraint requirements/postgres.txt \
		--output-file requirements/test.txt pyproject.toml
	for extra in fuzz audit lock; do $(BIN)/pip-compile --quiet --upgrade $(LOCK) --extra $$extra \
		--constraint requirements/test.txt --output-file requirements/$$extra.txt pyproject.toml || exit 1; done

LOCK := --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --strip-extras --allow-unsafe --annotation-style line

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
