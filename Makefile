# make compare   the main job on the embedded data set
# make test      the tests          make lint      style, types, layers
# make coverage  the tests, and which lines they run: it takes nearly twice as long
# make test-faults  what may go wrong, again and again: fifty moments each instead of two
# make plots     every figure of every comparison under results/ again, from what is stored; those that git does not
#                keep are told apart by .gitignore
# make bench     the benchmarks: ratios measured side by side, printed, kept and never asserted; hours. One compares on
#                MNIST, from the folder that ARCHBENCH_DATA names; those of a CUDA device say where there is none
# Each sets up .venv first where it is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

# Without compiled modules each start of a command takes seconds more. pip compiles one file after the other, its tests
# included; what is meant for a newer Python cannot be compiled, and is never imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: compare test coverage test-faults lint plots bench clean

compare: $(READY)
	$(BIN)/archbench compare cnn mobilenet --budgets 30k,200k,1.6M

plots: $(READY)
	$(BIN)/archbench plot all --from results

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

coverage: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov=archbench --cov=zoo --cov-report=term:skip-covered

test-faults: $(READY)
	ARCHBENCH_FAULTS=50 $(BIN)/python -m pytest --numprocesses auto --dist worksteal tests/faults

bench: $(READY)
	$(BIN)/python tests/bench/counters.py
	$(BIN)/python tests/bench/sizing.py
	$(BIN)/python tests/bench/ratios.py
	$(BIN)/python tests/bench/store.py
	$(BIN)/python tests/bench/isolation.py
	$(BIN)/python tests/bench/scale.py
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/layers.py
	$(BIN)/python tests/bench/training.py --device cuda
	$(BIN)/python tests/bench/together.py
	$(BIN)/python tests/bench/comparison.py
	$(BIN)/python tests/bench/report.py
	$(BIN)/python tests/bench/page.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q -j 0 -x '/tests?/' .venv/lib archbench zoo > .venv/compiled.log || true
	touch $@

clean:
	rm -rf .venv .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis
