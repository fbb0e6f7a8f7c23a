#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ingest throughput: Varve, Orthanc with PostgreSQL and DCMTK's storescp, with the same CT images.
# Options: see `Benchmarks/ingest.sh --help`. Everything stays on the loopback interface.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

only=
for argument in "$@"; do
    case $argument in
        -h | --help) exec python3 "$VARVE_ROOT/Benchmarks/lib/ingest.py" "$@" ;;
    esac
done
previous=
for argument in "$@"; do
    case $argument in --only=*) only="${argument#--only=}" ;; esac
    [ "$previous" = --only ] && only="$argument"
    previous="$argument"
done

apt_install_missing "${VARVE_BENCHMARK_PACKAGES[@]}" postgresql python3
if [ -z "$only" ] || [[ $only == *varve* ]]; then
    if [ -z "${VARVE_BINARY:-}" ]; then
        require_swift
        apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
        step "building varve (release)"
        use_built_codecs
        (cd "$VARVE_ROOT" && swift build -c release --product varve)
    fi
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$VARVE_ROOT/Benchmarks/lib/ingest.py" "$@"
