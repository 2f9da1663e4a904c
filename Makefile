# The two commands that matter: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := build/docs-venv/.installed
COMPILE := uv pip compile -q --no-header --no-annotate --generate-hashes --no-strip-extras --python-version 3.11 $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo test lint format generate docs bench soak lives upstream lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): requirements-dev.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) (1 to 5 minutes) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock \
			|| echo FAILED; } \
		| awk '/^Collecting/ && ++n % 25 == 0 { print "  " n " packages ..."; fflush() } \
			/^Installing/ { print "  unpacking them ..."; fflush() } /^FAILED/ { exit 1 }'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(STAMP) ## see it all work on this machine (ARGS=--keep leaves it running)
	@$(BIN)/python -m playground demo $(ARGS)

test: $(STAMP) ## run all tests (ARGS="-k quota" for some)
	@$(BIN)/python -m playground.programs etcd kube-apiserver kubectl kube-controller-manager helm
ifdef ARGS
	@$(BIN)/python -m pytest -n 2 $(ARGS)
else
	@$(BIN)/python -m pytest -n 2 tests/unit --cov
	@$(BIN)/python -m pytest -n 3 --ignore=tests/unit  # they wait a lot
endif

lint: $(STAMP) ## ruff, mypy --strict, generated files, examples, rules of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/edgeplan crd crds --check
	$(BIN)/python charts/generate.py --check
	$(BIN)/python argocd/generate.py --check
	$(BIN)/python docs/generate.py --check
	$(BIN)/edgeplan validate examples
	$(BIN)/python -m pytest -q -p no:xdist tests/unit/test_project.py

format: $(STAMP) ## format and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(STAMP) ## regenerate what is generated from the models
	$(BIN)/edgeplan crd crds
	$(BIN)/python charts/generate.py
	$(BIN)/python argocd/generate.py
	$(BIN)/python docs/generate.py

$(DOCS): requirements-docs.lock
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

docs: $(DOCS) ## build the site of the docs, by MkDocs and by Zensical, strictly (ARGS=--repository=URL)
	$(PYTHON) docs/site.py build/docs $(ARGS)
	NO_MKDOCS_2_WARNING=1 $(dir $(DOCS))bin/mkdocs build --quiet --strict
	$(dir $(DOCS))bin/zensical build --strict
	@echo "The site is in build/site."

bench: $(STAMP) ## measure the operator on this machine (ARGS="--objects 1000", ways, shards, memory, service, plot)
ifeq ($(filter memory service plot,$(firstword $(ARGS))),)
	@$(BIN)/python -m playground.programs etcd kube-apiserver kubectl helm
endif
	@$(BIN)/python -m tests.bench $(ARGS)

soak: $(STAMP) ## 100,000 random steps against the whole life of a plan
	@$(BIN)/python -m pytest tests/life --hypothesis-profile=soak -p no:xdist --timeout=0 $(ARGS)

lives: $(STAMP) ## ten times as many random lives of plans and devices as CI has time for
	@EDGE_MANAGER_LIVES=10 $(BIN)/python -m pytest tests/edge_manager/test_random_lives.py -p no:xdist --timeout=0 $(ARGS)

upstream: $(STAMP) ## Argo CD's own tests over our health and actions, in its repository's layout (needs Go)
	@EDGEPLAN_TEST_ARGOCD_UPSTREAM=1 $(BIN)/python -m pytest tests/argocd/test_upstream.py -p no:xdist $(ARGS)

lock: ## bring the dependency locks in step (ARGS=--upgrade moves them)
	$(COMPILE) pyproject.toml --extra otel -o requirements.lock
	$(COMPILE) pyproject.toml --extra otel --extra service --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) pyproject.toml --group bench -c requirements-dev.lock -o requirements-bench.lock
	$(COMPILE) packaging/edge-manager/pyproject.toml -c requirements-dev.lock -o requirements-service.lock
	$(COMPILE) --group docs -o requirements-docs.lock
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(COMPILE) - -o requirements-build.lock

clean: ## remove what was built here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
