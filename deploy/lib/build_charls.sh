#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds CharLS for speed, as a static library for pkg-config: leaves PREFIX/lib/libcharls-....a and PREFIX/charls.pc.
# usage: deploy/lib/build_charls.sh PREFIX [SANITIZERS]
#
# Debian builds CharLS with its assertions on (docs/decisions/0007). The source comes from PyPI, inside the source
# package of CharLS's Python binding, which is CharLS's release 2.4.2 as it is.
set -euo pipefail

# shellcheck source=python_source.sh
source "$(dirname "${BASH_SOURCE[0]}")/python_source.sh"

source_package=pyjpegls==1.5.1
sha256=d0fe09dfb7f75ce78e3b1e0519912a42f1827d68bbc3609652f4f8743c956025
flags=(-std=c++17 -O2 -DNDEBUG -fPIC -fvisibility=hidden -DCHARLS_STATIC -DCHARLS_LIBRARY_BUILD)
prefix="${1:?usage: build_charls.sh PREFIX [SANITIZERS]}"
# With counters and checks of its own, for fuzzing. Only the compiler of the Swift toolchain has them.
[ -z "${2:-}" ] || flags+=("-fsanitize=$2")
stamp="$sha256 ${flags[*]}"
[ "$(cat "$prefix/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
# A name that tells what it is made of: else the linker takes the system's, whose folder other libraries name before
# ours, and the build would not notice that the library has changed.
name="charls-$(printf %s "$stamp" | sha256sum | cut -c 1-8)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

fetch_python_source "$source_package" "$sha256" "$scratch"

# The compiler of the Swift toolchain makes the faster code of the two.
compiler="$(dirname "$(readlink -f "$(command -v swift)")")/clang++"
[ -x "$compiler" ] || compiler=g++
mkdir -p "$scratch/objects" "$scratch/prefix/lib"
for file in "$scratch"/lib/charls/src/*.cpp; do
    "$compiler" "${flags[@]}" -I"$scratch/lib/charls/include" -c "$file" \
        -o "$scratch/objects/$(basename "$file" .cpp).o"
done
ar rcs "$scratch/prefix/lib/lib$name.a" "$scratch"/objects/*.o
cp -r "$scratch/lib/charls/include" "$scratch/prefix/include"
cat >"$scratch/prefix/charls.pc" <<TEXT
Name: charls
Description: CharLS, optimised and static
Version: 2.4.2
Libs: -L$prefix/lib -l$name -lstdc++
Cflags: -I$prefix/include -DCHARLS_STATIC
TEXT
printf '%s\n' "$stamp" >"$scratch/prefix/stamp"

# Only what is whole takes the place of what was there.
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix"
mv "$scratch/prefix" "$prefix"
