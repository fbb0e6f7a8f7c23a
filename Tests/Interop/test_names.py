# SPDX-License-Identifier: Apache-2.0
"""Finding patients by names in many scripts: those of pydicom's character set files, stored as their bytes are."""

import json
import os
import unicodedata
import urllib.parse
from dataclasses import replace

import part10
import pydicom
import pytest
from conftest import send_all
from pydicom.data import get_charset_files
from support.phantom import instance

JSON = "application/dicom+json"
CHARACTER_SET = 0x00080005
PATIENT_NAME = 0x00100010


def charset_files():
    """File names and what pydicom reads in them, of those that hold a name."""
    found = {}
    for path in sorted(get_charset_files("*.dcm")):
        dataset = pydicom.dcmread(path)
        if dataset.get("PatientName"):
            found[os.path.basename(path)] = (path, str(dataset.PatientName))
    return found


NAMES = charset_files()


@pytest.fixture(scope="module")
def stored(cluster):
    """The Study Instance UID by file name: each a study of its own, the name and character set as in the file."""
    made = {}
    for number, (name, (path, _)) in enumerate(NAMES.items()):
        with open(path, "rb") as file:
            _, raw = part10.split(file.read())
        values = {tag: raw[value:end] for tag, _, _, value, end in part10.elements(raw)}
        one = instance("names", 0, study=number, values={PATIENT_NAME: values[PATIENT_NAME]})
        tags = [element[0] for element in part10.elements(one.data_set)]
        if CHARACTER_SET in tags:
            data_set = part10.replacing(one.data_set, {CHARACTER_SET: values[CHARACTER_SET]})
        else:
            assert min(tags) > CHARACTER_SET
            data_set = part10.element(0x0008, 0x0005, "CS", values[CHARACTER_SET]) + one.data_set
        made[name] = replace(one, data_set=data_set)
    assert set(send_all(cluster.port, list(made.values())).values()) == {0}
    return {name: one.study for name, one in made.items()}


def search(cluster, name, **options):
    query = urllib.parse.urlencode({"PatientID": "names-*", "PatientName": name, **options})
    status, body, _ = cluster.get("/dicom-web/studies?" + query, accept=JSON)
    assert status in (200, 204), (status, body[:300])
    return {entry["0020000D"]["Value"][0] for entry in json.loads(body)} if status == 200 else set()


def in_katakana(text):
    return "".join(chr(ord(one) + 0x60) if 0x3041 <= ord(one) <= 0x3096 else one for one in text)


def in_full_width(text):
    return "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isalnum() else one for one in text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form",
    [str, str.upper, str.lower, in_katakana, in_full_width]
    + [lambda text, form=form: unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")],
    ids=["as it is", "upper", "lower", "katakana", "full width", "NFC", "NFD", "NFKC", "NFKD"],
)
def test_each_group_finds_its_study_however_it_is_typed(cluster, stored, name, form):
    for group in NAMES[name][1].split("="):
        assert stored[name] in search(cluster, form(group)), group
        assert stored[name] in search(cluster, form(group.split("^")[0]) + "*"), group
        assert stored[name] in search(cluster, form(group), fuzzymatching="true"), group


@pytest.mark.parametrize(
    "key, files",
    [
        ("Buc^Jerome", {"chrFren.dcm", "chrFrenMulti.dcm"}),
        ("BUC, JÉRÔME", {"chrFren.dcm", "chrFrenMulti.dcm"}),
        ("Aneas^Rudiger", {"chrGerm.dcm"}),
        ("AENEAS*", set()),
        ("aneas^r?diger", {"chrGerm.dcm"}),
        ("ヤマダ^タロウ", {"chrH31.dcm", "chrH32.dcm", "chrJapMulti.dcm", "chrJapMultiExplicitIR6.dcm"}),
        ("ﾔﾏﾀﾞ*", {"chrH31.dcm", "chrH32.dcm", "chrJapMulti.dcm", "chrJapMultiExplicitIR6.dcm"}),
        ("wang^xiaodong=王^小東", {"chrX1.dcm"}),
        ("Διονυσιος", {"chrGreek.dcm"}),
        ("ΔΙΟΝΎΣΙΟΣ", {"chrGreek.dcm"}),
        ("Rudiger^*", set()),
        ("Jerome", set()),
    ],
)
def test_plain_matching(cluster, stored, key, files):
    assert search(cluster, key) == {stored[name] for name in files}


@pytest.mark.parametrize(
    "key, files",
    [
        ("Jerom Buck", {"chrFren.dcm", "chrFrenMulti.dcm"}),
        ("Rüdigger^Äneas", {"chrGerm.dcm"}),
        ("Wong", {"chrX1.dcm", "chrX2.dcm"}),
        ("小東", {"chrX1.dcm"}),
        ("Yamada Taro", {"chrH31.dcm"}),
        ("タロウ", {"chrH31.dcm", "chrH32.dcm", "chrJapMulti.dcm", "chrJapMultiExplicitIR6.dcm"}),
        ("Buc^Rudiger", set()),
    ],
)
def test_fuzzy_matching(cluster, stored, key, files):
    assert search(cluster, key, fuzzymatching="true") == {stored[name] for name in files}


def test_names_come_back_as_they_were_stored(cluster, stored):
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    for name, study in stored.items():
        status, body, _ = cluster.get("/dicom-web/studies?StudyInstanceUID=" + study, accept=JSON)
        assert status == 200
        value = json.loads(body)[0]["00100010"]["Value"][0]
        assert "=".join(value.get(group, "") for group in groups).rstrip("=") == NAMES[name][1]
