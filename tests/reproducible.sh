#!/bin/sh
# Builds the module once more, from scratch, in another folder and with another home of cargo, and makes the image of it:
# fails unless every byte is that of dist/. `make reproducible` runs it.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
copy=$scratch/another/folder
home=$scratch/home
mkdir -p "$copy" "$home/registry"
tar -c --exclude=./target --exclude=./dist --exclude=./.git . | tar -x -C "$copy"
# What was downloaded is not downloaded again, and is unpacked elsewhere.
for part in cache index; do
    [ ! -d "${CARGO_HOME:-$HOME/.cargo}/registry/$part" ] || ln -s "${CARGO_HOME:-$HOME/.cargo}/registry/$part" "$home/registry/"
done

CARGO_HOME=$home make -C "$copy" module sbom
dist/tollgate image --wasm "$copy/dist/tollgate.wasm" --sbom "$copy/dist/tollgate.cdx.json" --output "$copy/dist/oci"
diff -r dist/oci "$copy/dist/oci"
cmp dist/oci.tar "$copy/dist/oci.tar"
echo "the same: $(sha256sum <dist/tollgate.wasm | cut -d' ' -f1) dist/tollgate.wasm, and its image"
