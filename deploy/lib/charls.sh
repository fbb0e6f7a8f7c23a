# SPDX-License-Identifier: Apache-2.0
# Sourced by install.sh: CharLS built for speed and linked statically.
# shellcheck shell=bash disable=SC2153 # VARVE_ROOT is install.sh's

# Debian builds CharLS with its assertions on: the same source, optimised, takes two thirds of the time
# (docs/decisions/0007). The source comes from PyPI, inside the source package of CharLS's Python binding,
# which is CharLS's release 2.4.2 as it is.
CHARLS_SOURCE=pyjpegls==1.5.1
CHARLS_SHA256=d0fe09dfb7f75ce78e3b1e0519912a42f1827d68bbc3609652f4f8743c956025
CHARLS_FLAGS=(-std=c++17 -O2 -DNDEBUG -fPIC -fvisibility=hidden -DCHARLS_STATIC -DCHARLS_LIBRARY_BUILD)

# build_charls PREFIX: leaves PREFIX/lib/libcharls-....a and PREFIX/charls.pc, once.
build_charls() (
    set -e
    prefix="$1"
    stamp="$CHARLS_SHA256 ${CHARLS_FLAGS[*]}"
    [ "$(cat "$prefix/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
    # A name that tells what it is made of: else the linker takes the system's, whose folder other libraries name
    # before ours, and the build would not notice that the library has changed.
    name="charls-$(printf %s "$stamp" | sha256sum | cut -c 1-8)"
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' EXIT
    printf '%s --hash=sha256:%s\n' "$CHARLS_SOURCE" "$CHARLS_SHA256" >"$scratch/requirements.txt"
    python="$(type -p /usr/bin/python3 || type -p python3)"
    "$python" -m venv "$scratch/venv"
    timeout 300 "$scratch/venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes \
        --no-binary pyjpegls -r "$scratch/requirements.txt" -d "$scratch"
    tar -xzf "$scratch"/pyjpegls-*.tar.gz -C "$scratch" --strip-components 1
    # The compiler of the Swift toolchain; g++ makes code that is a tenth slower.
    compiler="$(dirname "$(readlink -f "$(type -p swift)")")/clang++"
    [ -x "$compiler" ] || compiler=g++
    rm -rf "$prefix"
    mkdir -p "$prefix/lib" "$scratch/objects"
    for file in "$scratch"/lib/charls/src/*.cpp; do
        "$compiler" "${CHARLS_FLAGS[@]}" -I"$scratch/lib/charls/include" -c "$file" \
            -o "$scratch/objects/$(basename "$file" .cpp).o"
    done
    ar rcs "$prefix/lib/lib$name.a" "$scratch"/objects/*.o
    cp -r "$scratch/lib/charls/include" "$prefix/include"
    cat >"$prefix/charls.pc" <<TEXT
Name: charls
Description: CharLS, optimised and static
Version: 2.4.2
Libs: -L$prefix/lib -l$name -lstdc++
Cflags: -I$prefix/include -DCHARLS_STATIC
TEXT
    printf '%s\n' "$stamp" >"$prefix/stamp"
)

# use_fast_charls: what is built from here on links that CharLS, or Debian's where it cannot be had.
use_fast_charls() {
    local prefix="$VARVE_ROOT/.build/charls" log
    log="$(mktemp)"
    if build_charls "$prefix" >"$log" 2>&1; then
        export PKG_CONFIG_PATH="$prefix${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    else
        step "note: building with Debian's CharLS, which takes half as long again: $(tail -n 1 "$log")"
    fi
    rm -f "$log"
}
