#!/bin/bash
# build.sh [FLAG…]: builds the Debian package, target/debian/mayhttpd_VERSION_ARCH.deb, with the flags for
# `cargo deb` (cargo install cargo-deb --locked). The manual page and the completions are those of the program
# that is packaged.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --locked
program=${CARGO_TARGET_DIR:-target}/release/mayhttpd
# Cargo.toml names the files in it.
generated=target/generated
rm -rf "$generated"
"$program" generate man --out "$generated"
for shell in bash zsh fish; do
    "$program" generate completions "$shell" --out "$generated"
done
exec cargo deb --locked --no-build "$@"
