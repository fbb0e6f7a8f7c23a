# SPDX-License-Identifier: Apache-2.0
"""Writes the native frames of some of the corpus for Benchmarks/codecs.sh: one file a kind, which begins with a line
`rows columns samples allocated stored signed` and goes on with the frames. Arguments: corpus, directory, frames a kind."""
import glob
import os
import sys

import pydicom

KINDS = {
    "ct": ["ct-ge-human/*.dcm"],
    "ct-phantom": ["ct-philips-phantom/*.dcm"],
    "mr": ["mr-7t-structural/*.dcm"],
    "us-colour": ["odd/US1_UNCR.dcm"],
    "rgb": ["odd/color-px.dcm"],
}


def main(corpus, directory, limit):
    for kind, patterns in KINDS.items():
        paths = sorted(path for pattern in patterns for path in glob.glob(os.path.join(corpus, pattern)))[:limit]
        if not paths:
            sys.exit("no %s under %s: set VARVE_TEST_CORPUS" % (patterns[0], corpus))
        header, frames = None, []
        for path in paths:
            data = pydicom.dcmread(path)
            shape = "%d %d %d %d %d %d" % (
                data.Rows, data.Columns, data.SamplesPerPixel, data.BitsAllocated, data.BitsStored,
                data.PixelRepresentation)
            header = header or shape
            byte_count = data.Rows * data.Columns * data.SamplesPerPixel * data.BitsAllocated // 8
            if shape == header:
                frames.append(data.PixelData[:byte_count])
        with open(os.path.join(directory, kind + ".frames"), "wb") as file:
            file.write(header.encode() + b"\n" + b"".join(frames))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
