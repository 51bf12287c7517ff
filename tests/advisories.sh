#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whether anything is known against the crates that we are built from: cargo-deny with the RustSec database, where that can
# be had. Where it cannot, one line says so, and all else is still tested.
set -eu
cd "${0%/*}/.."

database=https://github.com/rustsec/advisory-db
if ! GIT_TERMINAL_PROMPT=0 timeout 30 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
    echo "advisories: SKIPPED, no database can be had: $database does not answer"
    exit 0
fi
if ! cargo deny --version >/dev/null 2>&1; then
    cargo install --locked cargo-deny
fi
cargo deny --all-features check advisories
