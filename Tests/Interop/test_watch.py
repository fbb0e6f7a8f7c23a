# SPDX-License-Identifier: Apache-2.0
"""Accepted instances are fetched again through the public interface, and one that does not come back is an alarm."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import time

import pytest
from conftest import send_all
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from support import cluster as clusters
from support import compare
from support.cluster import Cluster
from support.phantom import instance
from test_dimse_tools import BIG_ENDIAN, EXPLICIT, IMPLICIT
from test_healing import flip_all
from test_large import multi_frame
from test_outage import hanging_postgres, metric, psql, wait_until

AGES = (2, 5, 8)
EVERYTHING = {
    "watch-sample": 1,
    "watch-per-minute": 60,
    "watch-ages": ",".join(map(str, AGES)),
    "watch-patience-seconds": 3,
}


@contextlib.contextmanager
def watching(changed=None, options=()):
    settings = {**EVERYTHING, **(changed or {})}
    words = [word for key, value in settings.items() for word in ("--ingest-setting", "%s=%s" % (key, value))]
    one = Cluster(options=[*words, *options])
    try:
        yield one.start()
    finally:
        try:
            one.stop()
        finally:
            if not os.environ.get("VARVE_KEEP_TEST_DATA"):
                shutil.rmtree(one.directory, ignore_errors=True)


@pytest.fixture
def watched():
    with watching(options=["--no-restart"]) as cluster:
        yield cluster


def converted(one, syntax):
    """The same in another transfer syntax."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
    write_dataset(buffer, compare.read(one.syntax, one.data_set))
    return dataclasses.replace(one, syntax=syntax, data_set=buffer.getvalue())


def checks(cluster):
    """{(age, result): count}, of those that there were any of."""
    _, body, _ = cluster.get("/metrics")
    found = re.findall(
        r'^varve_watch_checks_total\{age="(\w+)",result="(\w+)"\} (\d+)$', body.decode(), re.MULTILINE
    )
    return {(age, result): int(count) for age, result, count in found if int(count)}


def bad_checks(cluster):
    return {key: count for key, count in checks(cluster).items() if key[1] != "same"}


def watch(cluster):
    return cluster.json("/api/v1/watch")


def alarm_lines(cluster):
    done = cluster.run("status")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("ALARM")]


def wait_looked_at(cluster, count, seconds=60):
    """Until so many samples have been entered, and all have had their last look."""
    wait_until("samples", lambda: entered(cluster) >= count, seconds)
    wait_until("the last looks", lambda: samples(cluster) == "0", seconds)


def entered(cluster):
    """Samples that the ingest node has entered since it started."""
    return metric(cluster, 'varve_watch_samples_total{outcome="entered"}')


def bad_looks(cluster):
    return sum(bad_checks(cluster).values())


def samples(cluster):
    return psql(cluster, "SELECT count(*) FROM watch_samples")


def test_what_was_accepted_comes_back_at_every_age(watched):
    """Compressed, compressed and implicit (compared by their pixel data), as received, and through the spool."""
    cluster = watched
    instances = [instance("watched", index, study=index // 3) for index in range(6)]
    instances += [converted(instance("watched-implicit", 0), IMPLICIT), converted(instance("watched-big", 0), BIG_ENDIAN)]
    instances += [multi_frame("watched-large", 160)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    wait_until("samples", lambda: samples(cluster) == str(len(instances)), 10)
    kinds = psql(cluster, "SELECT DISTINCT received_syntax, stored_syntax <> received_syntax FROM watch_samples ORDER BY 1")
    assert kinds.split() == [IMPLICIT + "|t", EXPLICIT + "|t", BIG_ENDIAN + "|f"]
    wait_looked_at(cluster, len(instances))
    # On a machine that was busy one look makes up for several.
    counts = checks(cluster)
    assert set(counts) == {(str(age), "same") for age in AGES} and counts[(str(AGES[0]), "same")] == len(instances)
    assert alarm_lines(cluster) == []
    wait_until("the gauges", lambda: metric(cluster, "varve_watch_samples") == 0, 20)
    assert metric(cluster, "varve_watch_alarms") == 0
    assert metric(cluster, "varve_watch_last_failure_timestamp_seconds") == 0
    done = cluster.run("watch")
    assert (done.returncode, done.stdout.splitlines()[0].split()[1]) == (0, "0"), done.stdout


def test_bytes_that_rot_on_all_disks_are_an_alarm(watched):
    cluster = watched
    instances = [instance("rotten", index) for index in range(2)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    wait_until("first looks", lambda: checks(cluster).get((str(AGES[0]), "same"), 0) >= 2)
    for number in (1, 2, 3):
        flip_all(os.path.join(cluster.data, "storage-%d" % number))
    began = time.time()
    wait_until("an alarm", lambda: watch(cluster)["alarmCount"] == 2, 60)
    report = watch(cluster)
    assert {alarm["studyInstanceUID"] for alarm in report["alarms"]} == {instances[0].study}
    assert {alarm["sopInstanceUID"] for alarm in report["alarms"]} == {one.sop_instance for one in instances}
    assert {alarm["result"] for alarm in report["alarms"]} <= {"unreadable", "unreachable"}, report
    # Only after it had lasted.
    assert all(alarm["attempts"] >= 2 for alarm in report["alarms"]), report
    (line,) = alarm_lines(cluster)
    assert instances[0].study in line and "and 1 more" in line and "varve watch" in line, line
    wait_until("the gauge", lambda: metric(cluster, "varve_watch_alarms") == 2, 20)
    assert metric(cluster, "varve_watch_last_failure_timestamp_seconds") >= began - 1
    done = cluster.run("watch")
    assert done.returncode == 1 and instances[1].sop_instance in done.stdout, done.stdout + done.stderr
    log = ingest_log(cluster)
    assert log.count("an accepted instance does not come back as it came") == 2
    assert "rotten-0" not in log, "no patient data in logs"

    # An operator who knows of it says so.
    assert cluster.run("watch", "acknowledge", "--study", "1.2.3").returncode == 1
    done = cluster.run("watch", "acknowledge", "--study", instances[0].study, "--reason", "flipped by hand")
    assert done.returncode == 0 and "2 alarms" in done.stdout, done.stdout + done.stderr
    assert alarm_lines(cluster) == [] and samples(cluster) == "0"
    assert "flipped by hand" not in ingest_log(cluster), "what an operator says may name a patient"
    kept = psql(cluster, "SELECT reason, samples, study_uid FROM watch_acknowledgements")
    assert kept == "flipped by hand|2|" + instances[0].study
    assert all(one.sop_instance not in ingest_log(cluster) for one in instances)


def ingest_log(cluster):
    with open(os.path.join(cluster.data, "log", "ingest-1.log")) as file:
        return file.read()


def test_an_alarm_ends_when_the_instance_comes_back(watched):
    """The nodes that have it are away, and return."""
    cluster = watched
    one = instance("away", 0)
    assert set(send_all(cluster.port, [one]).values()) == {0}
    pids = [cluster.pid("storage-%d" % number) for number in (1, 2, 3)]
    for pid in pids:
        os.kill(pid, 19)
    try:
        wait_until("an alarm", lambda: watch(cluster)["alarmCount"] == 1, 90)
        (line,) = alarm_lines(cluster)
        assert "cannot be fetched" in line and one.study in line
    finally:
        for pid in pids:
            os.kill(pid, 18)
    wait_until("no alarm", lambda: watch(cluster)["alarmCount"] == 0, 90)
    assert alarm_lines(cluster) == []
    assert "an accepted instance comes back again" in ingest_log(cluster)


def test_other_bytes_and_missing_rows_are_alarms(watched):
    """As faults of the archive's own would do it: the digest is another, and the row is gone."""
    cluster = watched
    instances = [instance("faulty", index) for index in range(3)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    wait_until("samples", lambda: samples(cluster) == "3")
    uids = [one.sop_instance for one in instances]
    psql(cluster, "UPDATE watch_samples SET content_digest = sha256('other') WHERE instance_uid = '%s'" % uids[0])
    psql(cluster, "DELETE FROM instances WHERE uid = '%s'" % uids[1])
    wait_until("two alarms", lambda: watch(cluster)["alarmCount"] == 2, 60)
    found = {alarm["sopInstanceUID"]: alarm for alarm in watch(cluster)["alarms"]}
    assert {uid: alarm["result"] for uid, alarm in found.items()} == {uids[0]: "different", uids[1]: "missing"}
    # Other bytes do not pass by themselves.
    assert found[uids[0]]["attempts"] >= 1 and found[uids[1]]["attempts"] >= 2, found
    wait_until("the third to have had its last look", lambda: samples(cluster) == "2")


def test_what_is_deleted_ends_without_an_alarm(watched):
    cluster = watched
    instances = [instance("deleted", index, study=index) for index in range(2)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    wait_until("samples", lambda: samples(cluster) == "2")
    done = cluster.run("study", "delete", instances[0].study, "--reason", "test")
    assert done.returncode == 0, done.stderr
    wait_looked_at(cluster, 2)
    assert bad_looks(cluster) == 1 and [key[1] for key in bad_checks(cluster)] == ["ended"]
    assert watch(cluster)["alarmCount"] == 0 and alarm_lines(cluster) == []
    assert "does not come back" not in ingest_log(cluster)


def test_samples_go_on_after_a_restart():
    with watching() as cluster:
        instances = [instance("restarted", index) for index in range(4)]
        assert set(send_all(cluster.port, instances).values()) == {0}
        wait_until("samples", lambda: samples(cluster) == "4")
        cluster.wait_gone(cluster.kill("ingest-1"))
        wait_until("the ingest node", lambda: cluster.get("/readyz", timeout=2)[0] == 200)
        wait_until("all looks", lambda: samples(cluster) == "0", 90)
        assert bad_checks(cluster) == {}
        assert sum(checks(cluster).values()) >= 4


def test_another_ingest_node_looks_before_the_one_that_accepted():
    with watching({"watch-ages": 15}, options=["--ingest-nodes", "2"]) as cluster:
        instances = [instance("both", index) for index in range(6)]
        assert set(send_all(cluster.port, instances).values()) == {0}
        wait_until("samples", lambda: samples(cluster) == "6")
        assert psql(cluster, "SELECT DISTINCT accepted_by FROM watch_samples") == "ingest-1"
        wait_until("all looks", lambda: samples(cluster) == "0", 60)
        assert checks(cluster) == {}, "the one that accepted them"
        _, body, _ = cluster.get("http://127.0.0.1:%d/metrics" % (cluster.http + 1))
        assert b'varve_watch_checks_total{age="15",result="same"} 6\n' in body


def test_stores_go_on_without_the_catalog_and_are_looked_at_later(watched):
    cluster = watched
    assert set(send_all(cluster.port, [instance("warm", 0)]).values()) == {0}
    during = [instance("without", index) for index in range(5)]
    with hanging_postgres(cluster):
        assert set(send_all(cluster.port, during).values()) == {0}
        assert metric(cluster, "varve_catalog_up") == 0
    wait_looked_at(cluster, 6, 120)
    assert bad_checks(cluster) == {} and entered(cluster) == 6
    assert psql(cluster, "SELECT count(*) FROM instances") == "6"


def test_a_flood_makes_no_flood_of_looks():
    with watching({"watch-per-minute": 3}) as cluster:
        instances = [instance("flood", index) for index in range(40)]
        assert set(send_all(cluster.port, instances).values()) == {0}
        wait_looked_at(cluster, 3)
        # The minute may have changed while they were sent.
        assert entered(cluster) in (3, 4, 5, 6)
        assert checks(cluster)[(str(AGES[0]), "same")] == entered(cluster)


def test_off_is_off():
    with watching({"watch-sample": 0}) as cluster:
        assert set(send_all(cluster.port, [instance("off", 0)]).values()) == {0}
        assert not watch(cluster)["isOn"]
        assert b"varve_watch" not in cluster.get("/metrics")[1]
        assert samples(cluster) == "0"


def test_it_fetches_from_the_servers_that_it_is_told():
    """At an address where nobody listens everything is unreachable."""
    (port,) = clusters.free_ports(1)
    with watching({"watch-servers": "http://127.0.0.1:%d" % port}) as cluster:
        one = instance("elsewhere", 0)
        assert set(send_all(cluster.port, [one]).values()) == {0}
        wait_until("an alarm", lambda: watch(cluster)["alarmCount"] == 1, 60)
        (alarm,) = watch(cluster)["alarms"]
        assert alarm["result"] == "unreachable" and str(port) in alarm["reason"], json.dumps(alarm)
