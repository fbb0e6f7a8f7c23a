# SPDX-License-Identifier: Apache-2.0
"""`varve verify`: a sound archive is said to be so, and whatever is wrong is found and named."""

import json
import os
import time

import pytest
from conftest import send_all
from support.phantom import instance
from test_healing import flip_all
from test_outage import psql


def verify(cluster, *options):
    """(exit status, report)."""
    done = cluster.run("verify", "--json", "--grace", "0", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def kinds(report):
    return sorted({finding["kind"] for finding in report["findings"]})


def stored(cluster, label, count, studies=12):
    """As many studies as make it certain that each node has some of them: where they go depends on the nodes' ids."""
    instances = [instance(label, index, study=index % studies) for index in range(count)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    return instances


def test_a_sound_archive_is_proven(frail_cluster):
    instances = stored(frail_cluster, "verify-sound", 20)
    status, report = verify(frail_cluster)
    assert (status, report["findings"], report["silentNodes"]) == (0, [], [])
    assert report["instances"] == len(instances) and report["goodCopies"] >= 2 * len(instances)
    assert report["readBytes"] == 0
    status, report = verify(frail_cluster, "--all", "--deep")
    assert (status, report["findings"]) == (0, [])
    assert report["readBytes"] > 0
    done = frail_cluster.run("verify")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("sound: 20 instances")
    # The last groups only.
    assert verify(frail_cluster, "--from", "1023")[1]["instances"] < 20


def test_a_group_of_more_than_a_page_is_proven_whole(frail_cluster):
    instances = stored(frail_cluster, "verify-pages", 300, studies=1)
    status, report = verify(frail_cluster, "--deep")
    assert (status, report["instances"], report["findings"]) == (0, len(instances), [])


def test_damage_that_no_client_has_met_is_found_by_reading(frail_cluster):
    cluster = frail_cluster
    stored(cluster, "verify-damage", 12)
    # Nobody mends it meanwhile.
    cluster.wait_gone(cluster.kill("coordinator-1"))
    assert flip_all(os.path.join(cluster.data, "storage-2"))
    assert verify(cluster)[0] == 0, "a look does not find it"
    status, report = verify(cluster, "--deep")
    assert status == 1 and kinds(report) == ["damaged-copy"]
    assert {finding["node"] for finding in report["findings"]} == {"storage-2"}
    assert all(finding["sopInstanceUID"] and finding["reason"] for finding in report["findings"])
    done = cluster.run("verify", "--deep")
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith("NOT SOUND")
    assert "damaged-copy on storage-2" in done.stdout


def test_a_silent_node_is_no_proof(frail_cluster):
    cluster = frail_cluster
    stored(cluster, "verify-silent", 12)
    cluster.wait_gone(cluster.kill("storage-3"))
    deadline = time.monotonic() + 30
    while True:
        status, report = verify(cluster)
        assert status == 1
        if report["silentNodes"] == ["storage-3"]:
            break
        assert time.monotonic() < deadline, report
    assert kinds(report) == ["unreachable-copy"]
    assert {finding["node"] for finding in report["findings"]} == {"storage-3"}


def test_what_catalog_and_nodes_say_differently_is_named(frail_cluster):
    cluster = frail_cluster
    instances = stored(cluster, "verify-differs", 6)
    # A record of which the catalog knows nothing.
    psql(cluster, "DELETE FROM instances WHERE uid = '%s'" % instances[0].sop_instance)
    # Another record of the same placement group, which no node has.
    psql(
        cluster,
        "UPDATE instances SET record = overlay(record::text PLACING 'ffffffffffff' FROM 25)::uuid WHERE uid = '%s'"
        % instances[1].sop_instance,
    )
    status, report = verify(cluster)
    assert status == 1 and kinds(report) == ["missing-copy", "orphan"]
    missing = [finding for finding in report["findings"] if finding["kind"] == "missing-copy"]
    assert {finding["sopInstanceUID"] for finding in missing} == {instances[1].sop_instance}
    assert len({finding["node"] for finding in missing}) >= 2
    orphans = [finding for finding in report["findings"] if finding["kind"] == "orphan"]
    assert {finding["sopInstanceUID"] for finding in orphans} == {one.sop_instance for one in instances[:2]}
    # Records without a row that came a moment ago may be on their way.
    done = cluster.run("verify", "--json")
    report = json.loads(done.stdout)
    assert kinds(report) == ["missing-copy"] and report["young"] == 2


@pytest.mark.parametrize("arguments", [["--from", "1024"], ["--from", "-1"], ["now"]])
def test_wrong_usage_is_2(cluster, arguments):
    assert cluster.run("verify", *arguments).returncode == 2


@pytest.mark.parametrize("query", ["group=1024", "group=1&after=0", "group=1&after=ffffffff-0000-0000-0000-000000000000"])
def test_wrong_requests_are_refused(cluster, query):
    import urllib.error
    import urllib.request

    request = urllib.request.Request("%s/api/v1/verify?%s" % (cluster.url, query), method="POST")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)
    assert error.value.code == 400
