#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How long it takes to judge a million studies by twenty rules on one core. Prints one line for decisions, the policies that
# came out, and one for explanations. docs/benchmarks.md has figures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    echo "usage: Benchmarks/lifecycle.sh [STUDIES]   (default 1000000)"
    exit 0
fi
deploy/build.sh -c release --product lifecycle-benchmark >/dev/null
.build/release/lifecycle-benchmark Benchmarks/lib/lifecycle.yaml "${1:-1000000}"
