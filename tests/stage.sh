#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs one stage of "make check": its output goes to a file, one line says how it ended. What test runners counted is
# shown, and a failure's last lines. VERBOSE=1 shows all of it as it comes. The results of all stages are lines of JSON in
# results.jsonl beside the outputs. Usage: stage.sh NAME SECONDS COMMAND...
set -u

name=$1 limit=$2
shift 2
logs=${CARGO_TARGET_DIR:-target}/check
mkdir -p "$logs"
log=$logs/$name.log
start=$SECONDS

# A stage that hangs must not hold a machine for ever: TERM to all of its processes, and KILL to what ignores that. They
# are a process group of their own, so an interrupt at the terminal is passed on.
: >"$log"
timeout --kill-after=20 "$limit" "$@" </dev/null >"$log" 2>&1 &
pid=$!
trap 'kill -TERM "$pid"' INT TERM HUP
show=
if [ "${VERBOSE:-}" = 1 ]; then
    tail -n +1 -f --pid="$pid" "$log" &
    show=$!
fi
wait "$pid"
code=$?
[ -z "$show" ] || wait "$show"
took=$((SECONDS - start))
verdict=passed
case $code in
0) ;;
124 | 137) verdict=timeout ;;
*) verdict=failed ;;
esac
printf '{"stage":"%s","seconds":%d,"verdict":"%s"}\n' "$name" "$took" "$verdict" >>"$logs/results.jsonl"

if [ "$code" -eq 0 ]; then
    # What the lab has to say about a kernel is no failure, and somebody should read it.
    [ -n "$show" ] || grep -aE '^(test result: |[a-z]*: [0-9]+ checks passed|[a-z]*: SKIPPED, |lab: kernel )' "$log"
    echo "check: $name: ok ($took s)"
    exit 0
fi
[ -n "$show" ] || tail -n "${LINES_OF_FAILURE:-120}" "$log"
why="failed with $code"
[ "$code" -ne 124 ] || why="took longer than $limit s"
echo "check: $name: $why after $took s; all of its output is in $log" >&2
exit 1
