#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that is tested: installs what is missing, builds once (release), runs the Swift tests,
# the interop suites against a cluster of their own, the torture, and every fuzz target for a short
# while. Between half an hour and an hour on two cores when nothing is built yet. The last line says how many tests passed, failed and were skipped.
set -euo pipefail

# shellcheck source=lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/install.sh"

usage() {
    cat <<'TEXT'
usage: deploy/test.sh [--rounds N] [--fuzz-seconds N] [--only PART[,PART...]]

  --rounds N         rounds of the torture, part kill (default 8), beside 25 kills and a minute of a cluster of namespaces
  --fuzz-seconds N   for each fuzz target (default 8)
  --only             of: lint, swift, interop, kill, fuzz (default all)

example: deploy/test.sh --only interop
TEXT
}

rounds=8
fuzz_seconds=8
only=lint,swift,interop,kill,fuzz
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds="${2:?--rounds needs a number}" && shift 2 ;;
        --fuzz-seconds) fuzz_seconds="${2:?--fuzz-seconds needs a number}" && shift 2 ;;
        --only) only="${2:?--only needs names}" && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
wanted() { [[ ",$only," == *",$1,"* ]]; }

cd "$VARVE_ROOT"
require_swift
apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" "${VARVE_TEST_PACKAGES[@]}"
if wanted interop || wanted kill; then install_python; fi

reports="$(mktemp -d)"
trap 'if [ -n "${fuzz_build:-}" ]; then kill -- "-$fuzz_build" 2>/dev/null || true; fi; rm -rf "$reports"' EXIT
passed=0 failed=0 skipped=0
# What failed is said once more at the end: a log of this length is read from there.
failures="$reports/failures.txt"
: >"$failures"
add() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}
# fail WHAT: one failure.
fail() {
    echo "error: $1"
    echo "$1" >>"$failures"
    add 0 1 0
}
# check WHAT COMMAND...: one test, which passes when the command does.
check() {
    local what="$1"
    shift
    if "$@"; then add 1 0 0; else fail "$what"; fi
}
started=$SECONDS
took() { printf '    (%d s)\n' $((SECONDS - started)) && started=$SECONDS; }

if wanted lint; then
    step "checking the format of the Swift code"
    check "swift format lint" swift format lint --strict --recursive --parallel Package.swift Sources Tests
    if command -v shellcheck >/dev/null; then
        step "checking the shell scripts"
        check shellcheck shellcheck -x deploy/*.sh deploy/lib/*.sh Benchmarks/*.sh Tests/Torture/*.sh Tests/Fuzz/*.sh .ci/run
    fi
    step "checking that a codec is not taken for built when its source cannot be had"
    for codec in charls openjpeg openjph; do
        if PIP_NO_INDEX=1 bash "deploy/lib/build_$codec.sh" "$reports/$codec" >/dev/null 2>&1 || [ -e "$reports/$codec" ]; then
            fail "build_$codec.sh without a source"
        else
            add 1 0 0
        fi
    done
    took
fi

step "building everything (release, with tests)"
use_built_codecs
swift build -c release --build-tests --explicit-target-dependency-import-check error
took

# tally STATUS WHAT REPORT...: adds up reports; what ended badly without saying so counts as one failure.
tally() {
    local status="$1" what="$2" counts
    shift 2
    read -r -a counts <<<"$(python3 deploy/lib/count_tests.py "$failures" "$@")"
    if [ "$status" -ne 0 ] && [ "${counts[1]}" -eq 0 ]; then fail "$what ended with status $status"; fi
    add "${counts[@]}"
}

if wanted swift; then
    # A process for each target: in one process, tests that start children would disturb tests that
    # wait for locks and descriptors to be free, because a child holds copies of both until it execs.
    for folder in Tests/*Tests; do
        target="$(basename "$folder")"
        step "running $target"
        status=0
        timeout -k 10 900 swift test -c release --skip-build --disable-xctest --filter "^$target\\." \
            --xunit-output "$reports/$target.xml" || status=$?
        tally "$status" "$target" "$reports/$target"*.xml
    done
    took
fi

# The tests against a cluster wait more than they compute: meanwhile the fuzz targets are built, with what CPU time is left.
fuzz_build=
if wanted fuzz && { wanted interop || wanted kill; }; then
    setsid nice -n 19 Tests/Fuzz/run.sh --list >"$reports/fuzz-build.txt" 2>&1 &
    fuzz_build=$!
fi

if wanted interop; then
    step "reading the golden vectors of the replication protocol with another decoder, and testing the torture's tools"
    status=0
    timeout -k 10 300 "$VARVE_VENV/bin/python" -m pytest Tests/Protocol Tests/Torture --junitxml "$reports/protocol.xml" || status=$?
    tally "$status" "pytest Tests/Protocol Tests/Torture" "$reports/protocol.xml"

    step "running the interop tests against a cluster"
    status=0
    # Three at once, a file of tests each: they wait more than they compute.
    timeout -k 60 2400 "$VARVE_VENV/bin/python" -m pytest Tests/Interop -n 3 --dist loadfile --junitxml "$reports/interop.xml" || status=$?
    tally "$status" pytest "$reports/interop.xml"
    took
fi

if wanted kill; then
    torture_passed=0 torture_failed=0 torture_skipped=0
    for command in "run.sh --rounds $rounds" "run.sh --kills 25" "cluster.sh --minutes 1"; do
        step "torturing a cluster: $command"
        status=0
        # shellcheck disable=SC2086 # three words
        timeout -k 60 2400 Tests/Torture/$command | tee "$reports/kill.txt" || status=$?
        read -r run_passed run_failed run_skipped < <(
            sed -n 's/^\(torture\|cluster\): \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\2 \3 \4/p' "$reports/kill.txt"
            echo 0 0 0
        )
        if [ "$status" -ne 0 ] && [ "$run_failed" -eq 0 ]; then run_failed=1; fi
        if [ "$run_failed" -ne 0 ]; then echo "Tests/Torture/$command" >>"$failures"; fi
        torture_passed=$((torture_passed + run_passed))
        torture_failed=$((torture_failed + run_failed))
        torture_skipped=$((torture_skipped + run_skipped))
    done
    step "checking that the torture notices a disk that loses what it has synced"
    chmod 711 "$reports" # the cluster's Postgres is another user
    if TMPDIR="$reports" Tests/Torture/run.sh --rounds 1 --faults LyingDisk >"$reports/bite.txt" 2>&1 ||
        ! grep -q "has lost the copy on" "$reports/bite.txt"; then
        cat "$reports/bite.txt"
        echo "Tests/Torture/run.sh --faults LyingDisk, which must notice what is lost" >>"$failures"
        torture_failed=$((torture_failed + 1))
    else
        torture_passed=$((torture_passed + 1))
    fi
    add "$torture_passed" "$torture_failed" "$torture_skipped"
    took
fi

if wanted fuzz; then
    step "fuzzing"
    # A build that failed is tried again below, and says why there.
    if [ -n "$fuzz_build" ]; then wait "$fuzz_build" || true; fi
    status=0
    timeout -k 60 3600 Tests/Fuzz/run.sh --seconds "$fuzz_seconds" | tee "$reports/fuzz.txt" || status=$?
    read -r fuzzed_targets fuzzed_failed < <(
        sed -n 's/^[0-9]* executions over \([0-9]*\) targets in [0-9]* s, \([0-9]*\) findings$/\1 \2/p' "$reports/fuzz.txt"
        echo 0 0
    )
    if [ "$status" -ne 0 ] && [ "$fuzzed_failed" -eq 0 ]; then fuzzed_failed=1; fi
    if [ "$fuzzed_failed" -ne 0 ]; then echo "Tests/Fuzz/run.sh" >>"$failures"; fi
    add $((fuzzed_targets > fuzzed_failed ? fuzzed_targets - fuzzed_failed : 0)) "$fuzzed_failed" 0
    took
fi

echo
sed 's/^/failed: /' "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
