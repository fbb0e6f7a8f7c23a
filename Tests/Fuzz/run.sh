#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets and runs each for a while, with libFuzzer. Prints executions a target and in all; ends with
# status 1 when there is a finding, and names the input that shows it. docs/testing.md says what each target does.
set -euo pipefail

# shellcheck source=../../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/install.sh"

usage() {
    cat <<'TEXT'
usage: Tests/Fuzz/run.sh [--seconds N] [--target NAME[,NAME...]] [--executions N] [--jobs N] [--list]

  --seconds N      for each target (default 60)
  --target NAME    these targets only
  --executions N   go on, round after round of --seconds, until that many executions over all targets
  --jobs N         targets at once (default: one a core)
  --list           the names of the targets

Everything it writes is in .build/fuzz: the build, `corpus` (kept: later runs start from it), `logs`, and `findings`,
the inputs that crash, hang or take too much memory. To run one again:

  VARVE_FUZZ_TARGET=NAME .build/fuzz/release/fuzz-parsers .build/fuzz/findings/FILE

example: Tests/Fuzz/run.sh --seconds 10 --target dataset
TEXT
}

seconds=60 only='' executions=0 jobs="$(nproc)" list=
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds="${2:?--seconds needs a number}" && shift 2 ;;
        --target) only="${2:?--target needs a name}" && shift 2 ;;
        --executions) executions="${2:?--executions needs a number}" && shift 2 ;;
        --jobs) jobs="${2:?--jobs needs a number}" && shift 2 ;;
        --list) list=yes && shift ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
for number in "$seconds" "$executions" "$jobs"; do
    [[ $number =~ ^[0-9]+$ ]] || die "'$number' is no number"
done

cd "$VARVE_ROOT"
require_swift
apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
work="$VARVE_ROOT/.build/fuzz"
mkdir -p "$work/findings" "$work/logs"

# The codec libraries with counters and checks of their own, so that the mutator sees into them; Debian's where their
# source cannot be had.
sanitizers=address,fuzzer-no-link
for codec in charls openjpeg openjph; do
    if bash "deploy/lib/build_$codec.sh" "$work/$codec" "$sanitizers" >"$work/$codec.log" 2>&1; then
        export PKG_CONFIG_PATH="$work/$codec${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    else
        step "note: fuzzing Debian's $codec, without a view into it: $(tail -n 1 "$work/$codec.log")"
    fi
done
step "building the fuzz targets"
export VARVE_FUZZ=1 SWIFT_BACKTRACE=enable=no
for product in fuzz-parsers fuzz-codecs; do
    swift build -c release --scratch-path "$work" --product "$product" >"$work/build.log" 2>&1 || {
        grep -E 'error' "$work/build.log" >&2 || tail -n 20 "$work/build.log" >&2
        die "the fuzz targets do not build (all it said: $work/build.log)"
    }
done

declare -A program
targets=()
for product in fuzz-parsers fuzz-codecs; do
    while read -r target; do
        program[$target]="$work/release/$product"
        [ -z "$only" ] || [[ ",$only," == *",$target,"* ]] || continue
        targets+=("$target")
    done < <("$work/release/$product" --targets)
done
if [ -n "$list" ]; then
    printf '%s\n' "${targets[@]}"
    exit 0
fi
[ ${#targets[@]} -gt 0 ] || die "there is no target $only, only: ${!program[*]}"

# Real files to take heads from: a few of each kind, where there are any.
real=()
corpus="${VARVE_TEST_CORPUS:-../shared/corpus}"
if [ -d "$corpus" ]; then
    mapfile -t real < <(find "$corpus" -type f -name '*.dcm' | sort | awk 'NR % 8 == 1' | head -n 30)
fi

rm -rf "$work/seeds"
for target in "${targets[@]}"; do
    mkdir -p "$work/seeds/$target" "$work/corpus/$target"
    kept=(Tests/Fuzz/Seeds/"$target"/*.hex)
    [ -e "${kept[0]}" ] || kept=()
    "${program[$target]}" --seeds "$target" "$work/seeds/$target" "${kept[@]}" "${real[@]}"
done

# run_target NAME: one run; leaves log and status in logs.
run_target() {
    local target="$1" status=0
    # libFuzzer watches the time of each input; the outer limit is for what keeps even libFuzzer from running.
    VARVE_FUZZ_TARGET="$target" timeout -k 10 $((seconds + 120)) "${program[$target]}" \
        -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$work/findings/$target-" \
        "$work/corpus/$target" "$work/seeds/$target" >"$work/logs/$target.log" 2>&1 || status=$?
    echo "$status" >"$work/logs/$target.status"
}

# executions_of NAME: how many the last run made.
executions_of() {
    sed -n 's/^stat::number_of_executed_units: *//p; s/^#\([0-9]*\).*/\1/p' "$work/logs/$1.log" | tail -n 1
}

declare -A count
failed=0 total=0 round=0
started=$SECONDS
while true; do
    round=$((round + 1))
    step "round $round: ${#targets[@]} targets, $seconds s each, $jobs at once"
    for target in "${targets[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
        run_target "$target" &
    done
    wait
    for target in "${targets[@]}"; do
        executed="$(executions_of "$target")"
        executed="${executed:-0}"
        count[$target]=$((${count[$target]:-0} + executed))
        total=$((total + executed))
        status="$(cat "$work/logs/$target.status")"
        if [ "$status" -ne 0 ]; then
            failed=$((failed + 1))
            echo "FINDING: $target ended with status $status after $executed executions, see $work/logs/$target.log"
            grep -m 3 -E 'finding:|ERROR|Fatal error' "$work/logs/$target.log" | cut -c 1-400 || true
            sed -n 's/^Test unit written to /input: /p' "$work/logs/$target.log"
        elif [ "$executed" -eq 0 ]; then
            failed=$((failed + 1))
            echo "error: $target executed nothing, see $work/logs/$target.log"
        fi
    done
    if [ "$failed" -gt 0 ] || [ "$total" -ge "$executions" ]; then break; fi
done

for target in "${targets[@]}"; do
    printf '%-10s %12d executions %10d a second\n' "$target" "${count[$target]}" \
        $((${count[$target]} / (seconds > 0 ? seconds * round : 1)))
done
echo "$total executions over ${#targets[@]} targets in $((SECONDS - started)) s, $failed findings"
[ "$failed" -eq 0 ]
