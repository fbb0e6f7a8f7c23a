#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds OpenJPH as a static library for pkg-config: leaves PREFIX/lib/libopenjph-....a and PREFIX/openjph.pc.
# usage: deploy/lib/build_openjph.sh PREFIX [SANITIZERS]
#
# Debian's OpenJPH is years old, has its assertions on and no vector code in its block encoder (docs/decisions/0014). The
# source comes from PyPI: the source package of OpenEXR's Python binding carries it.
set -euo pipefail

# shellcheck source=python_source.sh
source "$(dirname "${BASH_SOURCE[0]}")/python_source.sh"

source_package=OpenEXR==3.5.3
sha256=5645cc5493802832860a715ceb621139b44ee867084cec1501a2b8685e40d88a

prefix="${1:?usage: build_openjph.sh PREFIX [SANITIZERS]}"
flags=(-O2 -DNDEBUG -fPIC -fvisibility=hidden -D_FILE_OFFSET_BITS=64 -DOJPH_ALIGNED_ALLOC_EXISTS)
# With counters and checks of its own, for fuzzing.
[ -z "${2:-}" ] || flags+=(-g "-fsanitize=$2")
stamp="$sha256 ${flags[*]} $(uname -m)"
[ "$(cat "$prefix/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
name="openjph-$(printf %s "$stamp" | sha256sum | cut -c 1-8)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

fetch_python_source "$source_package" "$sha256" "$scratch"
library="$scratch/external/OpenJPH/src/core"
version="$(sed -n 's/^#define OPENJPH_VERSION_[A-Z]* \([0-9]*\).*/\1/p' "$library/openjph/ojph_version.h" | paste -s -d .)"

compiler="$(dirname "$(readlink -f "$(command -v swift)")")/clang++"
[ -x "$compiler" ] || compiler=g++
mkdir -p "$scratch/objects" "$scratch/prefix/lib" "$scratch/prefix/include/openjph"
cp "$library"/openjph/*.h "$scratch/prefix/include/openjph/"
# Each file of vector code is compiled for its own kind of processor; the library asks the processor before it calls one.
for file in "$library"/*/*.cpp "$library"/*/*.c; do
    extra=(-std=c++17)
    case "$file" in
        *_wasm.cpp | *_vsx.cpp) continue ;;
        *_sse.cpp | *_sse2.cpp | *_ssse3.cpp | *_avx.cpp | *_avx2.cpp | *_avx512.cpp)
            [ "$(uname -m)" = x86_64 ] || continue
            kind="${file%.cpp}" && kind="${kind##*_}"
            [ "$kind" != avx512 ] || kind="avx512f -mavx512cd"
            read -ra extra <<<"-std=c++17 -m$kind"
            ;;
        *.c) extra=(-x c -std=c11) ;;
    esac
    "$compiler" "${flags[@]}" "${extra[@]}" -I"$library/openjph" -I"$library/shared" -c "$file" \
        -o "$scratch/objects/$(basename "$file").o"
done
ar rcs "$scratch/prefix/lib/lib$name.a" "$scratch"/objects/*.o
cat >"$scratch/prefix/openjph.pc" <<TEXT
Name: openjph
Description: OpenJPH, optimised and static
Version: $version
Libs: -L$prefix/lib -l$name -lstdc++
Cflags: -I$prefix/include
TEXT
printf '%s\n' "$stamp" >"$scratch/prefix/stamp"

# Only what is whole takes the place of what was there.
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix"
mv "$scratch/prefix" "$prefix"
