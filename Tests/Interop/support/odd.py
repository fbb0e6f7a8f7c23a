# SPDX-License-Identifier: Apache-2.0
"""Files of the corpus's folder `odd`, stored under UIDs of the test's own."""

import glob
import os
import warnings

import part10
import pydicom

from . import compare, wado
from .phantom import uid
from .sender import store_one


def store(cluster, corpus, name, test):
    """Stores a file under UIDs made of its name and the test's; (its path, its data set, its transfer syntax)."""
    (path,) = glob.glob(os.path.join(corpus, "odd", name))
    with open(path, "rb") as file:
        contents = file.read()
    if contents[128:132] == b"DICM":
        meta, data_set = part10.split(contents)
        syntax = part10.transfer_syntax(meta)
    else:
        data_set, syntax = contents, "1.2.840.10008.1.2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = compare.read(syntax, data_set)
        changed = pydicom.Dataset(data)
        names = [uid(test, name, level) for level in ("study", "series", "instance")]
        changed.StudyInstanceUID, changed.SeriesInstanceUID, changed.SOPInstanceUID = names
        buffer = pydicom.filebase.DicomBytesIO()
        buffer.is_little_endian = syntax != "1.2.840.10008.1.2.2"
        buffer.is_implicit_VR = syntax == "1.2.840.10008.1.2"
        pydicom.filewriter.write_dataset(buffer, changed)
        assert store_one(cluster.port, str(data.SOPClassUID), names[2], syntax, buffer.getvalue()) == 0
    return wado.instance_path(*names), data, syntax
