#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How long it takes to judge a million studies by twenty rules: from memory on one core, and with a directory from a catalog in
# a Postgres of its own there, as 'varve lifecycle plan' does. Prints a line for decisions, the policies that came out, one for
# explanations; then how long the catalog took to fill, its facts to collect, a plan, and all studies to be judged and kept as a
# coordinator does it (which works half of the time at most). docs/benchmarks.md has figures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    echo "usage: Benchmarks/lifecycle.sh [STUDIES [DIRECTORY]]   (default 1000000, from memory only)"
    echo "A directory that was used before has its catalog still, and is not filled again."
    exit 0
fi
deploy/build.sh -c release --product lifecycle-benchmark >/dev/null
.build/release/lifecycle-benchmark Benchmarks/lib/lifecycle.yaml "${1:-1000000}" ${2:+"$2"}
