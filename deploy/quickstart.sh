#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a stored and replicated study: installs what is missing, builds, starts a
# cluster on this machine, stores a study, reads it back and shows where its copies are.
set -euo pipefail

# shellcheck source=lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/install.sh"

usage() {
    cat <<'TEXT'
usage: deploy/quickstart.sh [--keep] [--data DIR] [PATH...]

Stores the DICOM files under PATH, or a small CT phantom that it makes when there is no PATH.
  --keep      leave the cluster running in the foreground; Ctrl-C stops it
  --data DIR  where the cluster keeps its data (default ./varve-data, or /var/tmp/varve-data
              where root runs this in a folder that others may not enter)

example: deploy/quickstart.sh --keep ~/my-ct-study

Environment: VARVE_DICOM_PORT (default 11112), VARVE_HTTP_PORT (8042), VARVE_BINARY (use this
program instead of building one).
TEXT
}

keep=
data=
paths=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --keep) keep=yes ;;
        --data) data="$(realpath -m "${2:?--data needs a folder}")" && shift ;;
        -*) usage >&2 && exit 2 ;;
        *)
            [ -e "$1" ] || die "there is no $1"
            paths+=("$1")
            ;;
    esac
    shift
done

dicom_port="${VARVE_DICOM_PORT:-11112}"
http_port="${VARVE_HTTP_PORT:-8042}"
url="http://127.0.0.1:$http_port"
# The processes of the cluster would take these for their own settings.
unset VARVE_DICOM_PORT VARVE_HTTP_PORT
scratch="$(mktemp -d)"
cluster=

stop_cluster() {
    if [ -n "$cluster" ]; then
        kill -TERM "$cluster" 2>/dev/null || true
        wait "$cluster" 2>/dev/null || true
        cluster=
    fi
}
cleanup() {
    stop_cluster
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -n "${VARVE_BINARY:-}" ]; then
    varve="$VARVE_BINARY"
else
    varve="$VARVE_ROOT/.build/release/varve"
    require_swift
    apt_install_missing "${VARVE_BUILD_PACKAGES[@]}"
    step "building varve (the first build takes some minutes)"
    use_built_codecs
    (cd "$VARVE_ROOT" && swift build -c release --product varve >"$scratch/build.log" 2>&1) || {
        tail -n 40 "$scratch/build.log" >&2
        die "the build failed"
    }
fi

if [ -z "$data" ]; then
    data="$PWD/varve-data"
    # Postgres does not run as root: its user has to get to the data, which it does not under /root.
    if [ "$(id -u)" -eq 0 ] && id postgres >/dev/null 2>&1 && ! runuser -u postgres -- test -x "$PWD"; then
        data=/var/tmp/varve-data
    fi
fi

for port in "$dicom_port" "$http_port"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        die "port $port is in use: stop what listens there, or set VARVE_DICOM_PORT and VARVE_HTTP_PORT"
    fi
done

step "starting a cluster: 3 storage nodes, 2 copies, data in $data"
: >"$scratch/up.log"
"$varve" up --data "$data" --dicom-port "$dicom_port" --http-port "$http_port" >"$scratch/up.log" 2>&1 &
cluster=$!
for ((tries = 0; tries < 1200; tries++)); do
    grep -q '^varve: ready' "$scratch/up.log" && break
    kill -0 "$cluster" 2>/dev/null || {
        cat "$scratch/up.log" >&2
        die "the cluster did not start (logs: $data/log)"
    }
    sleep 0.1
done
grep -q '^varve: ready' "$scratch/up.log" || die "the cluster was not ready after two minutes (logs: $data/log)"

step "asking over DICOM whether it is there (C-ECHO)"
"$varve" echo --port "$dicom_port"

if [ ${#paths[@]} -eq 0 ]; then
    step "making a small CT study (8 slices of a phantom)"
    PYTHONDONTWRITEBYTECODE=1 python3 "$VARVE_ROOT/deploy/lib/make_study.py" "$scratch/study"
    paths=("$scratch/study")
fi

step "storing it over DICOM (C-STORE)"
"$varve" store --port "$dicom_port" "${paths[@]}"

step "reading one instance back over DICOMweb and comparing it with the file"
study="$(PYTHONDONTWRITEBYTECODE=1 python3 "$VARVE_ROOT/deploy/lib/read_back.py" "$url" "${paths[@]}")"

step "what the archive holds (RATIO: received over stored)"
"$varve" study list --server "$url"
if [ -n "$study" ]; then
    step "where its copies are"
    "$varve" study show "$study" --server "$url" >"$scratch/show.txt"
    if [ "$(wc -l <"$scratch/show.txt")" -gt 24 ]; then
        head -n 14 "$scratch/show.txt"
        echo "..."
        tail -n 2 "$scratch/show.txt"
    else
        cat "$scratch/show.txt"
    fi
fi

again="$varve up --data $data --dicom-port $dicom_port --http-port $http_port"
echo
echo "Varve works. Send to it:  AE title VARVE, 127.0.0.1 port $dicom_port"
echo "Read from it:             $url/dicom-web/studies"
if [ -n "$keep" ]; then
    echo "The cluster runs until you press Ctrl-C. To start it again later:"
    echo "  $again"
    wait "$cluster" || true
    cluster=
else
    stop_cluster
    echo "The cluster is stopped now; its data is in $data. To start it again:"
    echo "  $again"
fi
