#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Ceph of one monitor, one manager, one disk (a file) and one gateway that speaks S3, for tests by hand. Needs root, and
# apt-get install --no-install-recommends radosgw ceph-mon ceph-mgr ceph-osd ceph-common
# usage: ceph.sh start DIRECTORY PORT    DIRECTORY must not exist yet; the monitor listens at PORT + 1
#        ceph.sh stop DIRECTORY
set -euo pipefail

if [ "${1:-}" = stop ] && [ $# = 2 ]; then
    for file in "$2"/*.pid; do kill "$(<"$file")"; done
    exit 0
fi
if [ "${1:-}" != start ] || [ $# != 3 ]; then
    sed -n '3,6s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
port=$3
mkdir "$2" "$2/monitor" "$2/disk"
directory=$(cd "$2" && pwd)
cluster=$(</proc/sys/kernel/random/uuid)
disk=$(</proc/sys/kernel/random/uuid)
export CEPH_CONF=$directory/ceph.conf
cat >"$CEPH_CONF" <<END
[global]
fsid = $cluster
mon host = v1:127.0.0.1:$((port + 1))
mon initial members = a
mon data avail warn = 1
ms bind msgr2 = false
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
bluestore block size = 8589934592
run dir = $directory
admin socket = $directory/\$name.asok
log file = $directory/\$name.log
pid file = $directory/\$name.pid
[mon.a]
mon data = $directory/monitor
[osd.0]
osd data = $directory/disk
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw data = $directory
END
monmaptool --create --fsid "$cluster" --addv a "[v1:127.0.0.1:$((port + 1))]" "$directory/monitors"
ceph-mon --mkfs -i a --monmap "$directory/monitors"
ceph-mon -i a
ceph-mgr -i x
ceph osd new "$disk"
ceph-osd -i 0 --mkfs --osd-uuid "$disk"
ceph-osd -i 0
radosgw-admin user create --uid varve --display-name varve --access-key test-id --secret-key test-secret
for what in "zonegroup placement add --rgw-zonegroup default" "zone placement add --rgw-zone default --data-pool default.rgw.ia"; do
    # shellcheck disable=SC2086 # These are words.
    radosgw-admin $what --placement-id default-placement --storage-class STANDARD_IA
done
radosgw -n client.rgw
curl --silent --show-error --fail --output "$directory/answer.xml" --retry 30 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/"
echo "ceph.sh: ready at http://127.0.0.1:$port"
