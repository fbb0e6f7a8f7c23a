#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `swift build` as the other scripts call it: what is missing is installed, and the codecs are built for it.
# usage: deploy/build.sh [ARGUMENTS OF SWIFT BUILD...]    example: deploy/build.sh -c release --product varve
set -euo pipefail

# shellcheck source=lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/install.sh"

cd "$VARVE_ROOT"
require_swift
apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
use_built_codecs
exec swift build "$@"
