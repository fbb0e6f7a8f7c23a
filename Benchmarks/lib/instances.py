# SPDX-License-Identifier: Apache-2.0
"""Makes many distinct CT instances from the corpus: new UIDs, and each one's pixels rolled by
another number of rows, so that no two are equal and all compress like the real images they are.
"""

import glob
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "lib"))
import part10  # noqa: E402

SOURCES = ("ct-ge-human", "ct-philips-phantom")
PIXEL_DATA = 0x7FE00010
ROW_BYTE_COUNT = 512 * 2


def uid(*words):
    digest = hashlib.sha256("/".join(str(word) for word in words).encode()).digest()
    return "2.25.%d" % int.from_bytes(digest[:16], "big")


def _sources(corpus):
    found = []
    for folder in SOURCES:
        for path in sorted(glob.glob(os.path.join(corpus, folder, "*.dcm"))):
            meta, data_set = part10.split(open(path, "rb").read())
            if part10.transfer_syntax(meta) != part10.EXPLICIT_LITTLE_ENDIAN:
                continue
            for tag, _, _, value, end in part10.elements(data_set):
                if tag == PIXEL_DATA and end - value == 512 * ROW_BYTE_COUNT:
                    found.append((data_set, data_set[value:end]))
    if not found:
        sys.exit("no 512x512 CT images under %s: set VARVE_TEST_CORPUS" % corpus)
    return found


def make(corpus, directory, count, studies, label):
    """Fills `directory` with `count` files in `studies` folders; does nothing when they are there.

    Returns the files in order, study after study.
    """
    marker = os.path.join(directory, "complete-%s-%d-%d" % (label, count, studies))
    if not os.path.exists(marker):
        sources = _sources(corpus)
        os.makedirs(directory, exist_ok=True)
        per_study = -(-count // studies)
        for index in range(count):
            study = index // per_study
            data_set, pixels = sources[index % len(sources)]
            shift = (1 + index // len(sources)) * ROW_BYTE_COUNT
            sop_instance = uid(label, count, "instance", index)
            changed = part10.replacing(
                data_set,
                {
                    0x00080018: sop_instance.encode(),
                    0x0020000D: uid(label, count, "study", study).encode(),
                    0x0020000E: uid(label, count, "series", study).encode(),
                    0x00100020: b"BENCH%s%04d" % (label.encode(), study),
                    0x00200013: b"%d" % (1 + index % per_study),
                    PIXEL_DATA: pixels[shift:] + pixels[:shift],
                },
            )
            sop_class = part10.identity(changed)[0]
            folder = os.path.join(directory, "study-%03d" % study)
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "%05d.dcm" % index), "wb") as out:
                out.write(part10.file_bytes(sop_class, sop_instance, part10.EXPLICIT_LITTLE_ENDIAN, changed))
        open(marker, "w").close()
    return sorted(glob.glob(os.path.join(directory, "study-*", "*.dcm")))
