# SPDX-License-Identifier: Apache-2.0
"""Reads one instance of a study back over DICOMweb and compares it with the file it came from.

usage: read_back.py URL PATH...

Takes the first file in Explicit VR little endian under the paths. Prints the Study Instance UID;
exit status 1 when the data sets differ.
"""

import os
import re
import sys
import urllib.request

import part10


def candidates(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                yield os.path.join(folder, name)


def first_explicit(paths):
    for path in candidates(paths):
        with open(path, "rb") as file:
            contents = file.read()
        try:
            meta, data_set = part10.split(contents)
        except part10.Part10Error:
            continue
        if part10.transfer_syntax(meta) == part10.EXPLICIT_LITTLE_ENDIAN:
            return path, data_set
    return None, None


def main(url, paths):
    path, sent = first_explicit(paths)
    if path is None:
        print("(no file in Explicit VR little endian here: nothing to compare byte for byte)", file=sys.stderr)
        return 0
    _, sop_instance, series, study = part10.identity(sent)
    address = "%s/dicom-web/studies/%s/series/%s/instances/%s" % (url, study, series, sop_instance)
    with urllib.request.urlopen(address, timeout=60) as answer:
        body = answer.read()
        boundary = re.search(r'boundary="?([^";]+)"?', answer.headers["Content-Type"]).group(1).encode()
    part = (b"\r\n" + body).split(b"\r\n--" + boundary)[1]
    _, got = part10.split(part.partition(b"\r\n\r\n")[2])
    if got != sent:
        print("error: what came back of %s differs from what was sent (%d bytes, were %d)"
              % (path, len(got), len(sent)), file=sys.stderr)  # fmt: skip
        return 1
    print("%s: all %d bytes of the data set came back as sent" % (os.path.basename(path), len(sent)), file=sys.stderr)
    print(study)
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: read_back.py URL PATH...")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
