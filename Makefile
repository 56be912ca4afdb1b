# annbench: `make run` sets everything up and writes the first report; `make test` runs every test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find annbench/native -type f -not -path '*/tests/*' -not -path '*/fuzz/*' 2>/dev/null)

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: $(VENV)/.installed ## Set up, run the quickstart on the bundled vectors, write report/report.html
	$(BIN)/annbench run quickstart --report report

.PHONY: peers
peers: $(VENV)/.installed-peers ## Set up the libraries of configs/peers.yaml (docs/peers.md), for annbench run peers

.PHONY: test-peers
test-peers: $(VENV)/.installed-dev $(VENV)/.installed-peers ## The conformance suite over those libraries
	$(BIN)/python -m pytest tests/conformance tests/unit/algorithms -k 'pyglass or rabitqlib or scann or svs or turbovec or peers'

# Tests run side by side, the longest first: those that compile, those that drive whole runs, all others. What watches
# clocks or cores, and the browser, comes after, one by one.
ONE_BY_ONE := $(addprefix tests/,html runs/test_faults.py runs/test_runner_faults.py)
LONGEST := $(addprefix tests/,native regression runs)
OTHERS := $(filter-out $(LONGEST) $(ONE_BY_ONE) %/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))

.PHONY: test
test: $(VENV)/.installed-dev ## Lint, types, every test; the report page only where a browser is present
	$(BIN)/python -m ruff check annbench tests benchmarks
	$(BIN)/python -m ruff format --check annbench tests benchmarks
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --durations 15 \
	    $(LONGEST) $(OTHERS) $(ONE_BY_ONE:%=--ignore=%)
	$(BIN)/python -m pytest --durations 15 $(ONE_BY_ONE)

.PHONY: test-native
test-native: $(VENV)/.installed-dev ## The C++ core by itself, without Python, and what was run of which ISA
	$(BIN)/python -m pytest tests/native -rP

CMAKE = $$(command -v cmake || echo $(BIN)/cmake)
native = $(CMAKE) -S annbench/native -B build/$(1) -DANNBENCH_PYTHON=OFF -DANNBENCH_EMULATE_AVX512=OFF $(2); \
    $(CMAKE) --build build/$(1) --parallel "$$(nproc)"

.PHONY: test-train
test-train: $(VENV)/.installed-dev ## What needs torch (annbench[train]); make test leaves it out where torch is not there
	$(BIN)/python -m pip install --quiet 'annbench[train]'
	$(BIN)/python -m pytest tests/unit/train

.PHONY: sanitize
sanitize: $(VENV)/.installed-dev ## The C++ core under AddressSanitizer with UBSan, and its threads under ThreadSanitizer
	$(call native,address,-DANNBENCH_SANITIZE=address)
	build/address/tests/native_tests
	$(call native,thread,-DANNBENCH_SANITIZE=thread)
	build/thread/tests/native_tests_threads

# libFuzzer where clang is present, else a driver of our own (annbench/native/fuzz/driver.cpp).
FUZZ_SECONDS ?= 600
FUZZERS := kernels_agree load_then_search

.PHONY: fuzz
fuzz: $(VENV)/.installed-dev ## Hostile index files and kernels against their reference, FUZZ_SECONDS each
	if command -v clang++ >/dev/null; then \
	  $(call native,fuzz-clang,-DANNBENCH_TESTS=OFF -DANNBENCH_FUZZ=ON -DANNBENCH_SANITIZE=address \
	      -DANNBENCH_LIBFUZZER=ON -DCMAKE_CXX_COMPILER=clang++); \
	  for target in $(FUZZERS); do \
	    build/fuzz-clang/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1; done; \
	else \
	  $(call native,fuzz,-DANNBENCH_TESTS=OFF -DANNBENCH_FUZZ=ON -DANNBENCH_SANITIZE=address); \
	  for target in $(FUZZERS); do build/fuzz/fuzz/fuzz_$$target --seconds $(FUZZ_SECONDS); done; \
	fi

.PHONY: test-html
test-html: $(VENV)/.installed-dev ## The report page in headless Chromium; fails without one
	ANNBENCH_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m html

.PHONY: bench
bench: $(VENV)/.installed-dev ## What the harness costs and how exact truth compares; give the machine nothing else to do
	$(BIN)/python benchmarks/harness.py
	$(BIN)/python benchmarks/ground_truth.py

# The figures of the compressed core in docs/benchmarks.md. DATA holds the sets, the bundled one stands in for them;
# turbovec and rabitqlib take part where `make peers` has installed them.
DATA ?= data

.PHONY: bench-core
bench-core: $(VENV)/.installed-dev build/bench/bench/native_bench ## Scans, codes, encoding, loading, calls: make bench-core DATA=folder
	$(BIN)/python benchmarks/core_costs.py --native-bench build/bench/bench/native_bench
	$(BIN)/python benchmarks/scan_hamming.py
	$(BIN)/python benchmarks/scan_codes.py --data $(DATA) --rounds 3
	$(BIN)/python benchmarks/codes.py --data $(DATA) --rows 20000 --queries 500

# Hours: dozens of indexes are built a set and kept in CACHE. Those of `make peers` take part where they are installed.
CACHE ?= build/bench-graph
BENCH_GRAPH ?=

.PHONY: bench-graph
bench-graph: $(VENV)/.installed-dev ## The graph index beside its peers: make bench-graph DATA=folder BENCH_GRAPH="--sets minilm"
	$(BIN)/python benchmarks/graph.py --data $(DATA) --cache $(CACHE) --json build/bench-graph.json $(BENCH_GRAPH)

# Hours at 10^6 vectors; a run that was stopped goes on. BENCH_SCALING="--sizes 10000 30000" for a first look.
BENCH_SCALING ?=

.PHONY: bench-scaling
bench-scaling: $(VENV)/.installed-dev ## Build seconds, bytes and QPS as the vectors grow: make bench-scaling DATA=folder
	$(BIN)/python benchmarks/graph_scaling.py --data $(DATA) --json build/bench-scaling.json $(BENCH_SCALING)

# Up to two hours; goes on where it was stopped. BENCH_LARGE="--rows 1000000" for a first look.
BENCH_LARGE ?=

.PHONY: bench-large
bench-large: $(VENV)/.installed-dev ## 10^7 vectors from a file, within 4 GiB, resumable
	$(BIN)/python benchmarks/graph_large.py $(BENCH_LARGE)

.PHONY: bench-auto
bench-auto: $(VENV)/.installed-dev ## What preset auto chooses, beside other presets: make bench-auto DATA=folder
	$(BIN)/python benchmarks/auto_preset.py --data $(DATA)

# An hour a set: binarizers are trained, and kept in MODELS. torch must be installed (make test-train does it).
MODELS ?= build/binarizers
BENCH_BEBR ?=

.PHONY: bench-bebr
bench-bebr: $(VENV)/.installed-dev build/bench/bench/native_bench ## Learned binary codes beside others: make bench-bebr DATA=folder BENCH_BEBR="--sets minilm"
	for kernel in planes levels table; do build/bench/bench/native_bench --only $$kernel || exit 1; done
	$(BIN)/python benchmarks/binary_codes.py --data $(DATA) --models $(MODELS) --json build/bench-bebr.json $(BENCH_BEBR)
	$(BIN)/python benchmarks/scan_levels.py --data $(DATA) --models $(MODELS) --json build/bench-levels.json

.PHONY: bench-calls
bench-calls: $(VENV)/.installed-dev ## What a call from Python costs along a graph, and what two threads bring
	$(BIN)/python benchmarks/graph_calls.py --data $(DATA)

build/bench/bench/native_bench: $(NATIVE)
	$(call native,bench,-DANNBENCH_TESTS=OFF -DANNBENCH_BENCH=ON)

.PHONY: bench-truth
bench-truth: $(VENV)/.installed-dev ## annbench against plain scripts: make bench-truth SETS="a.hdf5 b.hdf5"
	$(BIN)/python benchmarks/truth.py $(SETS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## Format and mend what can be mended
	$(BIN)/python -m ruff check --fix annbench tests benchmarks
	$(BIN)/python -m ruff format annbench tests benchmarks

.PHONY: clean
clean: ## Remove what was built (results and reports stay)
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache

# What `make` itself cannot install is named, with the command that does.
APT_OR_DNF := $(shell command -v apt-get >/dev/null 2>&1 && echo apt || echo dnf)
INSTALL_apt := sudo apt-get install -y
INSTALL_dnf := sudo dnf install -y
PACKAGES_python_apt := python3 python3-venv python3-dev
PACKAGES_python_dnf := python3.11 python3.11-devel
PACKAGES_compiler_apt := g++
PACKAGES_compiler_dnf := gcc-c++
missing = { echo "annbench needs $(1). Install it: $(INSTALL_$(APT_OR_DNF)) $(2)" >&2; exit 1; }

.PHONY: prerequisites
prerequisites:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || $(call missing,Python 3.11 or newer (or name yours: make PYTHON=python3.12 …),$(PACKAGES_python_$(APT_OR_DNF)))
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || $(call missing,Python's venv module,$(PACKAGES_python_$(APT_OR_DNF)))
	@$(PYTHON) -c 'import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' \
	    || $(call missing,Python's headers,$(PACKAGES_python_$(APT_OR_DNF)))
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null \
	    || $(call missing,a C++20 compiler,$(PACKAGES_compiler_$(APT_OR_DNF)))

# Editable, so that a change of Python code needs no second install; one of native code or of the build does.
$(VENV)/.installed: pyproject.toml $(NATIVE) | prerequisites
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# What is installed satisfies `annbench`, so that only what its extras ask for is added, and nothing is built again.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet 'annbench[dev]'
	touch $@

$(VENV)/.installed-peers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet 'annbench[peers]'
	touch $@
