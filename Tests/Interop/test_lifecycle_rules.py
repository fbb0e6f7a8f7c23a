# SPDX-License-Identifier: Apache-2.0
"""Rules in a cluster: planned, loaded, refused, explained; holds and tags. Nothing is moved or deleted by any of it."""

import json

import pytest
import requests
from conftest import _run_cluster, send_all
from support.phantom import instance

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: /srv/varve/cold}}
policies:
  active: {copies: {hot: 2}}
  archive: {copies: {hot: 1, cold: 1}}
  expired: {expire: yes}
default: active
rules:
  - name: teaching
    match: {tag: teaching}
    policy: archive
  - name: old
    match: {study-age: over YEARS years}
    policy: expired
"""

# Study Date, of five studies.
DATES = ["20000101", "20050101", "20100101", "20240101", "20240102"]


def rules(years):
    return RULES.replace("YEARS", str(years))


@pytest.fixture(scope="module")
def archive():
    yield from _run_cluster(options=["--http-delete", "trash"])


@pytest.fixture(scope="module")
def studies(archive):
    made = []
    for number, date in enumerate(DATES):
        patient = b"LIFE-%d" % min(number, 3)
        values = {0x00080020: date.encode(), 0x00100020: patient}
        made += [instance("lifecycle", index, study=number, values=values) for index in range(2)]
    assert set(send_all(archive.port, made).values()) == {0}
    return [made[2 * number].study for number in range(len(DATES))]


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        return str(path)

    return write


def said(done, status=0):
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout)


def plan(archive, *arguments):
    return said(archive.run("lifecycle", "plan", "--json", *arguments))


def policies(report):
    return {share["name"]: share["amount"]["studies"] for share in report["policies"]}


def test_without_rules_it_says_so(archive):
    for command in (["show"], ["plan"], ["explain", "1.2.3"]):
        done = archive.run("lifecycle", *command)
        assert done.returncode == 1 and "varve lifecycle load" in done.stderr, done.stderr


def test_a_plan_counts_all_studies_and_changes_nothing(archive, studies, write):
    path = write(rules(15))
    report = plan(archive, path)
    assert report["all"] == {"studies": 5, "instances": 10, "bytes": report["all"]["bytes"]}
    assert report["all"]["bytes"] > 10 * 1000
    assert policies(report) == {"active": 2, "archive": 0, "expired": 3}
    assert report["expiring"]["studies"] == 3 and "against" not in report
    assert policies(plan(archive, path, "--on", "2021-01-01")) == {"active": 3, "archive": 0, "expired": 2}
    lines = archive.run("lifecycle", "plan", path, "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == studies
    assert [("expires" in line) for line in lines] == [True] * 3 + [False] * 2
    text = archive.run("lifecycle", "plan", path).stdout
    assert "expire           3 studies" in text and "(default)" in text
    assert archive.run("lifecycle", "show").returncode == 1


def test_a_faulty_file_is_refused_with_its_places(archive, write):
    path = write(rules(15).replace("copies: {hot: 2}", "copies: {hott: 2}"))
    for command in (["plan", path], ["load", path, "--reason", "r"]):
        done = archive.run("lifecycle", *command)
        assert done.returncode == 1 and "rules.yaml:6:" in done.stderr, done.stderr
    answer = requests.post(archive.url + "/api/v1/lifecycle/plan", json={"text": "version: 2"}, timeout=60)
    assert answer.status_code == 422 and "\n1:10: the version is" in answer.text, answer.text


def test_rules_that_let_much_expire_need_the_number(archive, studies, write):
    path = write(rules(15))
    load = ["lifecycle", "load", path, "--reason", "the board"]
    for options, reason in [
        ([], "3 of 5 studies would expire, more than 1.0 percent"),
        (["--maximum-expire", "59"], "more than 59.0 percent"),
        (["--confirm-expire", "2"], "not 2"),
        (["--confirm-expire", "4"], "not 4"),
    ]:
        done = archive.run(*load, *options)
        assert done.returncode == 1 and reason in done.stderr, done.stderr
        assert archive.run("lifecycle", "show").returncode == 1
    report = said(archive.run(*load, "--confirm-expire", "3", "--json"))
    assert report["version"] == 1
    shown = said(archive.run("lifecycle", "show", "--json"))
    assert (shown["version"], shown["text"], shown["reason"]) == (1, rules(15), "the board")
    assert "ten" not in archive.run("lifecycle", "show").stdout
    # Nothing was done about it.
    assert len(archive.json("/api/v1/studies?limit=100")) == 5
    assert archive.json("/api/v1/trash") == []


def test_what_changes_is_said_beside_what_holds(archive, studies, write):
    report = plan(archive)
    assert (report["against"], report["changed"]["studies"]) == (1, 0)
    path = write(rules(20))
    report = plan(archive, path)
    assert report["changed"]["studies"] == 1
    assert report["changes"] == [{"from": "expired", "to": "active", "amount": report["changed"]}]
    assert (report["expiring"]["studies"], report["expiringBefore"]["studies"]) == (2, 3)
    report = said(archive.run("lifecycle", "load", path, "--reason", "less", "--maximum-expire", "40", "--json"))
    assert report["version"] == 2
    done = archive.run("lifecycle", "show", "--version", "1", "--text")
    assert done.stdout == rules(15)
    assert archive.run("lifecycle", "show", "--version", "3").returncode == 1


def test_a_study_is_explained(archive, studies):
    done = archive.run("lifecycle", "explain", studies[0])
    assert done.returncode == 0, done.stderr
    assert "by version 2" in done.stdout
    assert "rule teaching: does not match" in done.stdout and "rule old: matches: expired" in done.stdout
    report = said(archive.run("lifecycle", "explain", studies[4], "--json"))
    assert (report["policy"], report["expires"], report["isHeld"]) == ("active", False, False)
    assert report["nextDue"] == "2044-01-03"
    assert archive.run("lifecycle", "explain", "1.2.3").returncode == 1


def test_tags_decide(archive, studies):
    assert archive.run("study", "tag", studies[3], "teaching", "other").stdout.strip() == "other, teaching"
    report = said(archive.run("lifecycle", "explain", studies[3], "--json"))
    assert (report["policy"], report["rule"]) == ("archive", "teaching")
    assert archive.run("study", "tag", studies[3], "--remove", "teaching").stdout.strip() == "other"
    assert said(archive.run("lifecycle", "explain", studies[3], "--json"))["policy"] == "active"


def test_a_hold_keeps_a_study(archive, studies):
    done = archive.run("study", "hold", studies[0], "--name", "case 12", "--reason", "the court", "--json")
    hold = said(done)
    assert (hold["study"], hold["studies"], hold["name"]) == (studies[0], 1, "case 12")
    report = plan(archive)
    assert report["expiring"]["studies"] == 1
    assert (report["held"]["studies"], report["withheldByHold"]["studies"]) == (1, 1)
    assert "does not expire: it is under legal hold" in archive.run("lifecycle", "explain", studies[0]).stdout

    refused = archive.run("study", "delete", studies[0], "--reason", "r")
    assert refused.returncode == 1 and "case 12" in refused.stderr and "409" in refused.stderr
    answer = requests.delete(archive.dicomweb + "/studies/" + studies[0], timeout=60)
    assert answer.status_code == 409 and "case 12" in answer.json()["message"]
    assert len(archive.json("/api/v1/studies?limit=100")) == 5

    assert "case 12" in archive.run("study", "holds").stdout
    assert [row["number"] for row in archive.json("/api/v1/holds?study=" + studies[0])] == [hold["number"]]
    assert archive.run("study", "release", str(hold["number"]), "--reason", "closed").returncode == 0
    assert archive.run("study", "release", str(hold["number"]), "--reason", "again").returncode == 1
    assert archive.json("/api/v1/holds") == []
    kept = archive.json("/api/v1/holds?all=true")
    assert kept[0]["releaseReason"] == "closed" and kept[0]["reason"] == "the court"
    assert plan(archive)["expiring"]["studies"] == 2


@pytest.mark.parametrize(
    "options, held",
    [
        (["--patient", "LIFE-3"], [3, 4]),
        (["--query", "StudyDate=20050101-20101231"], [1, 2]),
        (["--query", "PatientID=LIFE-0"], [0]),
    ],
)
def test_holds_of_patients_and_queries(archive, studies, options, held):
    hold = said(archive.run("study", "hold", *options, "--name", "n", "--reason", "r", "--json"))
    assert hold["studies"] == len(held)
    for number, study in enumerate(studies):
        found = [row["number"] for row in archive.json("/api/v1/holds?study=" + study)]
        assert found == ([hold["number"]] if number in held else [])
    assert archive.run("study", "release", str(hold["number"]), "--reason", "r").returncode == 0


@pytest.mark.parametrize(
    "options, reason",
    [
        (["1.2.3"], "no such study"),
        (["--query", "PatientID=NOBODY"], "no such study"),
        (["--query", "limit=5"], "would hold every study"),
        (["--query", "StudyDate=2005"], "not one of QIDO-RS"),
    ],
)
def test_a_hold_of_nothing_is_refused(archive, studies, options, reason):
    done = archive.run("study", "hold", *options, "--name", "n", "--reason", "r")
    assert done.returncode == 1 and reason in done.stderr, done.stderr


def test_what_is_deleted_is_in_no_plan(archive, studies):
    assert archive.run("study", "delete", studies[1], "--reason", "r").returncode == 0
    report = plan(archive)
    assert (report["all"]["studies"], report["expiring"]["studies"]) == (4, 1)
