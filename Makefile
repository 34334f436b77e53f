# Two commands do all set-up: `make demo` and `make test`. `make help` lists the rest. Any may be run again.
PYTHON ?= python3
VENV   := .venv
AIRFLOW := .venv-airflow
BIN    := $(VENV)/bin
DATA   ?=
DETACH ?=
PYTEST ?=
CHOSEN := $(findstring tests/,$(PYTEST))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo up test unit faults soak dag-test fuzz bench cluster-test check format docs lock images preflight cluster platform clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/laptop.done ## The whole road, stays until Ctrl-C. DATA=completejourney or a file; DETACH=1 checks and ends
	@$(BIN)/anmodel demo $(if $(DATA),--data '$(DATA)') $(if $(DETACH),--detach)

up: $(VENV)/laptop.done ## The platform alone, stays until Ctrl-C
	@$(BIN)/anmodel up

test: $(VENV)/dev.done $(if $(CHOSEN),,dag-test) ## Every test that needs no cluster
ifdef CHOSEN
	@$(BIN)/pytest $(PYTEST)
else
	@$(BIN)/pytest $(GRPC)
	@OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore=$(GRPC) \
	  $(CONSOLE) tests/batch tests/charts tests/unit $(PYTEST)
	@$(BIN)/pytest --ignore=$(CONSOLE) tests/stream tests/ui $(PYTEST)
endif
# gRPC's client in a process that has run Kafka's and started others may hang or crash: it has one of its own
GRPC := tests/batch/test_predictor_grpc.py
# the console's build and its own checks watch no clock and need no browser. They run with the tests that go two files at a
# time: those that take long first, a model on one thread, as two models on two each would wait for one another
CONSOLE := tests/ui/test_console_sources.py

unit: $(VENV)/dev.done ## The unit tests alone: no network, no Java
	@$(BIN)/pytest tests/unit $(PYTEST)

faults: $(VENV)/dev.done ## Kill -9, full disks, cut lines, wrong clocks: what is accepted is stored, once (docs/faults.md)
	@$(BIN)/pytest --timeout 900 --ignore=tests/faults/soak tests/faults $(PYTEST)

soak: $(VENV)/dev.done ## Faults of every kind at random for MINUTES (30); SEED repeats a run
	@SOAK_MINUTES=$(MINUTES) SOAK_SEED=$(SEED) $(BIN)/pytest -s --timeout 0 tests/faults/soak $(PYTEST)
MINUTES ?= 30
SEED    ?= 1

dag-test: $(AIRFLOW)/airflow-test.done ## The DAGs alone, in Airflow; it and KServe cannot share an environment
	@$(AIRFLOW)/bin/pytest -c tests/dags/pytest.ini tests/dags

fuzz: $(VENV)/dev.done ## A million hostile inputs for the decoder of events; FUZZ_INPUTS, FUZZ_SEED
	@FUZZ_INPUTS=$(or $(FUZZ_INPUTS),1000000) $(BIN)/pytest tests/unit/test_decoder_fuzz.py --timeout 0 -q

bench: $(VENV)/dev.done ## Measure: NAME=collector, say; ARGS for its own options (docs/benchmarks.md)
	@$(BIN)/python -m bench $(NAME) $(ARGS)

cluster-test: $(VENV)/dev.done ## Images, chart and platform on the cluster that KUBECONFIG names (docs/cluster-tests.md)
	@PYTHONPATH=tests/cluster $(BIN)/pytest $(addprefix tests/cluster/test_,$(addsuffix .py,$(CLUSTER_TESTS))) $(PYTEST)
CLUSTER_TESTS ?= images road policies limits kills releases rotation serving batch

check: $(VENV)/dev.done ## Format, lint, types, import rules
	@$(BIN)/ruff format --check src dags tests k8s bench
	@$(BIN)/ruff check src dags tests k8s bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/hadolint images/*.Dockerfile tests/cluster/images/*.Dockerfile
	@$(BIN)/shellcheck $$(grep -rlIE '^#!.*[/ ](ba)?sh$$' .ci images k8s tests)

format: $(VENV)/dev.done ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix --quiet src dags tests k8s bench || true
	@$(BIN)/ruff format src dags tests k8s bench

docs: $(VENV)/dev.done ## Make the pages that come from the code
	@$(BIN)/python docs/render.py
	@$(BIN)/python docs/render_chart.py

lock: $(VENV)/dev.done ## Lock the environments anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra laptop $(LOCK) -o requirements/laptop.txt
	@$(BIN)/uv pip compile pyproject.toml --extra laptop --group dev $(LOCK) -c requirements/laptop.txt -o requirements/dev.txt
	@for stage in $(filter-out mlflow airflow,$(IMAGES)); do \
	  $(BIN)/uv pip compile pyproject.toml --extra $$stage $(LOCK) -c requirements/laptop.txt -o requirements/$$stage.txt || exit 1; done
	@for group in console mlflow; do \
	  $(BIN)/uv pip compile --group $$group $(LOCK) -c requirements/laptop.txt -o requirements/$$group.txt || exit 1; done
	@$(BIN)/uv pip compile pyproject.toml --extra bgnbd $(LOCK) -c requirements/laptop.txt -o requirements/bgnbd.txt
	@$(BIN)/uv pip compile --group airflow $(LOCK) -o requirements/airflow.txt
	@$(BIN)/uv pip compile --group airflow-test $(LOCK) -c requirements/airflow.txt -o requirements/airflow-test.txt
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

IMAGES := collector consumer migrate generator export trends snapshot train register score monitor predictor gateway marketapp mlflow airflow
STAGES ?= $(IMAGES)
export BASE_IMAGE IMAGE_REGISTRY IMAGE_TAG DOCKER

images: ## Build the images. STAGES="collector consumer" builds some; BASE_IMAGE, IMAGE_REGISTRY, IMAGE_TAG (docs/images.md)
	@images/build $(STAGES)

preflight: ## Look whether this machine can run the platform. OVERLAY=kind (the default), production or test
	@$(PYTHON) k8s/platform.py preflight --overlay $(OVERLAY)

cluster: ## A kind cluster with a registry, on this machine (needs docker, kind and ctlptl)
	@$(PYTHON) k8s/platform.py preflight --overlay kind
	@ctlptl apply -f k8s/kind/cluster.yaml

platform: ## What AnModel runs on, on a cluster, in order. OVERLAY=kind; WITH="monitoring keda" adds optional parts; DRY_RUN=1
	@$(PYTHON) k8s/platform.py up --overlay $(OVERLAY) $(addprefix --with ,$(WITH)) $(if $(DRY_RUN),--dry-run)
OVERLAY ?= kind
WITH    ?=
DRY_RUN ?=

clean: ## Remove what was built or installed here; data in .anmodel stays (remove it by hand)
	@rm -rf $(VENV) $(AIRFLOW) MarketApp/node_modules MarketApp/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean. Data and logs, if any, are still in .anmodel"

# An environment is its lock file, installed by uv where there is one and by pip elsewhere, then the package itself.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
HEAL    = true
INSTALL = $(UV) pip install --quiet --python $(@D)/bin/python
else
# an environment whose making was killed has a Python and no pip
HEAL    = $(@D)/bin/python -m pip --version >/dev/null 2>&1 || $(@D)/bin/python -m ensurepip >/dev/null
INSTALL = $(@D)/bin/python -m pip install --quiet
endif

$(VENV)/bin/python $(AIRFLOW)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit(f"Python {v.major}.{v.minor} is at {sys.executable}; AnModel needs 3.11 to 3.13. Say which: make PYTHON=python3.12 ...")'
	@echo "── environment in $(@:/bin/python=), by $(if $(UV),uv,pip; the first time takes some minutes)"
	@$(if $(UV),$(UV) venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(@:/bin/python=),$(PYTHON) -m venv $(@:/bin/python=))

$(VENV)/%.done: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	@echo "── packages of requirements/$*.txt ($$(grep -c '^[a-z0-9].*==' $<))"
	@$(HEAL)
	@$(INSTALL) --require-hashes -r $<
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(AIRFLOW)/airflow-test.done: requirements/airflow-test.txt | $(AIRFLOW)/bin/python
	@echo "── packages of $< ($$(grep -c '^[a-z0-9].*==' $<))"
	@$(HEAL)
	@$(INSTALL) --require-hashes -r $<
	@touch $@
