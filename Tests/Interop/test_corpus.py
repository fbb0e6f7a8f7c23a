# SPDX-License-Identifier: Apache-2.0
"""Every file of the corpus goes in over DICOM and comes back over WADO-RS, compared by pydicom.

What was sent in Explicit VR little endian must come back byte for byte. The rest must come back
with equal pixels and equal elements. Files that break a rule of the standard must be refused.
"""

import glob
import os
import re
import warnings
from collections import Counter

import numpy
import part10
import pydicom
import pytest
from support import compare, wado
from support.phantom import uid
from support.sender import store_one

EXPLICIT = part10.EXPLICIT_LITTLE_ENDIAN
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = (EXPLICIT, IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1.99")

# What Varve keeps and gives as it came, and does not decode: transfer syntaxes and files.
NOT_DECODED = (
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame
    "liver_j2k.dcm",  # one bit a pixel
    "liver_nonbyte_aligned_j2k.dcm",
    "liver_rle.dcm",
    "liver_nonbyte_aligned_rle.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",  # no decoder can: its header is overwritten
)

# Its pixel data ends early. It may be refused as malformed, or come back as it was sent.
CUT_SHORT = ("emri_small_jpeg_2k_lossless_too_short.dcm", "MR_truncated.dcm", "rtplan_truncated.dcm")

LOSSY_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_420")
UPSAMPLED = 2

STORAGE_CLASSES = "1.2.840.10008.5.1.4.1.1."


class Case:
    """One file: what is sent, under which UIDs."""

    def __init__(self, path, taken):
        self.name = os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))
        contents = open(path, "rb").read()
        if contents[:2] == b"\2\0":  # file meta information without a preamble
            contents = b"\0" * 128 + b"DICM" + contents
        if contents[128:132] == b"DICM":
            meta, self.data_set = part10.split(contents)
            self.syntax = part10.transfer_syntax(meta)
        else:
            self.syntax, self.data_set = None, contents
        if not self.syntax:  # nothing says it: then the first element's VR does, or its absence
            self.syntax = EXPLICIT if self.data_set[4:6].isalpha() else IMPLICIT
        data = compare.read(self.syntax, self.data_set, stop_before_pixels=True)
        self.note = ""
        self.sop_class = str(data.get("SOPClassUID", ""))
        self.sop_instance = str(data.get("SOPInstanceUID", ""))
        self.study, self.series = str(data.get("StudyInstanceUID", "")), str(data.get("SeriesInstanceUID", ""))
        self.is_lawful = all(
            re.fullmatch(r"[0-9.]{1,64}", text) for text in (self.sop_instance, self.study, self.series)
        )
        if self.is_lawful and self.sop_instance in taken:
            self._rename(taken)
        taken.add(self.sop_instance)

    def _rename(self, taken):
        """Another SOP Instance UID of the same length: several corpus files share theirs."""
        old = self.sop_instance.encode()
        new = next(new for new in (old[:-3] + b"%03d" % number for number in range(100, 1000))
                   if new.decode() not in taken)  # fmt: skip
        tag = b"\0\x08\0\x18" if self.syntax == BIG_ENDIAN else b"\x08\0\x18\0"
        at = self.data_set.index(old, self.data_set.index(tag))
        self.data_set = self.data_set[:at] + new + self.data_set[at + len(old) :]
        self.sop_instance = new.decode()
        self.note = "UID changed"

    def repaired(self):
        """The same with the UIDs that are missing, so that its pixels are tested too."""
        wanted = {
            0x00080016: self.sop_class,
            0x00080018: uid(self.name, "instance"),
            0x0020000D: uid(self.name, "study"),
            0x0020000E: uid(self.name, "series"),
        }
        pieces, missing = [], sorted(wanted)
        for tag, _, start, _, end in part10.elements(self.data_set):
            while missing and missing[0] <= tag:
                fresh = missing.pop(0)
                pieces.append(part10.element(fresh >> 16, fresh & 0xFFFF, "UI", wanted[fresh]))
            if tag not in wanted:
                pieces.append(self.data_set[start:end])
        made = Case.__new__(Case)
        made.name, made.syntax, made.note, made.is_lawful = self.name, self.syntax, "UIDs added", True
        made.sop_class, made.sop_instance, made.study, made.series = (wanted[tag] for tag in (
            0x00080016, 0x00080018, 0x0020000D, 0x0020000E))  # fmt: skip
        made.data_set = b"".join(pieces)
        return made


def _corpus_cases(corpus, taken):
    # Where several share a UID, the first keeps it.
    return [Case(path, taken) for path in sorted(glob.glob(os.path.join(corpus, "*", "*.dcm")))]


def _judge(cluster, case):
    """(verdict, [differences])."""
    affected = case.sop_instance if re.fullmatch(r"[0-9.]{1,64}", case.sop_instance) else uid(case.name)
    status = store_one(cluster.port, case.sop_class, affected, case.syntax, case.data_set)
    if not case.sop_class.startswith(STORAGE_CLASSES):
        # Directories of media, and fragments of data sets: there is no SOP class to offer.
        return ("FAILED", ["stored under no storage SOP class"]) if status == 0 else ("not storable: no storage SOP class", [])
    if not case.is_lawful:
        if status is None or status == 0:
            return "FAILED", ["has no lawful UIDs, yet the status is %s" % status]
        return "refused %04XH: no lawful UIDs" % status, []
    if status is not None and status & 0xF000 == 0xC000 and os.path.basename(case.name) in CUT_SHORT:
        return "refused %04XH: cut short" % status, []
    if status != 0:
        return "FAILED", ["refused with %s" % ("%04XH" % status if status is not None else "no answer")]
    stored_syntax, stored = wado.data_set(cluster, case.study, case.series, case.sop_instance, wado.AS_STORED)
    problems = _judge_stored(case, stored_syntax, stored)
    verdict = "stored as sent" if stored_syntax == case.syntax else "stored as " + pydicom.uid.UID(stored_syntax).name
    if "bits equal" in problems:
        problems.remove("bits equal")
        verdict += " (bits equal, signs beyond Bits Stored)"
    native_syntax, native = wado.data_set(cluster, case.study, case.series, case.sop_instance)
    if native_syntax == case.syntax:
        if native != case.data_set:
            problems.append("not byte for byte: " + _first_difference(case.data_set, native))
        if case.syntax == EXPLICIT:
            verdict += "; byte for byte"
        else:
            verdict += "; no native form, byte for byte"
            if case.syntax not in NOT_DECODED and os.path.basename(case.name) not in NOT_DECODED:
                problems.append("default Accept gave " + native_syntax)
    elif native_syntax != EXPLICIT:
        problems.append("default Accept gave " + native_syntax)
    else:
        problems += _judge_converted(case, native)
        verdict += "; native equal"
    return ("FAILED" if problems else verdict), problems


def _judge_stored(case, syntax, stored):
    if syntax == case.syntax:
        return [] if stored == case.data_set else ["as stored: " + _first_difference(case.data_set, stored)]
    sent, got = compare.read(case.syntax, case.data_set), compare.read(syntax, stored)
    problems = compare.elements(sent, got, ignored=compare.CODING_KEYWORDS)
    wrong = _pixel_differences(sent, got)
    if wrong and case.syntax == EXPLICIT and compare.decoded_bytes(got) == sent.PixelData:
        # pydicom extends the sign from Bits Stored where pixels are native, from the precision of the
        # codestream where they are compressed. Where the bits above Bits Stored are not the sign, these
        # differ though every bit is there.
        return ["as stored: " + text for text in problems] or ["bits equal"]
    return ["as stored: " + text for text in problems + wrong]


def _judge_converted(case, native):
    sent, got = compare.read(case.syntax, case.data_set), compare.read(EXPLICIT, native)
    ignored = frozenset() if case.syntax in NATIVE else compare.CODING_KEYWORDS
    problems = compare.elements(sent, got, ignored, is_big_endian=case.syntax == BIG_ENDIAN)
    return ["native: " + text for text in problems + _pixel_differences(sent, got)]


def _pixel_differences(sent, got):
    try:
        expected = compare.pixels(sent)
    except (NotImplementedError, RuntimeError, ValueError):
        return []  # pydicom cannot decode what was sent, so it cannot judge what came back
    found = compare.pixels(got)
    if expected is None or found is None:
        return [] if expected is found else ["pixel data is gone or new"]
    if isinstance(expected, bytes):
        return [] if expected == found else ["pixels differ"]
    if expected.shape != found.shape or expected.dtype.newbyteorder("=") != found.dtype:
        return ["pixels are %s %s, were %s %s" % (found.shape, found.dtype, expected.shape, expected.dtype)]
    difference = numpy.abs(expected.astype(numpy.int64) - found)
    # Decoders of the DCT may round differently (ISO 10918-2), and bring chroma to full resolution in other ways.
    syntax = sent.file_meta.TransferSyntaxUID
    allowed = 0 if syntax not in LOSSY_JPEG else UPSAMPLED if sent.PhotometricInterpretation in SUBSAMPLED else 1
    wrong = numpy.count_nonzero(difference > allowed)
    return ["%d of %d pixel values differ, by up to %d" % (wrong, expected.size, difference.max())] if wrong else []


def _first_difference(sent, got):
    at = next((index for index, (one, other) in enumerate(zip(sent, got)) if one != other), min(len(sent), len(got)))
    return "%d bytes, were %d; first difference at %d: %s, was %s" % (
        len(got), len(sent), at, got[at : at + 8].hex(), sent[at : at + 8].hex())  # fmt: skip


def _judge_all(cluster, cases, capsys, title):
    verdicts, failures = Counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases:
            try:
                verdict, problems = _judge(cluster, case)
            except Exception as error:  # one file's trouble must not hide the others' verdicts
                verdict, problems = "FAILED", ["%s: %s" % (type(error).__name__, error)]
            folder = case.name.split("/")[0]
            verdicts[(folder, verdict)] += 1
            for problem in problems[:6]:
                failures.append("%s (%s%s): %s" % (case.name, pydicom.uid.UID(case.syntax).name,
                                                   ", " + case.note if case.note else "", problem))  # fmt: skip
    with capsys.disabled():
        print("\n%s in and out: %d files" % (title, len(cases)))
        for (folder, verdict), count in sorted(verdicts.items()):
            print("  %-20s %4d  %s" % (folder, count, verdict))
    assert not failures, "\n" + "\n".join(failures)


@pytest.mark.timeout(1200)
def test_whole_corpus_in_and_out(cluster, corpus, capsys):
    cases = _corpus_cases(corpus, set())
    cases += [case.repaired() for case in cases if not case.is_lawful and case.syntax not in (IMPLICIT, *NATIVE[2:])]
    _judge_all(cluster, cases, capsys, "corpus")


@pytest.mark.timeout(1200)
def test_files_of_pydicom_in_and_out(cluster, corpus, capsys):
    paths = pydicom.data.get_testdata_files() + pydicom.data.get_charset_files()
    # Some are in the corpus, too; one archive has room for one instance of a UID.
    taken = {case.sop_instance for case in _corpus_cases(corpus, set())}
    cases = [Case(path, taken) for path in sorted(set(paths)) if _is_dicom(path)]
    assert len(cases) > 150
    _judge_all(cluster, cases, capsys, "pydicom's files")


def _is_dicom(path):
    """Text, compressed and other files lie among them; some DICOM files have no preamble."""
    if not os.path.isfile(path) or os.path.splitext(path)[1] in (".dump", ".txt", ".json", ".gz", ".icc"):
        return False
    return os.path.basename(path) != "README"
