# SPDX-License-Identifier: Apache-2.0
"""Rules act: nothing before they are enabled; then studies go into packs and, marked first, to the trash."""

import json

import pytest
from conftest import send_all
from support import packs
from support.phantom import instance
from support.repair import settings
from test_outage import psql, wait_until

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
policies:
  active: {copies: {hot: 2}}
  archive: {copies: {hot: 2, cold: 1}, soak: 1 day}
  expired: {expire: yes, trash: 90 days}
default: active
rules:
  - {name: teaching, match: {tag: teaching}, policy: archive}
  - {name: old, description: ten years are over, match: {study-age: over YEARS years}, policy: expired}
"""
DATES = ["20000101", "20050101", "20100101", "20260101", "20260102"]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "cold"
    path.mkdir()
    done = packs.varve("init", str(path))
    assert done.returncode == 0, done.stderr
    return str(path)


@pytest.fixture
def make_cluster(new_cluster, store):
    def make(*options):
        place = "cold-stores=file://" + store
        return new_cluster(
            options=[*settings(), "--storage-setting", place, "--ingest-setting", place, "--restart-delay-limit", "0.2", *options]
        )

    return make


def filled(cluster, count=len(DATES)):
    """Studies of these dates, which came three days ago."""
    made = []
    for number in range(count):
        values = {0x00080020: DATES[number % len(DATES)].encode(), 0x00100020: b"ACTS-%d" % number}
        made += [instance("acts", index, study=number, values=values) for index in range(2)]
    assert set(send_all(cluster.port, made).values()) == {0}
    for table in ("instances", "studies"):
        psql(cluster, "UPDATE %s SET received_at = received_at - 3 * 86400000::int8" % table)
    psql(cluster, "INSERT INTO lifecycle_changes (study, patient) SELECT id, patient FROM studies")
    return [made[2 * number].study for number in range(count)]


def said(done, status=0):
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout) if status == 0 else done.stderr


def lifecycle(cluster, *arguments, status=0):
    return said(cluster.run("lifecycle", *arguments, "--json"), status)


def load(cluster, tmp_path, store, years=10, *options):
    path = tmp_path / "rules.yaml"
    path.write_text((RULES % store).replace("YEARS", str(years)))
    report = lifecycle(cluster, "load", str(path), "--reason", "a test", "--maximum-expire", "100", *options)
    wait_judged(cluster, report["version"])
    return report["version"]


def wait_judged(cluster, version):
    def judged():
        status = lifecycle(cluster, "status")
        return status["judgedVersion"] == version and status["changed"] == 0

    wait_until("all studies to be judged", judged, 60)


def pending(cluster):
    return {one["studyInstanceUID"]: one for one in lifecycle(cluster, "pending")}


def trash(cluster):
    return {one["studyInstanceUID"]: one for one in said(cluster.run("study", "trash", "--json"))}


def shown(cluster, uid):
    return cluster.json("/api/v1/studies/" + uid)


def test_rules_act_when_they_are_enabled_and_not_before(make_cluster, store, tmp_path):
    cluster = make_cluster()
    studies = filled(cluster)
    version = load(cluster, tmp_path, store)
    assert set(pending(cluster)) == set(studies[:3])
    assert all("expiresAt" not in one for one in pending(cluster).values())
    policy = shown(cluster, studies[0])["policy"]
    assert (policy["policy"], policy["rule"], policy["version"]) == ("expired", "old", version)
    text = cluster.run("lifecycle", "status").stdout
    assert "do not act: not enabled" in text and "policy       expired: 3 studies" in text
    assert "do not act: not enabled" in cluster.run("status").stdout

    # A mark goes with a hold, and with a tag that another rule knows.
    said(cluster.run("study", "hold", studies[1], "--name", "case 1", "--reason", "a test", "--json"))
    said(cluster.run("study", "tag", studies[3], "teaching", "--json"))
    wait_until("the hold to be seen", lambda: set(pending(cluster)) == {studies[0], studies[2]}, 30)
    wait_until("the tag to be seen", lambda: shown(cluster, studies[3])["policy"]["policy"] == "archive", 30)
    assert shown(cluster, studies[1])["policy"]["holds"] == ["case 1"]
    assert shown(cluster, studies[3])["moves"] == [] and trash(cluster) == {}

    assert "2 of 5 studies would expire" in lifecycle(cluster, "enable", "--reason", "a test", status=1)
    enabled = ("enable", "--reason", "a test", "--confirm-expire", "2")
    lifecycle(cluster, "pause", "--reason", "wait")
    status = lifecycle(cluster, *enabled, "--expire-after-seconds", "0")
    assert status["isPaused"] and not status["isActing"] and status["expireLimit"] == 2
    # Paused: nothing happens, also after coordinators have begun anew.
    cluster.wait_gone(cluster.kill("coordinator-1"))
    lifecycle(cluster, "run")
    wait_until("a round", lambda: lifecycle(cluster, "status").get("roundFinishedAt"), 60)
    assert trash(cluster) == {} and shown(cluster, studies[3])["moves"] == []

    assert lifecycle(cluster, "resume", "--reason", "go on")["isActing"]
    wait_until("two studies to expire", lambda: set(trash(cluster)) == {studies[0], studies[2]}, 60)
    deletion = trash(cluster)[studies[0]]["deletion"]
    assert deletion["requestedBy"] == "rule old of version %d" % version
    assert deletion["reason"] == "ten years are over; study-age: over 10 years"
    assert psql(cluster, "SELECT DISTINCT rule || ' ' || grace_days FROM deletions") == "old 90"
    wait_until("a move", lambda: shown(cluster, studies[3])["moves"], 60)
    wait_until("packs", lambda: [one["state"] for one in shown(cluster, studies[3])["packs"]] == ["counted"], 90)
    move = shown(cluster, studies[3])["moves"][0]
    assert move["requestedBy"] == "rule teaching of version %d" % version and move["reason"] == "policy archive"
    assert shown(cluster, studies[1])["study"]["instances"] == 2
    assert shown(cluster, studies[4])["policy"]["policy"] == "active"

    # What a person takes back stays, whatever the rules say.
    back = cluster.run("study", "undelete", studies[0])
    assert back.returncode == 0, back.stderr
    wait_until("it to be marked again", lambda: studies[0] in pending(cluster), 60)
    refused = "SELECT count(*) FROM lifecycle_decisions WHERE expires AND look_at > marked_at"
    wait_until("it to be refused", lambda: psql(cluster, refused) == "1", 60)
    assert shown(cluster, studies[0])["study"]["instances"] == 2


def test_more_than_may_expire_in_a_day_is_an_alarm(make_cluster, store, tmp_path):
    cluster = make_cluster()
    studies = filled(cluster)
    load(cluster, tmp_path, store)
    lifecycle(
        cluster, "enable", "--reason", "a test", "--maximum-expire", "60", "--expire-after-seconds", "0"
    )  # fmt: skip
    wait_until("three to expire", lambda: len(trash(cluster)) == 3, 60)
    # Others come of age by a rule that nobody has looked at: the limit of the day stands.
    more = [instance("acts-more", 0, study=number, values={0x00080020: b"19990101"}) for number in range(2)]
    assert set(send_all(cluster.port, more).values()) == {0}
    psql(cluster, "UPDATE instances SET received_at = received_at - 3 * 86400000::int8")
    wait_until("an alarm", lambda: "ALARM        rules let more than 3" in cluster.run("status").stdout, 60)
    assert len(trash(cluster)) == 3
    lifecycle(cluster, "enable", "--reason", "seen", "--confirm-expire", "2", "--expire-after-seconds", "0")
    wait_until("the others to expire", lambda: len(trash(cluster)) == 5, 60)
    assert "ALARM        rules" not in cluster.run("status").stdout
    assert set(studies[:3]) < set(trash(cluster))


def test_rounds_go_on_whoever_leads(make_cluster, store, tmp_path):
    cluster = make_cluster("--coordinators", "2")
    studies = filled(cluster, 40)
    for number in range(6):
        path = tmp_path / "rules.yaml"
        years = 10 if number % 2 == 0 else 20
        path.write_text((RULES % store).replace("YEARS", str(years)))
        version = lifecycle(cluster, "load", str(path), "--reason", "a test", "--maximum-expire", "100")["version"]
        cluster.kill("coordinator-%d" % (number % 2 + 1))
        wait_judged(cluster, version)
        expected = {uid for place, uid in enumerate(studies) if place % 5 < (3 if years == 10 else 2)}
        assert set(pending(cluster)) == expected
        assert psql(cluster, "SELECT count(*), count(DISTINCT version) FROM lifecycle_decisions") == "40|1"
    assert trash(cluster) == {}
