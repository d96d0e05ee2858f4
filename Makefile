# CI calls these targets and nothing else. What they need they install under target/ (tests/setup.sh).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build module sbom image reproducible install run test unit-test wasm-test e2e golden lint bench fuzz clean

WASM := target/module/wasm32-unknown-unknown/release/tollgate.wasm
WASM_FLAGS := --lib --target wasm32-unknown-unknown --features host
# In one go and with the same features everywhere: else cargo builds the library anew each time.
NATIVE := --features cli --bin tollgate --example mock-provider
SETUP := sh tests/setup.sh
PREFIX ?= /usr/local
# No path of this machine is in the module. In a folder of its own: cargo does not see that a dependency was built without the wrapper.
MODULE_RUSTC := RUSTC_WRAPPER=$(CURDIR)/.cargo/rustc.sh

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: module ## dist/: tollgate.wasm (the filter), tollgate (the command), mock-provider
	cargo build --release --locked $(NATIVE)
	@install -m 755 target/release/tollgate target/release/examples/mock-provider dist/

module: ## dist/tollgate.wasm alone
	@$(SETUP) wasm-target
	$(MODULE_RUSTC) cargo build --release --locked $(WASM_FLAGS) --target-dir target/module
	@mkdir -p dist
	@install -m 644 $(WASM) dist/tollgate.wasm

sbom: ## dist/tollgate.cdx.json: what is in the module
	@mkdir -p dist
	cargo metadata --format-version 1 --locked --filter-platform wasm32-unknown-unknown --features host \
	    | cargo run --quiet --locked --manifest-path examples/sbom/Cargo.toml --target-dir target/sbom > dist/tollgate.cdx.json

image: build sbom ## dist/oci (an OCI image layout), dist/oci.tar (for docker load)
	dist/tollgate image --wasm dist/tollgate.wasm --sbom dist/tollgate.cdx.json --output dist/oci

reproducible: image ## Build all of the image once more, from scratch and elsewhere: the same digests; takes minutes
	@sh tests/reproducible.sh

install: build ## The command into PREFIX/bin, the module into PREFIX/share/tollgate; DESTDIR goes before
	install -D -m 755 dist/tollgate $(DESTDIR)$(PREFIX)/bin/tollgate
	install -D -m 644 dist/tollgate.wasm $(DESTDIR)$(PREFIX)/share/tollgate/tollgate.wasm

run: build ## The quick start with a mock provider; CONFIG=my.yaml serves yours
	@$(SETUP) envoy
	@sh examples/quickstart/run.sh

test: unit-test wasm-test e2e ## All tests

unit-test: build ## Tests of the code, native
	@$(SETUP) envoy schemas skopeo
	ENVOY_BIN=$$($(SETUP) which-envoy) cargo test --features cli --lib --bins --examples $(UNIT_TESTS)
	cargo test --locked --manifest-path examples/sbom/Cargo.toml --target-dir target/sbom

wasm-test: ## The same unit tests inside wasm
	@$(SETUP) wasm-target wasm-bindgen
	cargo test --target wasm32-unknown-unknown --lib

e2e: build ## Tests on a real Envoy: the newest supported, then the oldest
	@$(SETUP) envoy envoy-oldest openai-sdk anthropic-sdk redis rls
	cargo build $(WASM_FLAGS) --features trap
	ENVOY_BIN=$$($(SETUP) which-envoy) cargo test --features cli --test 'e2e*'
	ENVOY_BIN=$(CURDIR)/target/envoy-1.39/bin/envoy cargo test --features cli --test 'e2e*' -- $(OLDEST)

golden: ## Rewrite the files that tests compare with; review the diff like code
	UPDATE_GOLDEN=1 cargo test --features cli $(UNIT_TESTS)

lint: ## Formatting, clippy for both targets, docs
	@$(SETUP) wasm-target
	cargo fmt --check
	cargo clippy --features cli --all-targets -- -D warnings
	cargo clippy $(WASM_FLAGS) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib --features cli

bench: build ## What Tollgate costs, against plain Envoy; ARGS="--rounds 5"
	@$(SETUP) envoy
	ENVOY_BIN=$$($(SETUP) which-envoy) cargo run --release --features cli --example bench -- $(ARGS)

fuzz: ## Fuzz every parser, FUZZ_SECONDS=60 each; needs a nightly compiler
	@$(SETUP) cargo-fuzz
	for name in $(FUZZ_TARGETS); do mkdir -p target/fuzz-corpus/$$name; \
	    RUSTUP_TOOLCHAIN=nightly target/tools/bin/cargo-fuzz fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $$name \
	        target/fuzz-corpus/$$name tests/fuzz/corpus/$$name \
	        -- -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -verbosity=0; \
	done

clean: ## Remove everything that was built or installed
	rm -rf dist target

# What may differ from one Envoy to the next: all but the translations.
OLDEST := accounts:: auth:: budget:: config_update:: cooldown:: dynamic:: envoy_gateway:: exactness:: fallback:: forms:: global:: held_bodies:: identity:: isolation:: istio:: no_dead_worker:: orders:: \
	passthrough:: principals:: realtime:: records:: reload:: retries:: sds:: shadow:: tokens:: usage:: bedrock:: existing_envoy:: migrate:: \
	module_update:: sds_server::

FUZZ_SECONDS := 60
FUZZ_TARGETS := $(patsubst tests/fuzz/targets/%.rs,%,$(wildcard tests/fuzz/targets/*.rs))

# tests/e2e* need a gateway that serves, the others do not.
UNIT_TESTS := $(patsubst tests/%.rs,--test %,$(filter-out tests/e2e%,$(wildcard tests/*.rs)))
