# Quire on this machine. `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
SERVICES := gateway search ingest embedder enricher previewer
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml infra/local/pyproject.toml)
SOURCES := libs services infra tests demo docs
# Two workers: the tests wait for servers more than they compute.
WORKERS ?= 2
# Some machines forbid bytecode files; compiling everything in each of two dozen processes costs minutes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup up down status scale restart logs credentials backup restore demo test test-unit lint format contracts bench chaos soak clean

help: ## Say what there is
	@echo "Quire: an event-driven document catalog."; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "  QUIRE_HOME=dir moves all state (default .quire), QUIRE_PORT=n the gateway (default 8080 or a free port)."

setup: .venv/.complete ## Install what Quire needs: Python packages, RabbitMQ, Redis, tesseract, LibreOffice
	@$(PYTHON) -m quire_local install

.venv/.complete: uv.lock pyproject.toml $(MEMBERS) infra/local/bootstrap.sh
	@echo "installing the Python packages"
	@uv="$$(bash infra/local/bootstrap.sh)" && "$$uv" sync --frozen --all-packages --quiet
	@touch $@

up: setup ## Start everything in the background; harmless when it runs already
	@$(PYTHON) -m quire_local up

down: ## Stop everything
	@test ! -x $(PYTHON) || $(PYTHON) -m quire_local down

status: .venv/.complete ## Show each process, its health and memory, and the depth of each queue
	@$(PYTHON) -m quire_local status

scale: .venv/.complete ## Change the number of workers: make scale embedder=2
	@$(PYTHON) -m quire_local scale $(foreach name,$(SERVICES),$(if $($(name)),$(name)=$($(name))))

restart: .venv/.complete ## Restart one process: make restart NAME=ingest
	@$(PYTHON) -m quire_local restart $(NAME)

logs: .venv/.complete ## Show the end of the logs: make logs [NAME=ingest]
	@$(PYTHON) -m quire_local logs $(NAME)

credentials: .venv/.complete ## Print the URL, the login and the API key
	@$(PYTHON) -m quire_local credentials

backup: .venv/.complete ## Back up database and objects of the running stack; QUIRE_BACKUP_DIR=dir, QUIRE_BACKUP_KEEP=n
	@$(PYTHON) -m quire_local backup

restore: .venv/.complete ## Bring back the last state, or another: make restore [TIME=2026-11-22T10:00:00Z] [BACKUP=name]
	@$(PYTHON) -m quire_local restore $(if $(TIME),--time "$(TIME)") $(if $(BACKUP),--backup "$(BACKUP)")

demo: up ## Start everything and run the main job on sample documents, or on yours: make demo FILES=dir
	@$(PYTHON) -m demo.run $(if $(FILES),--files "$(FILES)")

test: setup lint ## Run every test: unit, contract, integration on real servers, end to end; and lint
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-unit: .venv/.complete ## Run the tests that need no server
	@$(PYTHON) -m pytest tests/unit tests/contract -n $(WORKERS) $(ARGS)

lint: .venv/.complete ## Check style, types and the layers
	@.venv/bin/ruff check $(SOURCES)
	@.venv/bin/ruff format --check $(SOURCES)
	@.venv/bin/mypy $(SOURCES)
	@.venv/bin/lint-imports --no-cache

format: .venv/.complete ## Format the code
	@.venv/bin/ruff check --fix --quiet $(SOURCES) || true
	@.venv/bin/ruff format $(SOURCES)

contracts: .venv/.complete ## Generate schemas, examples, AsyncAPI, OpenAPI, the events page and the autoscaling manifests anew
	@$(PYTHON) -m quire_contracts.export
	@$(PYTHON) -m quire_gateway openapi > docs/api/openapi.json
	@$(PYTHON) infra/k8s/generate.py

bench: .venv/.complete ## Measure latency, throughput and memory; see docs/benchmarks.md
	@$(PYTHON) -m tests.bench

chaos: .venv/.complete ## Break a running stack in every way it must survive: make chaos [ROWS="killed broker-crash"] [DOCUMENTS=n]
	@$(PYTHON) -m tests.chaos rows $(ROWS) $(if $(DOCUMENTS),--documents $(DOCUMENTS))

soak: .venv/.complete ## A steady load that watches memory and logs: make soak [MINUTES=20]
	@$(PYTHON) -m tests.chaos soak --minutes $(or $(MINUTES),20)

clean: down ## Stop everything and delete all state, documents included
	@rm -rf .quire
