# make help    this list
# make demo    environment in .venv, then short runs and their pictures in demo/, in about a minute
# make paper   the environment, then the default run: Table 1, Figures 1 and 2
# make env     the environment alone
# make test    environment, then the tests, on two processes
# make test-system  tests that need root, Slurm, a browser or an object store, or that kill processes
# make test-faults  the tests of faults at length: sixty kills, 5,000 bad configs
# make lint    formatters and linters, as they run in CI
# make docs    write anew what follows from classes, rules and CSVs: schema, docs/config.md, graphs, tables
# make bench   speed beside a plain loop and the machine's ceiling
# make gpu     tests and speed on the first GPU, in less than nine minutes
# make lock    write requirements*.txt anew from the ranges in pyproject.toml

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
LIVE = $$(test -t 2 && echo --logger rich)  # a bar in a terminal; elsewhere, lines

.PHONY: help demo paper env test test-system test-faults lint docs bench gpu lock

demo: .venv/run
	$(BIN)/snakemake --directory demo --configfile workflow/protocols/demo.yaml --cores $(CORES) --resources gpu=1 $(LIVE)
	@echo 'Look at demo/results/paper/figure1.png. Next: make paper'

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

paper: .venv/run
	$(BIN)/python scripts/estimate.py --cores $(CORES)
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 $(LIVE)

env: .venv/run

test test-system: export OMP_NUM_THREADS = 1  # several processes with several threads stall each other

test: .venv/test
	$(BIN)/python -m pytest -m "not system" --numprocesses 2 --dist worksteal

test-system: .venv/test .venv/storage
	$(BIN)/python -m pytest -m system

test-faults: .venv/test
	KILLS=60 HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/test_faults.py tests/test_hostile.py

lint: .venv/test
	$(BIN)/ruff check scripts workflow tests benchmarks docs
	$(BIN)/ruff format --check scripts workflow tests benchmarks docs
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

docs: .venv/test
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/graphs.py
	$(BIN)/python docs/tables.py

bench: .venv/run
	$(BIN)/python benchmarks/benchmark.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/workflow.py
	$(BIN)/python benchmarks/systems.py
	$(BIN)/python benchmarks/drawing.py
	$(BIN)/python benchmarks/graph.py
	$(BIN)/python benchmarks/neighbours.py
	$(BIN)/python benchmarks/neighbours.py --order

gpu: .venv/test
	$(BIN)/python benchmarks/gpu.py

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: Python 3.11 or newer is needed; make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/run: requirements.txt | .venv/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

.venv/test: requirements-test.txt requirements-slurm.txt requirements-sge.txt .venv/run
	$(BIN)/python -m pip install --quiet --requirement requirements-test.txt
	@touch $@

# For tests/test_storage.py, beside the rest: boto3 wants an older dateutil. Skipped where this cannot be had.
.venv/storage: requirements-storage.txt .venv/run
	-$(BIN)/python -m pip install --quiet --upgrade --no-deps --target $@ --requirement requirements-storage.txt
	@touch $@

# PyTorch names the CUDA libraries it needs by itself, for each platform its own.
FREEZE = freeze --all --exclude pip --exclude dualscale --exclude torch | grep --invert-match --extended-regexp '^(nvidia|triton|cuda)'

# What is installed beside what these files name.
freeze_beside = { $(foreach file,$1,echo '-r $(file)';) .lock/bin/python -m pip $(FREEZE) | \
	grep --invert-match --fixed-strings --line-regexp $(foreach file,$1,--file $(file)); }

lock:
	rm -rf .lock
	$(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet .
	{ echo torch==2.13.0; .lock/bin/python -m pip $(FREEZE); } > requirements.txt
	.lock/bin/python -m pip install --quiet '.[slurm]'
	$(call freeze_beside,requirements.txt) > requirements-slurm.txt
	.lock/bin/python -m pip install --quiet '.[sge]'
	{ echo '-r requirements.txt'; .lock/bin/python -m pip $(FREEZE) | grep cluster-generic; } > requirements-sge.txt
	.lock/bin/python -m pip install --quiet '.[test]'
	$(call freeze_beside,requirements.txt requirements-slurm.txt requirements-sge.txt) > requirements-test.txt
	rm -rf .lock build scripts/*.egg-info
