# `make` alone lists the targets. Everything runs in .venv, which `make setup` fills once and again when a pin changes.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := src tests benchmarks scripts
PYTEST_ARGS ?=
ALONE := tests/unit/bench tests/unit/train
BY_FILE := tests/unit/cli tests/unit/data tests/unit/pipeline tests/e2e
DATA ?=
PROFILE ?=
EVERY ?= 6
TRASHNET_ARGS ?= --max-ms 2 --img-size 128 --time-budget 20m
CIFAR_ARGS ?= --model mobilenetv4_conv_small --width-mult 0.5 --img-size 32 --time-budget 10m

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-zoo lint format clean docs bench-count bench-memory bench-zoo bench-build bench-compile bench-battery bench-latency bench-table bench-budgets bench-matrix bench-protocol bench-best bench-all bench-phones bench-int8 bench-bugs bench-export bench-qat \
	bench-startup bench-step bench-quickstart bench-trashnet bench-cifar bench-import

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install Edgewise with the tested versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: $(PYTHON) is missing or older than 3.11; install Python 3.11 or newer, or give one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "make: $(PYTHON) cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing into $(VENV): torch and the rest, about 6 GB on Linux (torch's usual build carries CUDA); 2 to 10 minutes, pip is quiet meanwhile"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

quickstart: $(STAMP) ## train, export, verify, measure and report a small model on real digits (no download)
	@$(BIN)/edgewise quickstart

test: $(STAMP) ## run all tests
	@scripts/install_test_packages.sh || true
	@# what only computes shares the cores; the tests of one file share trained runs; what holds a clock has the cores to itself
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests $(ALONE:%=--ignore=%) $(BY_FILE:%=--ignore=%) $(PYTEST_ARGS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(BY_FILE) $(PYTEST_ARGS)
	@$(BIN)/python -m pytest $(ALONE) $(PYTEST_ARGS)

test-zoo: $(STAMP) ## the tests of every model, of which `make test` takes one of each structure; about 15 minutes
	@$(BIN)/python -m pytest -m '' -n 2 --dist worksteal tests/battery tests/parity tests/facts $(PYTEST_ARGS)

lint: $(STAMP) ## style, types, floors, spelling
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(SOURCES) README.md CHANGELOG.md CONTRIBUTING.md docs pyproject.toml Makefile

format: $(STAMP) ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: $(STAMP) ## write the drawings and tables of docs/ again
	$(BIN)/python scripts/make_docs.py

bench-zoo: $(STAMP) ## speed of every family against timm: forward, training step, fused
	$(BIN)/python benchmarks/zoo_speed.py

bench-count: $(STAMP) ## MACs of 86 of timm's models against a count at the dispatcher, about 5 minutes
	$(BIN)/python benchmarks/count_timm.py

bench-memory: $(STAMP) ## peak memory against LiteRT's and ExecuTorch's planners, about 20 minutes
	$(BIN)/python benchmarks/peak_memory.py

bench-build: $(STAMP) ## every model on the meta device, about 12 minutes
	$(BIN)/python benchmarks/zoo_build.py

bench-compile: $(STAMP) ## every model through torch.compile and strict torch.export, about 15 minutes
	$(BIN)/python benchmarks/compile_zoo.py

bench-battery: $(STAMP) ## wall time of the battery over every model, about 8 minutes
	$(BIN)/python benchmarks/battery.py

bench-protocol: $(STAMP) ## how far the bench can be trusted, about 30 minutes on a quiet machine
	$(BIN)/python benchmarks/bench_protocol.py

bench-best: $(STAMP) ## our files against timm's own export, sixteen models, about 45 minutes
	$(BIN)/python benchmarks/best_form.py --formats onnx,openvino

bench-all: $(STAMP) ## latency of every model in every runtime, with its chart, about 90 minutes on a quiet machine
	$(BIN)/python benchmarks/zoo_bench.py

bench-int8: $(STAMP) ## int8 accuracy of trained models in every format, about 3 hours; CIFAR10=… TRASHNET=…
	$(BIN)/python benchmarks/int8_table.py $(if $(CIFAR10),--cifar10 '$(CIFAR10)') $(if $(TRASHNET),--trashnet '$(TRASHNET)')

bench-phones: $(STAMP) ## published phone latencies from a fitted roofline, each model left out once
	$(BIN)/python benchmarks/paper_latency.py

bench-latency: $(STAMP) ## predicted against measured latencies, about 7 minutes (EVERY=1: 40); PROFILE=profile.json of edgewise calibrate
	@test -n '$(PROFILE)' || { echo "make: give a profile, as in: make $@ PROFILE=runs/calibrate/profile.json" >&2; exit 1; }
	$(BIN)/python benchmarks/latency_prediction.py --profile '$(PROFILE)' --every $(EVERY)

bench-table: $(STAMP) ## error of a search space's latency table on left-out networks, about 10 minutes
	$(BIN)/python benchmarks/latency_table.py

bench-budgets: $(STAMP) ## fit --max-ms by a calibration against measuring everything, 20 budgets, about 30 minutes
	$(BIN)/python benchmarks/fit_by_prediction.py

bench-matrix: $(STAMP) ## every family in every export format, about 20 minutes
	$(BIN)/python benchmarks/export_matrix.py

bench-bugs: $(STAMP) ## wrong files made on purpose, and right ones of every model, about 30 minutes
	$(BIN)/python benchmarks/seeded_bugs.py

bench-export: $(STAMP) ## Conv-S to every format, about 2 minutes
	$(BIN)/python benchmarks/export_all.py

bench-qat: $(STAMP) ## what quantisation-aware training brings back where int8 collapses, about 10 minutes
	$(BIN)/python benchmarks/qat.py

bench-startup: $(STAMP) ## time of --help, list and import, against a bare typer + rich program
	$(BIN)/python benchmarks/startup.py

bench-import: bench-startup ## the same script: `import edgewise` is one of its rows

bench-step: $(STAMP) ## one training step of Conv-S against a bare PyTorch loop
	$(BIN)/python benchmarks/train_step.py

bench-quickstart: $(STAMP) ## wall time, memory and accuracy of the quickstart
	$(BIN)/python benchmarks/quickstart.py

bench-trashnet: $(STAMP) ## fit on TrashNet, about 25 minutes: make bench-trashnet DATA=trashnet.tar
	@test -n '$(DATA)' || { echo "make: give the data set, as in: make $@ DATA=path/to/trashnet.tar" >&2; exit 1; }
	$(BIN)/python benchmarks/fit_run.py '$(DATA)' --name trashnet --min-top1 0.68 --max-wall-s 1800 --max-rss-gib 4 -- $(TRASHNET_ARGS)

bench-cifar: $(STAMP) ## fit on CIFAR-10 with a 10-minute budget: make bench-cifar DATA=cifar10.tar
	@test -n '$(DATA)' || { echo "make: give the data set, as in: make $@ DATA=path/to/cifar10.tar" >&2; exit 1; }
	$(BIN)/python benchmarks/fit_run.py '$(DATA)' --name cifar10 --max-wall-s 600 -- $(CIFAR_ARGS)

clean: ## remove .venv and caches; runs/ and results/ stay
	rm -rf $(VENV) .test-packages .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
