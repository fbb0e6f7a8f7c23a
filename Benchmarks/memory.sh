#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Peak memory of an ingest node while several very large multi-frame instances arrive at once.
# Options: see `Benchmarks/memory.sh --help`. Needs free disk for the spool and two copies: with the
# defaults (8 instances of 2 GB) about 30 GB under --work.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

for argument in "$@"; do
    case $argument in
        -h | --help) exec python3 "$VARVE_ROOT/Benchmarks/lib/memory.py" "$@" ;;
    esac
done
apt_install_missing postgresql python3
if [ -z "${VARVE_BINARY:-}" ]; then
    require_swift
    apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
    step "building varve (release)"
    use_built_codecs
    (cd "$VARVE_ROOT" && swift build -c release --product varve)
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$VARVE_ROOT/Benchmarks/lib/memory.py" "$@"
