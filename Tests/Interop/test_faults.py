# SPDX-License-Identifier: Apache-2.0
"""Nodes that die, bits that rot, clusters that start again."""

import glob
import os
import shutil
import signal

import pytest
from conftest import send_all
from support import wado
from support.cluster import Cluster
from support.phantom import instance
from support.sender import Association


def assert_reads_back(cluster, instances):
    for one in instances:
        _, data = wado.data_set(cluster, one.study, one.series, one.sop_instance)
        assert data == one.data_set, one.sop_instance


def copies_of(cluster, study, **options):
    """{SOP instance: {node: state}}."""
    return {
        entry["sopInstanceUID"]: {copy["node"]: copy["state"] for copy in entry["copies"]}
        for entry in cluster.study(study, **options)["instances"]
    }


def spread(label, studies=12):
    """One instance each in many studies, so that every pair of nodes holds some."""
    return [instance(label, 0, study=number) for number in range(studies)]


def test_two_good_copies_on_distinct_nodes(cluster, study):
    found = copies_of(cluster, study[0].study)
    assert len(found) == 8
    for copies in found.values():
        assert sorted(copies.values()) == ["good", "good"]


def test_one_storage_node_dead(frail_cluster):
    """Reads go to the other copy, stores to the nodes that are left, with two copies each."""
    before = spread("before-death")
    assert set(send_all(frail_cluster.port, before).values()) == {0}
    frail_cluster.wait_gone(frail_cluster.kill("storage-1"))
    assert_reads_back(frail_cluster, before)
    after = spread("after-death")
    assert set(send_all(frail_cluster.port, after).values()) == {0}
    assert_reads_back(frail_cluster, after)
    states = set()
    for one in after:
        copies = copies_of(frail_cluster, one.study)[one.sop_instance]
        assert sorted(copies.values()) == ["good", "good"]
        assert "storage-1" not in copies
    for one in before:
        copies = copies_of(frail_cluster, one.study)[one.sop_instance]
        assert "good" in copies.values()
        states |= {state for node, state in copies.items() if node == "storage-1"}
    assert states == {"unreachable"}, "some studies must have a copy on the dead node, and it must say so"


def test_node_dies_during_an_association(frail_cluster):
    instances = [instance("mid-association", index, study=index % 6) for index in range(40)]
    statuses = []
    with Association(frail_cluster.port, [(instances[0].sop_class, instances[0].syntax)]) as association:
        for index, one in enumerate(instances):
            if index == 15:
                frail_cluster.kill("storage-2")
            statuses.append(association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set))
    assert statuses == [0] * 40
    assert_reads_back(frail_cluster, instances)


def test_too_few_nodes_is_refused_and_nothing_is_catalogued(frail_cluster):
    for name in ("storage-1", "storage-2"):
        frail_cluster.wait_gone(frail_cluster.kill(name))
    one = instance("too-few", 0)
    (status,) = send_all(frail_cluster.port, [one]).values()
    assert status == 0xA700
    assert frail_cluster.get("/dicom-web/studies?StudyInstanceUID=" + one.study)[1] in (b"[]", b"")
    assert frail_cluster.get("/api/v1/studies/" + one.study)[0] == 404


def _segments(cluster, node):
    found = []
    for folder, _, names in os.walk(cluster.data):
        if node in os.path.relpath(folder, cluster.data).split(os.sep):
            found += [os.path.join(folder, name) for name in names]
    return found


def _flip(path, needle):
    """Flips a bit some way behind each place where `needle` stands in the file. Returns how many."""
    with open(path, "r+b") as file:
        contents = file.read()
        at, count = contents.find(needle), 0
        while at >= 0:
            # Behind the last mention of the UID is the rest of the record: the compressed image.
            target = at + len(needle) + 3000
            if target < len(contents):
                file.seek(target)
                file.write(bytes([contents[target] ^ 0x10]))
                count += 1
            at = contents.find(needle, at + 1)
    return count


def test_bit_rot_is_caught_and_the_other_copy_serves(frail_cluster):
    instances = spread("rot", 6)
    assert set(send_all(frail_cluster.port, instances).values()) == {0}
    # Nobody heals meanwhile what is to be seen.
    os.kill(frail_cluster.pid("coordinator-1"), signal.SIGSTOP)
    damaged = 0
    for one in instances:
        node = sorted(copies_of(frail_cluster, one.study)[one.sop_instance])[0]
        for path in _segments(frail_cluster, node):
            if os.path.basename(path).endswith(".mdb"):
                continue
            damaged += _flip(path, one.sop_instance.encode()) > 0
    assert damaged >= len(instances)
    for _ in range(3):  # whichever copy a read prefers
        assert_reads_back(frail_cluster, instances)
    for one in instances:
        copies = copies_of(frail_cluster, one.study, verify=True)[one.sop_instance]
        assert sorted(copies.values()) == ["damaged", "good"], copies
    os.kill(frail_cluster.pid("coordinator-1"), signal.SIGCONT)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_start_again_on_the_same_data(how):
    cluster = Cluster()
    try:
        cluster.start()
        instances = spread("restart", 6)
        assert set(send_all(cluster.port, instances).values()) == {0}
        if how == "stop":
            assert cluster.stop() == 0
            assert cluster.names() == [] or all(cluster.pid(name) is None for name in cluster.names())
        else:
            # The supervisor first, so that it starts nothing again; then all of its processes.
            pids = [pid for pid in map(cluster.pid, cluster.names()) if pid]
            cluster.process.kill()
            cluster.process.wait(10)
            for name in cluster.names():
                cluster.kill(name)
            for pid in pids:
                cluster.wait_gone(pid)
            cluster.process = None
        cluster.start()
        assert_reads_back(cluster, instances)
        cluster.wait_ready()
        for one in instances:
            copies = copies_of(cluster, one.study)[one.sop_instance]
            assert sorted(copies.values()) == ["good", "good"]
        more = [instance("restart-more", index) for index in range(3)]
        assert set(send_all(cluster.port, instances + more).values()) == {0}
        assert_reads_back(cluster, more)
    finally:
        cluster.stop()
        shutil.rmtree(cluster.directory, ignore_errors=True)


def test_dead_processes_are_started_again(cluster, study):
    for name in ("storage-3", "ingest-1", "coordinator-1"):
        pid = cluster.kill(name)
        assert pid
        cluster.wait_gone(pid)
        cluster.wait_ready()
    assert_reads_back(cluster, study)


def test_stored_instances_are_part10_files_in_the_segments(cluster, study):
    """The data outlives the program: each record's payload is a Part 10 stream as it stands."""
    found = b""
    for node in copies_of(cluster, study[0].study)[study[0].sop_instance]:
        for path in _segments(cluster, node):
            with open(path, "rb") as file:
                contents = file.read()
            if study[0].sop_instance.encode() in contents:
                found = contents
    at = found.find(b"DICM\2\0")
    assert at >= 128 and found[at - 128 : at] == b"\0" * 128


def test_no_patient_data_in_logs(cluster, study):
    names = (b"Phantom^Quickstart", b"shared-0")
    for path in glob.glob(os.path.join(cluster.data, "log", "*.log")) + [cluster.log]:
        with open(path, "rb") as file:
            contents = file.read()
        for name in names:
            assert name not in contents, path
