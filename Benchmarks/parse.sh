#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reading headers: Varve's DICOM library against DCMTK, in process, from memory, file by file, in interleaved rounds.
# The goal: at least as fast as DCMTK, and no copy of pixel data.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

usage() {
    cat <<'TEXT'
usage: Benchmarks/parse.sh [--rounds N] [--passes N] [FILE OR FOLDER...]

  --rounds N   processes a side, one after the other (default 5)
  --passes N   passes of 20 readings a file in each process; the fastest counts (default 5)

Without files: all of VARVE_TEST_CORPUS, or of ../shared/corpus. Ends with status 1 when Varve is the slower one, or
allocates as much as a tenth of the pixel data of a file that has more than 500 KB of it.
TEXT
}

rounds=5 passes=5 paths=()
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds="${2:?--rounds needs a number}" && shift 2 ;;
        --passes) passes="${2:?--passes needs a number}" && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) paths+=("$(realpath "$1")") && shift ;;
    esac
done

cd "$VARVE_ROOT"
if [ ${#paths[@]} -eq 0 ]; then
    corpus="${VARVE_TEST_CORPUS:-../shared/corpus}"
    [ -d "$corpus" ] || die "there are no files: give some, or set VARVE_TEST_CORPUS"
    paths=("$(realpath "$corpus")")
fi
mapfile -t files < <(find "${paths[@]}" -type f ! -name '*.md' | sort)

require_swift
apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" libdcmtk-dev
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
step "building (release)"
if [ -z "${VARVE_PARSE_BENCHMARK:-}" ]; then
    swift build -c release --product parse-benchmark >"$scratch/build.log" 2>&1 || {
        tail -n 20 "$scratch/build.log" >&2
        die "parse-benchmark does not build"
    }
    VARVE_PARSE_BENCHMARK="$VARVE_ROOT/.build/release/parse-benchmark"
fi
g++ -O2 -std=c++17 Benchmarks/lib/parse_dcmtk.cpp -o "$scratch/dcmtk" -ldcmdata -loflog -lofstd -ldl
gcc -O2 -shared -fPIC Benchmarks/lib/count_allocations.c -o "$scratch/count.so"

step "${#files[@]} files, $rounds rounds"
for round in $(seq "$rounds"); do
    "$VARVE_PARSE_BENCHMARK" "$passes" "${files[@]}" >"$scratch/varve-$round"
    "$scratch/dcmtk" "$passes" "${files[@]}" >"$scratch/dcmtk-$round" 2>/dev/null
done
# Allocations in runs of their own: counting has its price.
LD_PRELOAD="$scratch/count.so" "$VARVE_PARSE_BENCHMARK" 1 "${files[@]}" >"$scratch/varve-bytes"
LD_PRELOAD="$scratch/count.so" "$scratch/dcmtk" 1 "${files[@]}" >"$scratch/dcmtk-bytes" 2>/dev/null
exec python3 Benchmarks/lib/parse.py "$scratch" "$rounds"
