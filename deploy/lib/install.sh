# SPDX-License-Identifier: Apache-2.0
# Sourced by quickstart.sh, test.sh and the benchmarks: installs what is missing, and nothing else.
# shellcheck shell=bash disable=SC2034 # the lists are for those who source this

VARVE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
VARVE_SWIFT_MINIMUM=6.2
VARVE_VENV="${VARVE_VENV:-$VARVE_ROOT/.venv}"

# What the build needs, what the tests need on top, and the other side of the benchmarks.
VARVE_BUILD_PACKAGES=(
    g++ git pkg-config zlib1g-dev libcharls-dev libopenjp2-7-dev libopenjph-dev libjpeg62-turbo-dev libpq-dev liblmdb-dev libisal-dev
    postgresql curl python3 python3-venv
)
VARVE_TEST_PACKAGES=(dcmtk orthanc orthanc-dicomweb strace iproute2 nftables e2fsprogs unzip)
VARVE_BENCHMARK_PACKAGES=(dcmtk orthanc orthanc-postgresql orthanc-dicomweb)

# What the Swift toolchain itself needs on Debian and Ubuntu, when it is unpacked by hand.
VARVE_SWIFT_PACKAGES=(
    binutils git libc6-dev libcurl4 libedit2 libncurses6 libsqlite3-0 libstdc++-12-dev libxml2 tzdata
)

# The Python side of the tests, pinned. The decoders let pydicom judge compressed images on its own.
VARVE_PYTHON_PACKAGES=(
    pydicom==3.0.1 pynetdicom==3.0.4 dicomweb-client==0.61.2 numpy==2.4.6 pillow==13.0.0 requests==2.34.2
    pytest==9.2.0 pytest-timeout==2.4.0 pytest-xdist==3.8.0
    'moto[s3]==5.2.5' boto3==1.44.5 flask==3.1.3 flask-cors==6.0.5
    pyjpegls==1.5.1 pylibjpeg==2.1.0 pylibjpeg-libjpeg==2.3.0 pylibjpeg-openjpeg==2.5.0 pylibjpeg-rle==2.1.0
)

step() { printf '==> %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# version_at_least HAVE WANT
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

require_swift() {
    local how="Varve is built with Swift $VARVE_SWIFT_MINIMUM or newer. Get it from https://swift.org/install
       (choose Linux and your distribution), put its usr/bin on PATH, and run this again."
    command -v swift >/dev/null || die "no 'swift' on PATH. $how"
    local have said
    if ! said="$(swift --version 2>&1)" && command -v apt-get >/dev/null; then
        apt_install_missing "${VARVE_SWIFT_PACKAGES[@]}"
        said="$(swift --version 2>&1)" || true
    fi
    have="$(printf '%s\n' "$said" | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)"
    [ -n "$have" ] || die "'swift --version' does not work here, it says: ${said%%$'\n'*}
       $how"
    version_at_least "$have" "$VARVE_SWIFT_MINIMUM" || die "this is Swift $have. $how"
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -- "$@"
    fi
}

# apt_install_missing PACKAGE...: installs those that are not there; starts no service.
apt_install_missing() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "these Debian packages are needed and there is no apt-get here: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "these packages are missing and installing them needs root: ${missing[*]}
       As root: apt-get install ${missing[*]}"
    fi
    step "installing ${missing[*]}"
    # Varve runs a Postgres of its own: no default cluster is wanted, and no service is to start.
    if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    local log policy=
    log="$(mktemp)"
    if ! [ -e /usr/sbin/policy-rc.d ]; then
        policy=made
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        as_root chmod 755 /usr/sbin/policy-rc.d
    fi
    local status=0
    {
        as_root apt-get update -q &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
                -o Dpkg::Options::=--force-confold "${missing[@]}"
    } >"$log" 2>&1 </dev/null || status=$?
    [ -z "$policy" ] || as_root rm -f /usr/sbin/policy-rc.d
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$log" >&2
        die "apt-get could not install: ${missing[*]} (all it said: $log)"
    fi
    rm -f "$log"
}

# A Python of the tests' own, in .venv; made once, and again when the pinned versions change.
install_python() {
    local wanted="${VARVE_PYTHON_PACKAGES[*]}" python
    if [ "$(cat "$VARVE_VENV/varve-packages" 2>/dev/null)" = "$wanted" ] && "$VARVE_VENV/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    python=/usr/bin/python3
    [ -x "$python" ] || python="$(command -v python3)"
    step "making $VARVE_VENV with pydicom, pynetdicom, dicomweb-client and pytest"
    rm -rf "$VARVE_VENV"
    "$python" -m venv "$VARVE_VENV" || die "'$python -m venv' does not work: is python3-venv installed?"
    "$VARVE_VENV/bin/pip" install -q --disable-pip-version-check "${VARVE_PYTHON_PACKAGES[@]}" ||
        die "pip could not install the Python packages of the tests"
    echo "$wanted" >"$VARVE_VENV/varve-packages"
}

# use_built_codecs: what is built from here on links codecs built for it, or Debian's where that cannot be.
use_built_codecs() {
    local name prefix log
    log="$(mktemp)"
    for name in charls openjpeg openjph; do
        prefix="$VARVE_ROOT/.build/$name"
        # A process of its own: `set -e` does nothing in what an `if` calls.
        if bash "$VARVE_ROOT/deploy/lib/build_$name.sh" "$prefix" >"$log" 2>&1; then
            export PKG_CONFIG_PATH="$prefix${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
        else
            step "note: building with Debian's $name, which is slower and has its assertions on: $(tail -n 1 "$log")"
        fi
    done
    rm -f "$log"
}
