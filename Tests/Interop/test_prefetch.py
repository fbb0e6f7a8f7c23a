# SPDX-License-Identifier: Apache-2.0
"""A patient's earlier studies come back to the storage nodes when a new one arrives, as the rules say."""

import datetime

from conftest import send_all
from support.phantom import instance
from test_lifecycle_acts import lifecycle, make_cluster, store, wait_judged  # noqa: F401  # The fixtures.
from test_outage import psql, wait_until
from test_recall import DROPPING, copies, recalls, wait_back, wait_cold
from test_tiering import move

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {directory: %s}}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
prefetch:
  - name: same-kind
    match: {modality: CT}
    same: modality
    at-most: 1
"""


def study(label, number, date, patient):
    values = {0x00080020: date.strftime("%Y%m%d").encode(), 0x00100020: patient}
    return [instance(label, index, study=number, values=values) for index in range(3)]


def test_priors_come_back_with_a_new_study(make_cluster, store, tmp_path):  # noqa: F811
    cluster = make_cluster(*DROPPING)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    day = datetime.timedelta(days=1)
    older, newer = study("prior", 0, today - 900 * day, b"PRIORS"), study("prior", 1, today - 400 * day, b"PRIORS")
    other = study("prior", 2, today - 500 * day, b"ANOTHER")
    for made in (older, newer, other):
        assert set(send_all(cluster.port, made).values()) == {0}
    path = tmp_path / "rules.yaml"
    path.write_text(RULES % store)
    version = lifecycle(cluster, "load", str(path), "--reason", "a test")["version"]
    wait_judged(cluster, version)
    lifecycle(cluster, "enable", "--reason", "a test")
    for made in (older, newer, other):
        move(cluster, made[0].study)
    for made in (older, newer, other):
        wait_cold(cluster, made[0].study)

    # One that is sent late is not new: nothing is fetched for it.
    late = study("prior", 3, today - 30 * day, b"PRIORS")
    assert set(send_all(cluster.port, late).values()) == {0}
    wait_judged(cluster, version)
    assert recalls(cluster, newer[0].study) == []

    new = study("prior", 4, today, b"PRIORS")
    assert set(send_all(cluster.port, new).values()) == {0}
    wait_back(cluster, newer[0].study)
    report = recalls(cluster, newer[0].study)[0]
    assert report["urgency"] == "policy" and report["requestedBy"] == "prefetch same-kind of version %d" % version
    # The newest is all that was asked for; other patients' studies stay where they are.
    for made in (older, other):
        assert recalls(cluster, made[0].study) == [] and set(copies(cluster, made[0].study)) == {0}
    # Once: what goes again is not fetched by the instances that come yet.
    move(cluster, newer[0].study)
    wait_cold(cluster, newer[0].study)
    more = instance("prior", 3, study=4, values={0x00080020: today.strftime("%Y%m%d").encode(), 0x00100020: b"PRIORS"})
    assert set(send_all(cluster.port, [more]).values()) == {0}
    wait_judged(cluster, version)
    assert len(recalls(cluster, newer[0].study)) == 1
    assert psql(cluster, "SELECT count(*) FROM prefetched_studies") == "1"
    wait_until("rest", lambda: "no study is being recalled" in cluster.run("tier", "recalls").stdout, 60)
