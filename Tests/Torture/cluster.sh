#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The torture of a cluster of many hosts, each a network namespace of its own: .build/release/varve (or VARVE_BINARY).
# Options: --minutes N --seed S --faults NAMES --list --keep. Needs root; where namespaces cannot be made it says so, and ends
# with status 0. Everything happens within namespaces of this run: the kernel removes them, their network, their mounts and all
# processes in them when it ends, however it ends.
set -euo pipefail

# shellcheck source=../../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib/install.sh"

skip() {
    echo "skipped, because this machine does not permit network namespaces: $1"
    echo "cluster: 0 passed, 0 failed, 1 skipped"
    exit 0
}

[ "$(id -u)" -eq 0 ] || skip "only root may make them"
apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" "${VARVE_TEST_PACKAGES[@]}"
install_python
new=(unshare --net --mount --pid --fork --kill-child --mount-proc)
said="$("${new[@]}" true 2>&1)" || skip "$said"
# Where the names of network namespaces are; in the run's own mounts a file system of its own lies over it.
mkdir -p /run/netns
exec "${new[@]}" "$VARVE_VENV/bin/python" "$VARVE_ROOT/Tests/Torture/cluster.py" "$@"
