# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the source of a C or C++ library from PyPI, inside the source package of its Python binding. Sourced.

# fetch_python_source NAME==VERSION SHA256 FOLDER: unpacks the source package into FOLDER, which exists.
fetch_python_source() {
    local package="$1" sha256="$2" folder="$3" python=/usr/bin/python3
    [ -x "$python" ] || python="$(command -v python3)"
    printf '%s --hash=sha256:%s\n' "$package" "$sha256" >"$folder/requirements.txt"
    "$python" -m venv "$folder/venv"
    timeout 300 "$folder/venv/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes \
        --no-binary "${package%%==*}" -r "$folder/requirements.txt" -d "$folder"
    tar -xzf "$folder"/*.tar.gz -C "$folder" --strip-components 1
}
