# make help says what there is. Every target does its own set-up.
#
# What is built and installed goes to one cache outside of the clone, $(KES_CACHE): Cargo's target folder, and the tools
# that tests run (tests/tools/README.md).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Cargo uses all cores by itself, and the steps of a target build on each other.
.NOTPARALLEL:

override KES_CACHE := $(abspath $(or $(KES_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kes))
override CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),$(KES_CACHE)/target))
export KES_CACHE CARGO_TARGET_DIR

TOOLS := $(KES_CACHE)/tools
# The lock file is part of the source: nothing here may change it.
LOCKED := --locked

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{ printf "make %-10s %s\n", $$1, $$2 }'
	@echo
	@echo "built things and tools: $(KES_CACHE) (KES_CACHE)"

.PHONY: run
run: ## a development server on loopback; prints what to paste (KES_ADDR=host:port moves it)
	scripts/dev-run

# The standard folders (GNU coding standards, 7.2.5); DESTDIR stands before all of them. The configuration is where it always was.
prefix = /usr/local
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
datarootdir = $(prefix)/share
docdir = $(datarootdir)/doc/kes
mandir = $(datarootdir)/man
sysconfdir = /etc
unitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d

.PHONY: build
build: ## the program, optimised
	cargo build $(LOCKED) --release --bin kes
	@echo "built: $(CARGO_TARGET_DIR)/release/kes"

# One file that needs nothing around it, for an image with nothing else in it: docs/decisions/0010. Randomness is then asked of the kernel
# directly; the usual way, which first looks up whether the C library has the call, would end at /dev/urandom.
STATIC = $(CARGO_TARGET_DIR)/static/kes
.PHONY: static
static: export RUSTFLAGS := -C target-feature=+crt-static --cfg getrandom_backend="linux_raw"
static: HOST = $(shell rustc -vV | sed -n 's/^host: //p')
static: PROFILE = release
static: ## the program in one static file, for containers (STATIC=path)
	cargo build $(LOCKED) --profile $(PROFILE) --bin kes --target $(HOST) --target-dir $(CARGO_TARGET_DIR)/static
	strip -o $(STATIC) $(CARGO_TARGET_DIR)/static/$(HOST)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/kes
	@echo "built: $(STATIC)"

# A program that is there already is named: sudo make install KES_BIN=path
.PHONY: install uninstall
install uninstall: export KES_BIN := $(or $(KES_BIN),$(CARGO_TARGET_DIR)/release/kes)
install uninstall: export DESTDIR := $(DESTDIR)
install: $(if $(KES_BIN),,build) ## program, unit and documents (prefix=/usr/local, DESTDIR=, KES_BIN=path)
	$(FOLDERS) scripts/install put
uninstall: ## take them away again; configuration and keys stay
	$(FOLDERS) scripts/install remove
FOLDERS = bindir='$(bindir)' datarootdir='$(datarootdir)' docdir='$(docdir)' mandir='$(mandir)' sysconfdir='$(sysconfdir)' unitdir='$(unitdir)' sysusersdir='$(sysusersdir)' tmpfilesdir='$(tmpfilesdir)'

.PHONY: check
check: ## the fast part: format, lints, unit, documentation and API tests
	cargo fmt --all --check
	cargo clippy $(LOCKED) --all-targets -- -D warnings
	cargo test $(LOCKED) --lib
	cargo test $(LOCKED) --doc
	cargo test $(LOCKED) --test integration

# As root all that tests need can be had, so none may be skipped.
.PHONY: test
test: export KES_REQUIRE_TOOLS := $(if $(filter 0,$(shell id -u)),1,$(KES_REQUIRE_TOOLS))
test: system-tools check docs deny no-features fuzz-smoke test-go ## everything, with the tools it needs; what .ci/run calls

.PHONY: system-tools
system-tools:
	@if [[ $$EUID -eq 0 ]]; then tests/tools/install strace e2fsprogs nginx haproxy systemd prometheus; fi

.PHONY: docs
docs:
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --no-deps

# Advisories need a database from outside; they are checked where there is one.
.PHONY: deny
deny:
	tests/tools/install cargo-deny
	cargo fetch $(LOCKED)
	$(TOOLS)/cargo-deny --offline --locked check licenses bans sources

# A package without features is the same package without its default features.
.PHONY: no-features
no-features:
	@if cargo metadata --locked --no-deps --format-version 1 | grep -E '"default":\[".+"\]' >/dev/null; then \
		set -x; cargo clippy $(LOCKED) --no-default-features --all-targets -- -D warnings; fi

# The Go programs: our server under the SDK of its clients, and under a real MinIO. Never from Go's test cache: it does
# not see that the server has changed.
.PHONY: test-go
test-go: export KES_BIN := $(CARGO_TARGET_DIR)/debug/kes
test-go: export KES_STATIC_BIN := $(CARGO_TARGET_DIR)/static/kes-dev
test-go: export KES_REQUIRE_TOOLS := 1
test-go:
	cargo build $(LOCKED) --bin kes
	$(MAKE) static PROFILE=dev STATIC=$(KES_STATIC_BIN)
	tests/tools/install minio mc kubernetes-validate
	cd tests/kesd && go vet ./...
	cd tests/sdk && go vet ./... && go test -v -count=1 -timeout 5m ./...
	cd tests/deploy && go vet ./... && go test -v -count=1 -timeout 5m ./...
	cd tests/minio && go vet ./... && go test -v -count=1 -timeout 10m ./...

# Long: optimised, under the address sanitizer. Smoke: quick to build, a few seconds for each target.
.PHONY: fuzz fuzz-smoke
fuzz: ## every parser of outside bytes, 300 seconds each (TIME=seconds, TARGETS='pem config')
	tests/tools/install cargo-fuzz
	scripts/fuzz long $(or $(TIME),300) $(TARGETS)
fuzz-smoke:
	tests/tools/install cargo-fuzz
	scripts/fuzz smoke 5

.PHONY: soak
soak: export KES_BIN := $(CARGO_TARGET_DIR)/release/kes
soak: export KES_SOAK := $(or $(TIME),600)
soak: ## ten minutes of churn, reloads and faults; nothing may be left of them (TIME=seconds); see docs/soak.md
	cargo build $(LOCKED) --release --bin kes
	cd tests/soak && go vet ./... && go test -v -count=1 -timeout 0 ./...

# What the same tests do in make test, KES_DURABILITY times as often. Root only.
.PHONY: durability
durability: export KES_BIN := $(CARGO_TARGET_DIR)/debug/kes
durability: export KES_REQUIRE_TOOLS := 1
durability: export KES_DURABILITY := $(or $(KES_DURABILITY),10)
durability: ## hundreds of power failures and kills of the file keystore; KES_DURABILITY=100: ten times as many
	cargo build $(LOCKED) --bin kes
	tests/tools/install strace e2fsprogs minio mc
	cargo test $(LOCKED) --test integration -- durability:: --nocapture --test-threads=1
	cd tests/minio && go test -v -count=1 -timeout 0 -run '^TestKesIsKilledAtWork$$' ./...

.PHONY: fleet
fleet: export KES_BIN := $(CARGO_TARGET_DIR)/release/kes
fleet: export KES_FLEET := $(or $(KES_FLEET),200)
fleet: ## one of two servers restarts under load of MinIO, hundreds of times; no operation may fail (KES_FLEET=times)
	cargo build $(LOCKED) --release --bin kes
	tests/tools/install minio mc
	cd tests/minio && go test -v -count=1 -timeout 0 -run '^TestOneOfTwoRestartsUnderLoad$$' ./...

.PHONY: bench
bench: export KES_BIN := $(CARGO_TARGET_DIR)/release/kes
bench: ## our ratios to the ceiling; ARGS='--only decrypt --rounds 1' go to bench/compare.py
	cargo build $(LOCKED) --release --bin kes
	cargo build --locked --release --manifest-path bench/kesload/Cargo.toml
	cargo build --locked --release --manifest-path bench/ceiling/Cargo.toml
	bench/run $(ARGS)

.PHONY: bench-micro
bench-micro: ## what seal, open, judge, route and parse cost, each alone (ARGS=open: only what is named so)
	cargo bench $(LOCKED) --bench road -- $(ARGS)

.PHONY: bench-more
bench-more: ## what two running servers cannot show: start, idle connections, audit, many keys, MinIO's listing (ARGS='--only start')
	cargo build $(LOCKED) --release --bin kes
	cargo build --locked --release --manifest-path bench/kesload/Cargo.toml
	cargo build --locked --release --manifest-path bench/ceiling/Cargo.toml
	tests/tools/install minio mc
	bench/more.py $(ARGS)
