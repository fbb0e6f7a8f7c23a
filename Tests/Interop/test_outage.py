# SPDX-License-Identifier: Apache-2.0
"""Postgres away: images go in and come back, and are catalogued exactly once when it returns."""

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import time

from conftest import send_all
from support import wado
from support.phantom import instance
from support.query import find, statuses_of
from test_large import multi_frame


def metric(cluster, name):
    status, body, _ = cluster.get("/metrics")
    assert status == 200
    found = re.search(r"^%s (\S+)$" % name, body.decode(), re.MULTILINE)
    return float(found.group(1)) if found else None


def wait_until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited %d s for: %s" % (seconds, what)
        time.sleep(0.1)


def assert_reads_back(cluster, instances):
    for one in instances:
        _, data = wado.data_set(cluster, one.study, one.series, one.sop_instance)
        assert data == one.data_set, one.sop_instance


def catalogued(cluster, study):
    """{SOP instance: count of rows} by QIDO."""
    found = cluster.json("/dicom-web/studies/%s/instances" % study)
    uids = [row["00080018"]["Value"][0] for row in found]
    return {uid: uids.count(uid) for uid in uids}


def postgres_processes(cluster):
    postmaster = cluster.pid("postgres")
    children = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name) as file:
                if int(file.read().rpartition(")")[2].split()[1]) == postmaster:
                    children.append(int(name))
    return [postmaster] + children


@contextlib.contextmanager
def hanging_postgres(cluster):
    """Postgres takes connections and says nothing."""
    stopped = postgres_processes(cluster)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_stores_and_reads_go_on_without_postgres(frail_cluster):
    cluster = frail_cluster
    before = [instance("outage-before", index) for index in range(3)]
    assert set(send_all(cluster.port, before).values()) == {0}
    cluster.wait_gone(cluster.kill("postgres"))

    during = [instance("outage-during", index, study=index // 4, series=index // 2) for index in range(8)]
    large = multi_frame("outage-large", 160)
    assert len(large.data_set) > 16 << 20, "it must go through the spool"
    assert set(send_all(cluster.port, during + [large]).values()) == {0}
    assert metric(cluster, "varve_catalog_up") == 0
    assert metric(cluster, "varve_journal_entries") == 9

    # By UID, from the nodes alone: what came before and what came since; whole studies, metadata and frames too.
    assert_reads_back(cluster, before + during + [large])
    assert len(wado.retrieve(cluster, "studies/" + during[0].study)) == 4
    assert len(cluster.json("/dicom-web/studies/%s/series/%s/metadata" % (during[0].study, during[0].series))) == 2
    assert cluster.get("/dicom-web/" + large.path + "/frames/7")[0] == 200
    assert cluster.get("/dicom-web/studies/1.2.3.4")[0] == 404
    assert cluster.get("/dicom-web/studies")[0] == 503, "a search needs the catalog"
    assert statuses_of(find(cluster.port, "STUDY", StudyInstanceUID="")) == [0xA700]
    assert cluster.get("/readyz")[0] == 200

    # The same again is success; other content under a known UID is refused, also of what came before the outage.
    assert set(send_all(cluster.port, [during[0], before[0]]).values()) == {0}
    for known, study in ((before[1], 0), (during[1], 0)):
        label = "outage-before" if known in before else "outage-during"
        other = instance(label, 1, study=study, values={0x00080070: b"OTHER MAKER "})
        assert other.sop_instance == known.sop_instance and other.data_set != known.data_set
        assert list(send_all(cluster.port, [other]).values()) == [0x0111]

    # The journal is on disk: all processes end, and the catalog gets what it is owed, once.
    cluster.stop()
    cluster.start()
    wait_until("an empty journal", lambda: metric(cluster, "varve_journal_entries") == 0)
    assert metric(cluster, "varve_journal_refused") == 0
    for one in before + during + [large]:
        assert catalogued(cluster, one.study)[one.sop_instance] == 1
    assert len(catalogued(cluster, during[0].study)) == 4
    assert_reads_back(cluster, before + during + [large])
    study = cluster.json("/dicom-web/studies?StudyInstanceUID=" + during[0].study + "&includefield=all")
    assert study[0]["00100020"]["Value"] == ["outage-during-0"], "attributes come from the record"
    for entry in cluster.study(during[0].study)["instances"]:
        assert sorted(copy["state"] for copy in entry["copies"]) == ["good", "good"]


def test_ingest_node_starts_while_postgres_hangs(cluster):
    warm = instance("hang-warm", 0)
    assert set(send_all(cluster.port, [warm]).values()) == {0}
    instances = [instance("hang", index) for index in range(6)]
    with hanging_postgres(cluster):
        # The first waits for its deadline; from then on nobody does.
        assert set(send_all(cluster.port, instances[:3]).values()) == {0}
        assert_reads_back(cluster, instances[:3])
        cluster.wait_gone(cluster.kill("ingest-1"))
        wait_until("an ingest node with the map it kept", lambda: cluster.get("/readyz", timeout=2)[0] == 200)
        assert metric(cluster, "varve_journal_entries") == 3, "what was acknowledged before the kill"
        assert set(send_all(cluster.port, instances[3:]).values()) == {0}
        assert_reads_back(cluster, instances + [warm])
    wait_until("an empty journal", lambda: metric(cluster, "varve_journal_entries") == 0)
    assert catalogued(cluster, instances[0].study) == {one.sop_instance: 1 for one in instances}
    assert_reads_back(cluster, instances)


def psql(cluster, statement):
    with open(os.path.join(cluster.data, "config", "ingest-1.yaml")) as file:
        connection = re.search(r'^catalog: *"?([^"\n]+)"?$', file.read(), re.MULTILINE).group(1)
    done = subprocess.run(["psql", connection, "-v", "ON_ERROR_STOP=1", "-Atc", statement], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def check(cluster, *options):
    """(exit status, report) of `varve catalog check`."""
    done = cluster.run("catalog", "check", "--json", "--grace", "0", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_records_that_no_row_knows_are_adopted(frail_cluster):
    """The journal is lost with the ingest node: the records on the storage nodes say the same."""
    cluster = frail_cluster
    before = [instance("adopt-before", index) for index in range(2)]
    assert set(send_all(cluster.port, before).values()) == {0}
    cluster.wait_gone(cluster.kill("postgres"))
    lost = [instance("adopt", index, study=index % 3) for index in range(7)]
    large = multi_frame("adopt-large", 160)
    assert set(send_all(cluster.port, lost + [large]).values()) == {0}
    cluster.stop()
    journals = glob.glob(os.path.join(cluster.data, "**", "*.journal"), recursive=True)
    assert journals
    for path in journals:
        os.remove(path)
    cluster.start()
    assert cluster.get("/dicom-web/" + lost[0].path)[0] == 404, "the catalog does not know it"

    status, report = check(cluster)
    assert (status, report["rows"], report["adopted"]) == (1, 2, 0)
    assert {found["sopInstanceUID"] for found in report["findings"]} == {one.sop_instance for one in lost + [large]}
    assert {found["kind"] for found in report["findings"]} == {"orphan"}
    assert cluster.get("/dicom-web/studies?PatientID=adopt-0")[0] == 204, "a check enters nothing"

    status, report = check(cluster, "--adopt")
    assert (status, report["adopted"], report["findingCount"]) == (0, 8, 0)
    assert_reads_back(cluster, before + lost + [large])
    for one in lost + [large]:
        assert catalogued(cluster, one.study)[one.sop_instance] == 1
    # As if it had been entered when it came.
    rows = psql(cluster, "SELECT count(*), count(DISTINCT uid) FROM instances")
    assert rows == "10|10"
    assert cluster.json("/dicom-web/studies?PatientID=adopt-0")[0]["0020000D"]["Value"] == [lost[0].study]
    assert check(cluster)[0] == 0


def test_a_row_without_a_record_is_reported(frail_cluster):
    cluster = frail_cluster
    instances = [instance("no-record", index) for index in range(3)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    assert check(cluster)[0] == 0
    # Another record of the same placement group, which no node has.
    psql(
        cluster,
        "UPDATE instances SET record = overlay(record::text PLACING 'ffffffffffff' FROM 25)::uuid WHERE uid = '%s'"
        % instances[1].sop_instance,
    )
    status, report = check(cluster, "--adopt")
    assert status == 1 and report["adopted"] == 0
    found = {finding["kind"]: finding for finding in report["findings"]}
    assert set(found) == {"missing", "orphan"}
    assert found["missing"]["sopInstanceUID"] == instances[1].sop_instance
    assert found["missing"]["record"].endswith("ffffffffffff")
    assert "same instance" in found["orphan"]["reason"]
    # While a node is silent nothing is certain.
    cluster.wait_gone(cluster.kill("storage-3"))
    status, report = check(cluster)
    assert status == 1 and "storage-3" in report["silentNodes"]
    assert "missing" not in {finding["kind"] for finding in report["findings"]}
