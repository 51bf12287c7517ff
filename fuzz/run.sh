#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs every fuzz target for so many seconds and says how many inputs each has taken: fuzz/run.sh SECONDS [TARGET...]
# What is found stays in fuzz/artifacts, what is new to a target in fuzz/corpus. Ends with 1 at the first finding.
set -eu
cd "$(dirname "$0")"
seconds=${1:?say how many seconds for each target}
shift

if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi
# libFuzzer's coverage is not a stable option of the compiler: this is cargo's own switch for that.
export RUSTC_BOOTSTRAP=1

[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
[ $# -eq 0 ] || targets=("$@")

# No sanitizer of memory: there is no unsafe code of ours, and without it twice as many inputs are tried.
cargo fuzz build --sanitizer none --release >&2

sum=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log=$(mktemp)
    # An input that takes longer than 5 s or more than 512 MiB is a finding too.
    if ! cargo fuzz run --sanitizer none --release "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=512 -print_final_stats=1 -verbosity=1 \
        -max_len=65536 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz: $target: found something (fuzz/artifacts/$target); all of its output is in $log" >&2
        exit 1
    fi
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rm -f "$log"
    sum=$((sum + ${count:?libFuzzer says how many inputs it ran}))
    printf 'fuzz: %-14s %12d inputs, no finding\n' "$target" "$count"
done
echo "fuzz: $sum inputs in all, no finding"
