# SPDX-License-Identifier: Apache-2.0
"""Studies, series and instances as ZIP archives, judged by Info-ZIP and Python's zipfile."""

import io
import subprocess
import zipfile

import part10
import pytest
import requests


def get(cluster, path, accept="application/zip", **headers):
    return requests.get(cluster.dicomweb + "/" + path, headers={"Accept": accept, **headers}, timeout=60)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_archives_hold_what_was_sent(cluster, study, tmp_path, level):
    one = study[0]
    series = "studies/%s/series/%s" % (one.study, one.series)
    path, name, members = {
        "study": ("studies/" + one.study, one.study, study),
        "series": (series, one.series, [each for each in study if each.series == one.series]),
        "instance": (one.path, one.sop_instance, [one]),
    }[level]
    answer = get(cluster, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="%s.zip"' % name
    (tmp_path / "one.zip").write_bytes(answer.content)
    tested = subprocess.run(["unzip", "-t", str(tmp_path / "one.zip")], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0 and "No errors detected" in tested.stdout, tested.stdout
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(
            "%s/%s/%s.dcm" % (each.study, each.series, each.sop_instance) for each in members
        )
        for each in members:
            contents = archive.read("%s/%s/%s.dcm" % (each.study, each.series, each.sop_instance))
            assert part10.split(contents)[1] == each.data_set
    again = get(cluster, path, **{"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert get(cluster, path).content == answer.content


def test_the_accept_header_decides(cluster, study):
    path = "studies/" + study[0].study
    stored = get(cluster, path, "application/zip; transfer-syntax=*")
    with zipfile.ZipFile(io.BytesIO(stored.content)) as archive:
        for name in archive.namelist():
            assert part10.transfer_syntax(part10.split(archive.read(name))[0]) == "1.2.840.10008.1.2.4.80"
    for accept, expected in (
        ('application/zip;q=0.5, multipart/related; type="application/dicom"', "multipart/related"),
        ('application/zip, multipart/related; type="application/dicom"; q=0.5', "application/zip"),
        ("*/*", "multipart/related"),
        ("application/zip;q=0, */*", "multipart/related"),
        ("application/*", "application/zip"),
    ):
        assert get(cluster, path, accept).headers["Content-Type"].startswith(expected), accept
    assert get(cluster, path, "application/zip; transfer-syntax=1.2.840.10008.1.2.4.50").status_code == 406
    assert get(cluster, "studies/1.2.3.4.5").status_code == 404
    assert get(cluster, path + "/metadata").status_code == 406
