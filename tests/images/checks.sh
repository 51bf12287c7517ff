# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by what runs inside a tree: "say" is a check that passed, "fail" one that did not, "quiet" a command that has to
# succeed; what it printed is in /tmp/output. "ended" says how many passed. $VFIO_SUITE is whose tree it is.

passed=0
say() { printf '  %s\n' "$VFIO_SUITE: $*" && passed=$((passed + 1)); }
fail() {
    echo "  $VFIO_SUITE: FAILED: $*" >&2
    exit 1
}
quiet() {
    "$@" >/tmp/output 2>&1 || {
        cat /tmp/output >&2
        fail "$*"
    }
}
ended() { echo "$VFIO_SUITE: $passed checks passed"; }
