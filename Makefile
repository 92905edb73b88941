# What can be done with Krypton. Each target does its own set-up; `make` alone tells what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
BIN := $(or $(CARGO_TARGET_DIR),target)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

# One build for tests and conformance: the same packages with the same features, so that nothing is compiled twice.
BUILD := $(CARGO) build --workspace --bins --tests

# nextest where it is installed (installing it from source takes longer than it saves), else cargo's own runner.
ifdef NEXTEST
RUN_TESTS = $(CARGO) nextest run --workspace --status-level fail --final-status-level slow
RUN_ALL_TESTS = $(RUN_TESTS) --run-ignored all --profile soak
else
RUN_TESTS = $(CARGO) test --workspace --quiet --bins --lib --tests
RUN_ALL_TESTS = $(RUN_TESTS) -- --include-ignored
endif

# What `krypton dev` starts.
RELEASE = $(CARGO) build --release -p core-server -p gateway-server -p operator-cli --bins

.PHONY: help run test conformance bench fuzz check soak protocol setup-build setup-test

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: setup-build ## run Core and Gateway here for development, state under run/, until Ctrl-C
	@echo "run: building the release"
	@$(RELEASE)
	@exec $(BIN)/release/krypton dev --dir run

test: setup-test ## run all tests
	@echo "test: building and running all tests $(if $(NEXTEST),(cargo nextest),(cargo test: cargo-nextest is not installed))"
	@$(BUILD)
	@$(RUN_TESTS)
	@$(CARGO) test --workspace --quiet --doc

conformance: setup-build ## run the black-box suite: OASIS cases, hostile input, faults
	@echo "conformance: running the black-box suite"
	@if [ ! -d "$${KMIP_VECTORS:-../shared/kmip/vectors}" ]; then \
	    echo "conformance: no OASIS cases (KMIP_VECTORS is not set, ../shared/kmip/vectors is not there): fixtures/ alone"; fi
	@$(BUILD)
	@$(BIN)/debug/krypton-conformance all

bench: setup-build ## run the benchmarks
	@echo "bench: building and running the benchmarks"
	@$(RELEASE)
	@$(CARGO) bench --workspace --benches

fuzz: setup-build ## fuzz everything that reads bytes of a peer or a store (RUNS=1000000 each)
	@echo "fuzz: $(or $(RUNS),1000000) runs of each target"
	@$(CARGO) run --release --quiet -p fuzz -- all --runs $(or $(RUNS),1000000)

check: setup-build ## formatting, clippy, documentation, licences, and the tidy test
	@echo "check: formatting"
	@$(CARGO) fmt --all --check
	@echo "check: clippy"
	@$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	@echo "check: documentation"
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	@if command -v cargo-deny >/dev/null; then echo "check: licences and bans (cargo deny)"; $(CARGO) deny --log-level error check; \
	    else echo "check: cargo-deny is not installed: licences and bans (deny.toml) are not checked"; fi
	@echo "check: tidiness"
	@$(BUILD) --quiet
	@$(RUN_TESTS) tidy::

soak: setup-test ## run the long form of every fault and kill test
	@echo "soak: running all tests in their long form (KRYPTON_SOAK=1)"
	@$(BUILD)
	@KRYPTON_SOAK=1 $(RUN_ALL_TESTS)
	@echo "soak: searching the memory of release builds for keys"
	@$(RELEASE)
	@$(CARGO) test --release --quiet -p gateway-server --test it -- secrets::

protocol: setup-build ## write docs/PROTOCOL.md from the operations table
	@echo "protocol: writing docs/PROTOCOL.md"
	@$(BUILD) --quiet
	@KRYPTON_WRITE=1 $(RUN_TESTS) support_matrix

setup-build:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh test
