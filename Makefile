# `make demo` shows what the library does, `make test` shows that it works; `make help` names the rest.
# Everything is installed into .venv (transformers 4.57) and, for test-v5, .venv-v5 (transformers 5); what converts models to TFLite into
# .venv-tflite, because it does not go with the rest. A stamp file in the environment says what is there already, so nothing is
# installed twice, and what depends on a changed setup.cfg or constraints file is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# The library and its tests work without the Hub; nothing here asks it for anything.
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_RETRIES := 10

VENV := .venv
VENV5 := .venv-v5
VENV_TFLITE := .venv-tflite
WORKERS ?= 2
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(firstword $(foreach found,python3.11 python3.12 python3.10 python3 python,\
	$(if $(shell $(found) -c '$(SUPPORTED)' 2>/dev/null && echo yes),$(found))))

.PHONY: help setup setup-tflite demo test test-v5 lint format cards docs clean

help: ## name the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Options: VIDEO=file (demo), PYTHON=python3.11 (a new environment), WORKERS=2 and ARGS='tests/…' (test, test-v5)"

setup: $(VENV)/.all ## make .venv with everything

setup-tflite: $(VENV_TFLITE)/.all ## make .venv-tflite, which signlang export --to tflite needs

demo: $(if $(VIDEO),$(VENV)/.video,$(VENV)/.demo) ## train on real fingerspelling and recognise; VIDEO=my_sign.mp4 for your own
	$(VENV)/bin/python recipes/demo_fingerspelling.py $(if $(VIDEO),--video "$(VIDEO)")

test: $(VENV)/.all ## run all tests, with coverage
	$(VENV)/bin/python -m pytest -n $(WORKERS) $(if $(ARGS),$(ARGS),--cov --cov-report=term:skip-covered --cov-fail-under=85)

test-v5: $(VENV5)/.all ## run the tests on transformers 5
	$(VENV5)/bin/python -m pytest -n $(WORKERS) -m "not optimum" $(ARGS)

lint: $(VENV)/.lint ## check the style
	$(VENV)/bin/ruff check --extend-exclude '.venv*' .
	$(VENV)/bin/ruff format --check --extend-exclude '.venv*' .

format: $(VENV)/.lint ## put the style right
	$(VENV)/bin/ruff check --fix --extend-exclude '.venv*' .
	$(VENV)/bin/ruff format --extend-exclude '.venv*' .

cards: $(VENV)/.demo ## render the measured results into the README
	$(VENV)/bin/python hub_cards/render.py

# NO_MKDOCS_2_WARNING: the theme's advertisement of its successor, which is no warning about these pages.
docs: $(VENV)/.all ## build the documentation into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet --strict

clean: ## remove environments, caches and the built documentation; outputs/ stays
	rm -rf $(VENV) $(VENV5) $(VENV_TFLITE) build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	find signlang_hf recipes hub_cards spaces tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- environments ----

# Twice if need be: an index that fails for a moment, while several GB are fetched from it, must not end the run. What arrived the
# first time is in pip's cache.
INSTALL = $(@D)/bin/pip install -c $(filter constraints%,$^) $(WANTED) || \
	{ sleep 30; $(@D)/bin/pip install -c $(filter constraints%,$^) $(WANTED); }
$(VENV)/.lint: WANTED = ruff
$(VENV)/.demo: WANTED = -e ".[train]"
$(VENV)/.video: WANTED = -e ".[pose,train]"
$(VENV)/.all: WANTED = -e ".[all,dev]"
$(VENV5)/.all: WANTED = -e ".[decoding,demo,detector,ensemble,explain,pose,ray,serve,track,train,tune,vlm,wlasl,dev]"
# Without signlang_hf: it is given the code of the model that it is to convert.
$(VENV_TFLITE)/.all: WANTED = "litert-torch>=0.10,<0.11" "transformers>=4.57.6,<5" "timm>=1.0.15" "safetensors>=0.4.3"

$(VENV)/.made $(VENV5)/.made $(VENV_TFLITE)/.made:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		echo "signlang_hf needs Python 3.10, 3.11 or 3.12, and none was found; install one or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	elif ! "$$python" -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "signlang_hf needs Python 3.10, 3.11 or 3.12; $$python is not one of them" >&2; exit 1; \
	fi; \
	rm -rf $(@D); echo "$$python -m venv $(@D)"; "$$python" -m venv $(@D); touch $@

$(VENV)/.lint: constraints.txt $(VENV)/.made
	$(INSTALL)
	@touch $@

$(VENV)/.demo: setup.cfg pyproject.toml constraints.txt $(VENV)/.made
	$(INSTALL)
	@touch $@

$(VENV)/.video: setup.cfg pyproject.toml constraints.txt $(VENV)/.made
	$(INSTALL)
	@touch $@ $(VENV)/.demo

$(VENV)/.all: setup.cfg pyproject.toml constraints.txt $(VENV)/.made
	$(INSTALL)
	@touch $@ $(VENV)/.video $(VENV)/.demo $(VENV)/.lint

$(VENV5)/.all: setup.cfg pyproject.toml constraints-v5.txt $(VENV5)/.made
	$(INSTALL)
	@touch $@

$(VENV_TFLITE)/.all: constraints-tflite.txt $(VENV_TFLITE)/.made
	$(INSTALL)
	@touch $@
