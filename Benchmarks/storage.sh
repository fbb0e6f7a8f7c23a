#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The storage engine against what the machine can do: durable puts against a bare C loop with the same group commit on the
# same disk, reads over loopback against nginx with the same bytes and the same kind of client, TLS against plain TCP, each
# taking turns; and the index's size and start-up times. Usage: Benchmarks/storage.sh [--rounds N] [--bytes N] [--records N]
# [--writers N] [--connections N] [--index "N ..."] [--work DIR]. Needs about 3 GB under --work, and 1 GB more for each
# million of --index.
set -euo pipefail

# shellcheck source=../deploy/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib/install.sh"

rounds=5 bytes=262144 records=4000 writers=16 connections=4 index="1000000" place="${TMPDIR:-/tmp}"
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --bytes) bytes=$2 ;;
        --records) records=$2 ;;
        --writers) writers=$2 ;;
        --connections) connections=$2 ;;
        --index) index=$2 ;;
        --work) place=$2 ;;
        *)
            sed -n '3,7s/^# //p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
    esac
    shift 2
done

apt_install_missing "${VARVE_BUILD_PACKAGES[@]}" nginx-light
require_swift
use_built_codecs
cd "$VARVE_ROOT"
for product in storage-benchmark varve; do
    step "building $product (release)"
    swift build -c release --product "$product"
done
bin="$(swift build -c release --show-bin-path)"
work="$(mktemp -d -p "$place")"
processes=()
finish() {
    [ ${#processes[@]} -eq 0 ] || kill "${processes[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
gcc -O2 -o "$work/bare_log" Benchmarks/lib/bare_log.c -lpthread
gcc -O2 -o "$work/bare_read" Benchmarks/lib/bare_read.c -lpthread

# median FILE: of the numbers in it.
median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# rate SECONDS BYTES: MB/s.
rate() { awk -v s="$1" -v b="$2" 'BEGIN { printf "%.1f\n", b / s / 1e6 }'; }

step "durable puts: $records records of $bytes bytes, $writers writers, $rounds rounds"
for ((round = 1; round <= rounds; round++)); do
    read -r seconds cpu batches <<<"$("$work/bare_log" "$work/log" "$writers" "$records" "$bytes")"
    rate "$seconds" $((records * bytes)) >>"$work/bare"
    echo "    round $round, bare loop:     $(tail -n 1 "$work/bare") MB/s, $cpu s CPU, $batches syncs"
    rm -f "$work/log"
    read -r seconds cpu batches <<<"$("$bin/storage-benchmark" put "$work/store" "$writers" "$records" "$bytes")"
    rate "$seconds" $((records * bytes)) >>"$work/varve"
    echo "    round $round, segment store: $(tail -n 1 "$work/varve") MB/s, $cpu s CPU, $batches syncs"
    rm -rf "$work/store"
done
echo "puts: segment store $(median "$work/varve") MB/s, bare loop $(median "$work/bare") MB/s, ratio" \
    "$(awk -v a="$(median "$work/varve")" -v b="$(median "$work/bare")" 'BEGIN { printf "%.2f", a / b }')"

step "reads over loopback: $connections connections, $rounds rounds"
cluster=6f1e0000-0000-4000-8000-000000000001
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
vrp="$(free_port)" http="$(free_port)"
cat >"$work/storage.yaml" <<TEXT
name: storage-1
cluster: $cluster
data: $work/node
listen:
  host: 127.0.0.1
  port: $vrp
# The bare client speaks plain VRP.
tls: off
TEXT
"$bin/varve" storage --config "$work/storage.yaml" >"$work/storage.log" 2>&1 &
processes+=($!)
mkdir -p "$work/nginx"
cat >"$work/nginx.conf" <<TEXT
worker_processes $(nproc);
pid $work/nginx/pid;
daemon off;
error_log $work/nginx/error.log;
events { worker_connections 1024; }
http {
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    access_log off;
    client_body_temp_path $work/nginx/1; proxy_temp_path $work/nginx/2; fastcgi_temp_path $work/nginx/3;
    uwsgi_temp_path $work/nginx/4; scgi_temp_path $work/nginx/5;
    server { listen 127.0.0.1:$http; root $work/files; open_file_cache max=100000; }
}
TEXT
chmod 755 "$work"
nginx -c "$work/nginx.conf" -p "$work/nginx" &
processes+=($!)
for ((attempt = 0; attempt < 200; attempt++)); do
    ! grep -q "serving records" "$work/storage.log" || break
    sleep 0.1
done
read_records=$((records < 2000 ? records : 2000))
"$bin/storage-benchmark" fill 127.0.0.1 "$vrp" "$cluster" "$read_records" "$bytes" "$work/files"
(cd "$work/files" && find . -type f -printf '%f\n' | sort) >"$work/ids"
sed 's|^|/|' "$work/ids" >"$work/paths"
requests=$((read_records * 4))
for ((round = 1; round <= rounds; round++)); do
    read -r seconds total <<<"$("$work/bare_read" http 127.0.0.1 "$http" "$connections" "$requests" "$work/paths")"
    rate "$seconds" "$total" >>"$work/nginx-rates"
    [ "$total" -eq $((requests * bytes)) ] || die "nginx gave $total bytes"
    read -r seconds total <<<"$("$work/bare_read" vrp 127.0.0.1 "$vrp" "$connections" "$requests" "$work/ids" "$cluster")"
    rate "$seconds" "$total" >>"$work/vrp-rates"
    [ "$total" -eq $((requests * bytes)) ] || die "the storage node gave $total bytes"
    echo "    round $round: storage node $(tail -n 1 "$work/vrp-rates") MB/s, nginx $(tail -n 1 "$work/nginx-rates") MB/s"
done
echo "reads: storage node $(median "$work/vrp-rates") MB/s, nginx $(median "$work/nginx-rates") MB/s, ratio" \
    "$(awk -v a="$(median "$work/vrp-rates")" -v b="$(median "$work/nginx-rates")" 'BEGIN { printf "%.2f", a / b }')"

step "TLS against plain TCP: $connections connections, $rounds rounds, client and node on this machine"
secure="$(free_port)"
"$bin/varve" certificate ca --out "$work/ca" --cluster "$cluster" >"$work/certificates.log"
"$bin/varve" certificate issue --ca "$work/ca" --role tool --name bench --out "$work/tls" >>"$work/certificates.log"
{
    sed -e "s|^name: .*|name: storage-2|" -e "s|^data: .*|data: $work/secure|" -e "s|port: .*|port: $secure|" \
        -e '/^#/d' -e '/^tls:/d' "$work/storage.yaml"
    "$bin/varve" certificate issue --ca "$work/ca" --role storage --name storage-2 --out "$work/tls"
} >"$work/secure.yaml"
: >"$work/secure.log" # it is read before the node has made it
"$bin/varve" storage --config "$work/secure.yaml" >>"$work/secure.log" 2>&1 &
processes+=($!)
for ((attempt = 0; attempt < 200; attempt++)); do
    ! grep -q "serving records" "$work/secure.log" || break
    sleep 0.1
done
wire() { "$bin/storage-benchmark" wire 127.0.0.1 "$1" "$cluster" "$read_records" "$bytes" "$connections" "${@:2}"; }
for ((round = 1; round <= rounds; round++)); do
    for kind in plain tls; do
        if [ $kind = tls ]; then
            figures="$(wire "$secure" "$work/tls/ca.pem" "$work/tls/bench.pem" "$work/tls/bench.key")"
        else
            figures="$(wire "$vrp")"
        fi
        read -r put_seconds put_cpu get_seconds get_cpu <<<"$figures"
        rate "$put_seconds" $((read_records * bytes)) >>"$work/$kind-puts"
        rate "$get_seconds" $((read_records * bytes)) >>"$work/$kind-gets"
        echo "    round $round, $kind: puts $(tail -n 1 "$work/$kind-puts") MB/s ($put_cpu s CPU of the client)," \
            "reads $(tail -n 1 "$work/$kind-gets") MB/s ($get_cpu s)"
    done
done
for what in puts gets; do
    echo "TLS, $what: $(median "$work/tls-$what") MB/s, plain $(median "$work/plain-$what") MB/s, ratio" \
        "$(awk -v a="$(median "$work/tls-$what")" -v b="$(median "$work/plain-$what")" 'BEGIN { printf "%.2f", a / b }')"
done

for count in $index; do
    step "index: $count records of 300 bytes"
    "$bin/storage-benchmark" index "$work/index" "$count"
    rm -rf "$work/index"
done
