#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the programs are made of, as a CycloneDX 1.5 document on standard output: our package, and each crate that is compiled
# into a program, with its licence, its checksum from Cargo.lock and what it depends on. The same sources give the same bytes:
# no time, no serial number. Run in the source tree; cargo needs no network if the crates are there.
# Usage: sbom.sh
set -euo pipefail

targets=()
for cpu in x86_64 i686 aarch64 riscv64gc powerpc64le s390x loongarch64; do
    targets+=(--target "$cpu-unknown-linux-gnu")
done

# DEPTH NAME VERSION LICENCE. What only runs while we are compiled (macros, build scripts) is no part of a program.
tree() {
    cargo tree --frozen "${targets[@]}" --edges no-build,no-dev,no-proc-macro --no-dedupe --prefix depth \
        --format ' {p}|{l}' | sed -e '/^$/d' -e 's/^\([0-9]*\) \([^ ]*\) v\([^ |]*\)[^|]*|/\1 \2 \3 /' -e 's,\([A-Za-z0-9.]\)/\([A-Za-z]\),\1 OR \2,g'
}

checksums() {
    awk '/^name = /{n=$3} /^version = /{v=$3} /^checksum = /{gsub(/"/, "", n); gsub(/"/, "", v); gsub(/"/, "", $3); print n, v, $3}' Cargo.lock
}

awk '
    function reference(name, version) { return "pkg:cargo/" name "@" version }
    FNR == NR { sum[$1 " " $2] = $3; next }
    {
        depth = $1; key = $2 " " $3
        licence = $4; for (i = 5; i <= NF; i++) licence = licence " " $i
        licences[key] = licence
        at[depth] = key
        if (depth == 0) root = key
        else if (index(needs[at[depth - 1]], "|" key "|") == 0)
            needs[at[depth - 1]] = needs[at[depth - 1]] "|" key "|"
    }
    function component(key, kind,    part, hash) {
        split(key, part, " ")
        hash = sum[key] == "" ? "" : sprintf(",\n      \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"%s\"}]", sum[key])
        return sprintf("{\n      \"type\": \"%s\",\n      \"bom-ref\": \"%s\",\n      \"name\": \"%s\",\n      \"version\": \"%s\",\n" \
            "      \"licenses\": [{\"expression\": \"%s\"}],\n      \"purl\": \"%s\"%s\n    }",
            kind, reference(part[1], part[2]), part[1], part[2], licences[key], reference(part[1], part[2]), hash)
    }
    END {
        if (root == "") exit 1
        count = 0
        for (key in licences) {
            if (key == root) continue
            # Sorted by insertion: a few dozen.
            for (i = count; i > 0 && keys[i] > key; i--) keys[i + 1] = keys[i]
            keys[i + 1] = key
            count++
        }
        printf "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"metadata\": {\n    \"component\": %s\n  },\n", component(root, "application")
        printf "  \"components\": ["
        for (i = 1; i <= count; i++) printf "%s\n    %s", (i > 1 ? "," : ""), component(keys[i], "library")
        printf "\n  ],\n  \"dependencies\": ["
        for (i = 0; i <= count; i++) {
            key = i == 0 ? root : keys[i]
            split(key, part, " ")
            printf "%s\n    {\"ref\": \"%s\", \"dependsOn\": [", (i > 0 ? "," : ""), reference(part[1], part[2])
            first = 1
            for (j = 1; j <= count; j++) {
                if (index(needs[key], "|" keys[j] "|") == 0) continue
                split(keys[j], other, " ")
                printf "%s\"%s\"", (first ? "" : ", "), reference(other[1], other[2])
                first = 0
            }
            printf "]}"
        }
        printf "\n  ]\n}\n"
    }
' <(checksums) <(tree)
