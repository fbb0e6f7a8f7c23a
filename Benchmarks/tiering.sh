#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cold packs: how fast a study gets into a directory tier against `cp` of the same bytes with a sync, or into a bucket (`--s3`) against
# `aws s3 cp`; what the storage node needs of memory for it; how long the first image of a study takes from its pack and from the nodes.
# Options: see `Benchmarks/tiering.sh --help`. Everything stays on the loopback interface.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

export PYTHONDONTWRITEBYTECODE=1
python=python3
for argument in "$@"; do
    case $argument in
        -h | --help) exec python3 "$VARVE_ROOT/Benchmarks/lib/tiering.py" "$@" ;;
        --s3) python="$VARVE_VENV/bin/python" ;;
    esac
done
apt_install_missing postgresql python3
if [ "$python" != python3 ]; then
    apt_install_missing awscli
    install_python
fi
if [ -z "${VARVE_BINARY:-}" ]; then
    require_swift
    apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
    step "building varve (release)"
    use_built_codecs
    (cd "$VARVE_ROOT" && swift build -c release --product varve)
fi
exec "$python" "$VARVE_ROOT/Benchmarks/lib/tiering.py" "$@"
