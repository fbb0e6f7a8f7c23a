#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The kill test against .build/release/varve (or VARVE_BINARY). Options: --rounds N --seed N --keep
set -euo pipefail

# shellcheck source=../../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/install.sh"

apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" "${VARVE_TEST_PACKAGES[@]}"
install_python
exec "$VARVE_VENV/bin/python" "$VARVE_ROOT/Tests/Torture/kill.py" "$@"
