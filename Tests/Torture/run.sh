#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The torture of .build/release/varve (or VARVE_BINARY). Options: --rounds N --kills N --seed N --first N --disks N --faults NAMES --stop --keep
set -euo pipefail

# shellcheck source=../../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/install.sh"

apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" "${VARVE_TEST_PACKAGES[@]}"
install_python
shim="$(mktemp -d)/faulty_disk.so"
trap 'rm -rf "$(dirname "$shim")"' EXIT
# Postgres is started with it, too, as another user.
chmod 755 "$(dirname "$shim")"
gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$shim" "$VARVE_ROOT/Tests/Torture/lib/faulty_disk.c" -ldl
VARVE_FAULTY_DISK="$shim" "$VARVE_VENV/bin/python" "$VARVE_ROOT/Tests/Torture/torture.py" "$@"
