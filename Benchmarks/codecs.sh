#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Encode and proof of each codec: Varve against a bare C++ loop over the same libraries, on the same frames.
# The two take turns; medians over the rounds are printed. Usage: Benchmarks/codecs.sh [--rounds N] [--frames N]
# [--threads "1 2"] [--codecs "jpeg-ls jpeg2000 htj2k"]. VARVE_CODEC_BENCHMARK names a built codec-benchmark.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

rounds=5 frames=8 threads="1 2" codecs="jpeg-ls jpeg2000 htj2k"
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --frames) frames=$2 ;;
        --threads) threads=$2 ;;
        --codecs) codecs=$2 ;;
        *)
            sed -n '3,5s/^# //p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
    esac
    shift 2
done

corpus="${VARVE_TEST_CORPUS:-$VARVE_ROOT/../shared/corpus}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
install_python
use_built_codecs
varve="${VARVE_CODEC_BENCHMARK:-}"
if [ -z "$varve" ]; then
    require_swift
    step "building codec-benchmark (release)"
    (cd "$VARVE_ROOT" && swift build -c release --product codec-benchmark)
    varve="$(cd "$VARVE_ROOT" && swift build -c release --show-bin-path)/codec-benchmark"
fi

step "building the bare loop"
read -ra flags <<<"$(pkg-config --cflags --libs charls libopenjp2 openjph)"
# Debian's pkg-config file of OpenJPH names no library.
[[ " ${flags[*]} " == *" -lopenjph"* ]] || flags+=(-lopenjph)
g++ -O2 -std=c++17 -o "$work/bare" "$VARVE_ROOT/Benchmarks/lib/bare_codecs.cpp" "${flags[@]}" -pthread
"$VARVE_VENV/bin/python" -B "$VARVE_ROOT/Benchmarks/lib/frames.py" "$corpus" "$work" "$frames"

# median COLUMN FILE: of the numbers in one column.
median() { awk -v c="$1" '{ print $c }' "$2" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

printf '%-11s %-9s %7s  %-22s %-22s %6s  %s\n' \
    frames codec threads "varve enc/prove ms" "bare enc/prove ms" ratio "varve/bare (frames/s)"
for file in "$work"/*.frames; do
    kind="$(basename "$file" .frames)"
    # A single frame is gone too quickly to be measured once.
    repeats=$((1 + 4000000 / ($(stat -c %s "$file") + 1)))
    for codec in $codecs; do
        for count in $threads; do
            : >"$work/varve.txt"
            : >"$work/bare.txt"
            for ((round = 0; round < rounds; round++)); do
                "$varve" frames "$codec" "$count" "$repeats" "$file" >>"$work/varve.txt"
                "$work/bare" "$codec" "$count" "$repeats" "$file" >>"$work/bare.txt"
            done
            ratio="$(awk 'END { printf "%.2f", $5 / $6 }' "$work/varve.txt")"
            relation="$(awk -v v="$(median 4 "$work/varve.txt")" -v b="$(median 4 "$work/bare.txt")" \
                'BEGIN { printf "%.2f", b / v }')"
            printf '%-11s %-9s %7s  %-22s %-22s %6s  %s\n' "$kind" "$codec" "$count" \
                "$(median 2 "$work/varve.txt") / $(median 3 "$work/varve.txt")" \
                "$(median 2 "$work/bare.txt") / $(median 3 "$work/bare.txt")" "$ratio" "$relation"
        done
    done
done
