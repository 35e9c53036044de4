# Needs Python 3.11+, git and make; the rest is installed into .venv from the hashed locks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := accounts jobs notifications scoring cases models_registry riskplatform tests benchmarks deploy manage.py
# `make check` keeps its throw-away database and keys apart from those of a running demo.
CHECK_ENV := RISK_VAR_DIR=var/check
ARGS ?=
# LightGBM expects the system's OpenMP, which a bare Debian lacks: see deploy/link_openmp.py.
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib/openmp$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

# With the variable set, each of the processes that tests start would compile every module anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist loadgroup
# Every test is in one of `make test` and `make soak`: docs/adr/0018-test-and-soak.md.
TEST := landing or not slow
SOAK := slow and not landing
ROWS := django_db and not (browser or worker or kafka or mqtt)
TEST_ON_POSTGRES := $(ROWS) and dialect and not slow
SOAK_ON_POSTGRES := $(ROWS) and not (dialect and not slow)
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes

.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench tour format lock

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# `exec`: the supervisor itself gets the signals that make passes on, and stops what it started.
demo: $(VENV)/.installed ## Start the whole platform with data, a champion and logins
	@exec $(BIN)/python manage.py demo

test: $(VENV)/.installed-dev ## Run the tests of every landing, some on PostgreSQL too where RISK_TEST_POSTGRES_URL is set (ARGS="-k name" narrows it down)
	$(PYTEST) -m "$(TEST)" $(ARGS)
	@if [ -n "$$RISK_TEST_POSTGRES_URL" ]; then \
	  echo "Once more on PostgreSQL, what speaks to it differently ..."; \
	  TEST_DATABASE=postgres $(PYTEST) -m "$(TEST_ON_POSTGRES)" $(ARGS) || [ $$? -eq 5 ]; \
	fi

soak: $(VENV)/.installed-dev ## Run all other tests: the slow ones, and on PostgreSQL the rest of what touches the database
	$(PYTEST) -m "$(SOAK)" $(ARGS) || [ $$? -eq 5 ]
	@if [ -n "$$RISK_TEST_POSTGRES_URL" ]; then \
	  echo "Once more on PostgreSQL, what make test leaves out there ..."; \
	  TEST_DATABASE=postgres $(PYTEST) -m "$(SOAK_ON_POSTGRES)" $(ARGS) || [ $$? -eq 5 ]; \
	fi

check: $(VENV)/.installed-dev ## Format, lint, templates, types, imports, migrations, settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/djlint --check --quiet templates
	$(CHECK_ENV) $(BIN)/mypy
	$(BIN)/lint-imports
	$(CHECK_ENV) $(BIN)/python manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python deploy/check_production.py

bench: $(VENV)/.installed-dev ## Measure scoring, serving, importing, screening and learning
	$(BIN)/python -m benchmarks $(ARGS)

tour: $(VENV)/.installed-dev ## Take the pictures of docs/tour.md anew
	$(BIN)/python docs/make_tour.py

format: $(VENV)/.installed-dev ## Rewrite Python and templates in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint --reformat --quiet templates

lock: $(BIN)/uv ## Resolve the requirements again into the hashed locks
	for name in requirements-uv requirements requirements-streaming requirements-mlflow requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links $$name.txt -o $$name.lock || exit 1; \
	done

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Installing the tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock

# The stamps make the second start instant. Both locks hold the same versions, so the order
# in which the two are installed does not matter.
$(VENV)/.installed: requirements.lock | $(BIN)/uv
	@echo "Installing the packages ..."
	@$(UV) -r $<
	@$(BIN)/python deploy/link_openmp.py
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(BIN)/uv
	@echo "Installing the packages and the developer's tools ..."
	@$(UV) -r $<
	@$(BIN)/python deploy/link_openmp.py
	@touch $@ $(VENV)/.installed
