# SPDX-License-Identifier: Apache-2.0
"""QIDO-RS page by page: by the links of the answers, while studies arrive, and by limit and offset as ever."""

import pytest
import requests
from conftest import send_all
from support.phantom import instance

COUNT = 8


def made(number, date, label="paging"):
    return instance(label, 0, study=number, values={0x00100020: b"PAGING-%s" % label.encode(), 0x00080020: date})


@pytest.fixture(scope="module")
def studies(cluster):
    """Studies of one patient: some on the same day, and the last two without a date."""
    dates = [b"20210103", b"20210102", b"20210102", b"20210101", b"20210101", b"20210101", b"", b""]
    instances = [made(number, date) for number, date in enumerate(dates)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    return {one.study for one in instances}


def get(cluster, path):
    return requests.get(cluster.dicomweb + path, headers={"Accept": "application/dicom+json"}, timeout=60)


def uids(answer, tag="0020000D"):
    assert answer.status_code in (200, 204), answer.text
    return [entry[tag]["Value"][0] for entry in answer.json()] if answer.status_code == 200 else []


def following(answer):
    """The URL of the next page as requests reads it (RFC 8288)."""
    assert ("next" in answer.links) == ("Link" in answer.headers) == ("Warning" in answer.headers)
    return answer.links["next"]["url"] if "next" in answer.links else None


def test_every_study_once_while_others_arrive(cluster, studies):
    answer = get(cluster, "/studies?PatientID=PAGING-paging&limit=3&includefield=all")
    pages = [uids(answer)]
    arriving = [(b"20300101", 100), (b"20210102", 101), (b"", 102)]
    while following(answer):
        for date, number in arriving:
            assert set(send_all(cluster.port, [made(number + 10 * len(pages), date)]).values()) == {0}
        answer = requests.get(following(answer), timeout=60)
        pages.append(uids(answer))
        assert "00081030" in answer.json()[0], "the parameters of the first page are those of all"
    found = [uid for page in pages for uid in page]
    assert len(found) == len(set(found)), "no study twice"
    assert studies <= set(found), "none is missing"
    assert len(pages) >= 3 and all(len(page) == 3 for page in pages[:-1])


@pytest.mark.parametrize("level,tag", [("series", "0020000E"), ("instances", "00080018")])
@pytest.mark.parametrize("place", ["", "/studies/{study}"])
def test_the_other_levels(cluster, study, level, tag, place):
    path = place.format(study=study[0].study) + "/" + level
    query = "?limit=3" if place else "?limit=3&StudyInstanceUID=" + study[0].study
    answer, found = get(cluster, path + query), []
    found += uids(answer, tag)
    while following(answer):
        answer = requests.get(following(answer), timeout=60)
        found += uids(answer, tag)
    expected = {one.series if level == "series" else one.sop_instance for one in study}
    assert len(found) == len(expected) and set(found) == expected


def test_all_instances_of_the_archive(cluster, study):
    """Without a condition, in the order of the records."""
    answer, found = get(cluster, "/instances?limit=7"), []
    found += uids(answer, "00080018")
    while following(answer):
        answer = requests.get(following(answer), timeout=60)
        found += uids(answer, "00080018")
    assert len(found) == len(set(found)) and {one.sop_instance for one in study} <= set(found)


def test_limit_and_offset_as_ever(cluster, studies):
    path = "/studies?PatientID=PAGING-paging"
    everything = uids(get(cluster, path))
    assert uids(get(cluster, path + "&limit=2&offset=3")) == everything[3:5]
    assert following(get(cluster, path)) is None
    # From an offset on, the links go on where it left off.
    answer = get(cluster, path + "&limit=2&offset=3")
    assert "offset" not in following(answer)
    assert uids(requests.get(following(answer), timeout=60)) == everything[5:7]
    assert following(get(cluster, path + "&limit=0")) is None


def test_a_cursor_of_something_else_is_refused(cluster, studies):
    url = following(get(cluster, "/studies?PatientID=PAGING-paging&limit=2"))
    cursor = url.split("cursor=")[1]
    for path in (
        "/studies?PatientID=PAGING-other&limit=2", "/studies?limit=2", "/series?PatientID=PAGING-paging",
        "/studies?PatientID=PAGING-paging&offset=1", "/studies?PatientID=PAGING-paging&cursor=" + cursor,
    ):  # fmt: skip
        answer = get(cluster, path + "&cursor=" + cursor)
        assert answer.status_code == 400 and "cursor" in answer.json()["message"], path
    for broken in (cursor[:-1], cursor[1:], "x", "", cursor + "~n", "0" * 16 + ".1~2", "%00", "'; DROP TABLE studies"):
        answer = get(cluster, "/studies?PatientID=PAGING-paging&cursor=" + broken)
        assert answer.status_code == 400 and answer.json()["message"], broken
    assert get(cluster, "/studies?PatientID=PAGING-paging&cursor=" + cursor).status_code == 200


def test_links_behind_a_proxy(cluster, studies):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example.org", "X-Forwarded-Prefix": "/archive"}
    answer = requests.get(cluster.dicomweb + "/studies?limit=1", headers=headers, timeout=60)
    assert answer.links["next"]["url"].startswith("https://pacs.example.org/archive/dicom-web/studies?limit=1&cursor=")
