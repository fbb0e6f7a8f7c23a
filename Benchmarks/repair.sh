#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Repair: how fast the copies of a lost node are made again against bare programs on the same disk and loopback, what stores
# feel of it, and what a new node is given.
# Options: see `Benchmarks/repair.sh --help`. Everything stays on the loopback interface.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

export PYTHONDONTWRITEBYTECODE=1
for argument in "$@"; do
    case $argument in
        -h | --help) exec python3 "$VARVE_ROOT/Benchmarks/lib/repair.py" "$@" ;;
    esac
done
apt_install_missing gcc libisal-dev libssl-dev postgresql python3
if [ -z "${VARVE_BINARY:-}" ]; then
    require_swift
    apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
    step "building varve (release)"
    use_built_codecs
    (cd "$VARVE_ROOT" && swift build -c release --product varve)
fi
exec python3 "$VARVE_ROOT/Benchmarks/lib/repair.py" "$@"
