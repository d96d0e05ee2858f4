#!/bin/sh
# RUSTC_WRAPPER of `make build`: leaves no path of this machine in the module.
#
# As RUSTFLAGS the same would be in the symbols' names, which cargo makes from all flags: another folder, another module.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
rustc=$1
shift
exec "$rustc" "$@" --remap-path-prefix="$root=." --remap-path-prefix="${CARGO_HOME:-$HOME/.cargo}=/cargo"
