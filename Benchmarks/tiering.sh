#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cold packs: how fast a study gets into a directory tier against `cp` of the same bytes with a sync, what the storage node needs of
# memory for it, and how long the first image of a study takes from its pack and from the storage nodes.
# Options: see `Benchmarks/tiering.sh --help`. Everything stays on the loopback interface.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

export PYTHONDONTWRITEBYTECODE=1
for argument in "$@"; do
    case $argument in
        -h | --help) exec python3 "$VARVE_ROOT/Benchmarks/lib/tiering.py" "$@" ;;
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
exec python3 "$VARVE_ROOT/Benchmarks/lib/tiering.py" "$@"
