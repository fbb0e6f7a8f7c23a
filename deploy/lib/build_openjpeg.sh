#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds OpenJPEG as a static library for pkg-config: leaves PREFIX/lib/libopenjp2-....a and PREFIX/libopenjp2.pc.
# usage: deploy/lib/build_openjpeg.sh PREFIX [SANITIZERS]
#
# Debian builds OpenJPEG with its assertions on, which a hostile stream can break (docs/decisions/0013). The source comes
# from PyPI, inside the source package of OpenJPEG's Python binding, which the tests use too.
set -euo pipefail

# shellcheck source=python_source.sh
source "$(dirname "${BASH_SOURCE[0]}")/python_source.sh"

source_package=pylibjpeg-openjpeg==2.5.0
sha256=e0ea4d9e59820b02c8437121ae65cc28e98d9e9150f4a6967f2c3ba805e7f873

prefix="${1:?usage: build_openjpeg.sh PREFIX [SANITIZERS]}"
flags=(-O2 -DNDEBUG -fPIC -DOPJ_STATIC)
# With counters and checks of its own, for fuzzing.
[ -z "${2:-}" ] || flags+=(-g "-fsanitize=$2")
stamp="$sha256 ${flags[*]}"
[ "$(cat "$prefix/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
name="openjp2-$(printf %s "$stamp" | sha256sum | cut -c 1-8)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

fetch_python_source "$source_package" "$sha256" "$scratch"
library="$scratch/lib/openjpeg/src/lib/openjp2"
version="$(sed -n 's/^set(OPENJPEG_VERSION_[A-Z]* \([0-9]*\)).*/\1/p' "$scratch/lib/openjpeg/CMakeLists.txt" | paste -s -d .)"
IFS=. read -r major minor build <<<"$version"

# What CMake would find on 64-bit Linux.
mkdir -p "$scratch/prefix/include" "$scratch/prefix/lib" "$scratch/objects"
cat >"$scratch/prefix/include/opj_config.h" <<TEXT
#define OPJ_HAVE_STDINT_H 1
#define OPJ_VERSION_MAJOR $major
#define OPJ_VERSION_MINOR $minor
#define OPJ_VERSION_BUILD $build
TEXT
cat >"$scratch/prefix/include/opj_config_private.h" <<TEXT
#define OPJ_PACKAGE_VERSION "$version"
#define _FILE_OFFSET_BITS 64
#define OPJ_HAVE_FSEEKO 1
#define OPJ_HAVE_POSIX_MEMALIGN 1
#define MUTEX_pthread 1
TEXT
cp "$library/openjpeg.h" "$scratch/prefix/include/"

compiler="$(dirname "$(readlink -f "$(command -v swift)")")/clang"
[ -x "$compiler" ] || compiler=gcc
for file in thread bio cio dwt event ht_dec image invert j2k jp2 mct mqc openjpeg opj_clock pi t1 t2 tcd tgt \
    function_list opj_malloc sparse_array; do
    "$compiler" "${flags[@]}" -I"$scratch/prefix/include" -I"$library" -c "$library/$file.c" -o "$scratch/objects/$file.o"
done
ar rcs "$scratch/prefix/lib/lib$name.a" "$scratch"/objects/*.o
cat >"$scratch/prefix/libopenjp2.pc" <<TEXT
Name: openjp2
Description: OpenJPEG, optimised and static
Version: $version
Libs: -L$prefix/lib -l$name -lm -lpthread
Cflags: -I$prefix/include -DOPJ_STATIC
TEXT
printf '%s\n' "$stamp" >"$scratch/prefix/stamp"

# Only what is whole takes the place of what was there.
mkdir -p "$(dirname "$prefix")"
rm -rf "$prefix"
mv "$scratch/prefix" "$prefix"
