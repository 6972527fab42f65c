# Two commands: `make repro` and `make test`. They need Python 3.11 to 3.14, git and make.
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := .venv/installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
unexport PYTHONDONTWRITEBYTECODE  # else every process would compile its modules again

.DEFAULT_GOAL := help
.PHONY: help install repro test quick lint types unit kills cluster mutants processors ui gc page replications exps study benchmark docs lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## create .venv from the hash-pinned lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "Python 3.11, 3.12, 3.13 or 3.14 is needed, not %d.%d; name one as in: make PYTHON=python3.13 $(MAKECMDGOALS)" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	-$(BIN)/python -m compileall -q -j 0 "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"  # on all cores
	touch $(STAMP)

repro: install scm ## run the pipeline and print the comparison: reports/comparison.md
	dvc repro
	@python -m pipeline.reporting.summary

.PHONY: scm
scm: install  # a ZIP download has no .git: DVC then runs without git, except for experiments
	@[ -e .git ] || git rev-parse --git-dir > /dev/null 2>&1 || dvc config --local core.no_scm true

CORES = $$(python -c 'import joblib; print(joblib.cpu_count())')
PYTEST = pytest --dist loadfile --no-loadscope-reorder
# Two workers more than cores: many tests wait for servers, browsers and DVC
ALL = $(PYTEST) -n $$(($(CORES) + 2))
# Runs lint, types beside the tests, and the tests by the command that follows; fails if one of them does
define CHECK
@status=0; mypy & types=$$!; ruff check . && ruff format --check . || status=1; \
$(1) || status=1; wait $$types || status=1; exit $$status
endef

test: install ## run lint, types and the whole test suite
	$(call CHECK,$(ALL))

quick: install ## pass lint, types and the tests that need no DVC, server or browser, in a minute
	$(call CHECK,$(PYTEST) -n $(CORES) -q --dist worksteal -m "not dvc and not servers and not browser and not slow")

lint: install ## check style with ruff
	ruff check .
	ruff format --check .

types: install ## check types with mypy
	mypy

unit: install ## run the test suite, on all cores
	$(ALL)

kills: install ## kill the pipeline and the publishing fifty times (a quarter of an hour)
	KILLS=50 pytest -q -s tests/stages/test_kills.py

PORT ?= 5000
cluster: install ## train on more Dask workers than the suite does; ten are killed (a minute or two)
	pytest -q -m "cluster or not cluster" tests/cluster

mutants: install ## break one line at a time and see a test fail (ten minutes)
	python -m tests.mutants

processors: install ## recompute the results of papers as on other processors, and compare bytes (a quarter of an hour)
	python -m tests.processors

ui: install ## browse the runs in MLflow at http://127.0.0.1:5000 (PORT=5001: on another port)
	@python -m pipeline.tracking.serve --port $(PORT)

# NAME and SKIP are not taken from the environment, where WSL has the computer's name
NAME =
gc: install ## delete a result from MLflow (NAME=rate-5; without NAME: list the results)
	@python -m pipeline.tracking.delete "$(NAME)"

page: install ## print where the interactive page lies, and open it in a browser
	@dvc repro page
	@python -c 'import pathlib, webbrowser; page = pathlib.Path("reports/laboratory.html").resolve().as_uri(); print(page); webbrowser.open(page)'

SKIP =
FORCE =
replications: install scm ## recompute changed results of papers (NAME=tutorial: one; SKIP=phase_diagram: all but one; FORCE=1: also unchanged)
	@targets=$$(python -m pipeline.replications.targets --name "$(NAME)" --skip "$(SKIP)") && dvc repro $(if $(FORCE),--force) $$targets
	dvc repro --single-item replications/dvc.yaml:report
	@python -m pipeline.replications.publish

METRIC ?= final_cost
exps: install ## list the experiments and their differences (METRIC=test_accuracy: another result)
	@python -m pipeline.experiments --metric="$(METRIC)"

PARAMETER ?= training.learning_rate
FIGURE ?= docs/learning_rates.png
study: install ## find the best value of a parameter for each initializer: docs/learning_rates.png
	@python -m pipeline.experiments.sweep $(PARAMETER) --figure $(FIGURE)

benchmark: install .venv-benchmark/installed ## measure the kernel against NumPy, scikit-learn, PyTorch and JAX, and the stages: reports/benchmark*
	.venv-benchmark/bin/python -m benchmarks.laws
	.venv-benchmark/bin/python -m benchmarks
	python -m benchmarks.cores
	python -m benchmarks.stages

.venv-benchmark/installed: requirements-benchmark.lock
	$(PYTHON) -m venv .venv-benchmark
	.venv-benchmark/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-benchmark.lock
	touch $@

UV_COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
GPU := cuda-bindings cuda-pathfinder cuda-toolkit triton $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
# PyTorch's own build without CUDA for Linux x86-64 and Python 3.11; pip needs its location (--find-links)
TORCH_CPU := sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

docs: install ## write docs/initializers.md and docs/activations.md from the registries
	python -m pipeline.reporting.initializers_page > docs/initializers.md.part && mv docs/initializers.md.part docs/initializers.md
	python -m pipeline.reporting.activations_page > docs/activations.md.part && mv docs/activations.md.part docs/activations.md

lock: ## update the two lock files (needs uv)
	$(UV_COMPILE) pyproject.toml --extra laboratory --extra dev --output-file requirements.lock
	rm -f requirements-benchmark.lock.part
	$(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print("numpy", "numba", *p["optional-dependencies"]["benchmark"], sep="\n")' \
	| $(UV_COMPILE) - --constraint requirements.lock $(addprefix --no-emit-package ,$(GPU)) --output-file requirements-benchmark.lock.part
	sed -i "s/^torch==\(.*\) \\\\$$/torch==\1+cpu ; sys_platform == 'linux' and platform_machine == 'x86_64' \\\\\n    --hash=$(TORCH_CPU)\ntorch==\1 ; sys_platform != 'linux' or platform_machine != 'x86_64' \\\\/" requirements-benchmark.lock.part
	mv requirements-benchmark.lock.part requirements-benchmark.lock

clean: ## delete the pipeline's outputs and its cache; jobs/ and reports/ are kept
	rm -rf data diagnostics runs trajectories tracked.json .dvc/cache .dvc/tmp
