# SPDX-License-Identifier: Apache-2.0
"""What an ingest node reads from the files of storage nodes on its host is what they would have given, and goes on without them."""

import os
import re
import signal

import pytest
from conftest import send_all
from support.cluster import Cluster
from support.phantom import instance
from test_healing import flip_all
from test_outage import wait_until

COUNT = 12


@pytest.fixture
def cluster():
    started = Cluster().start()
    try:
        yield started
    finally:
        started.stop()


def local_reads(cluster):
    status, text, _ = cluster.get("/metrics")
    assert status == 200
    return float(re.search(rb"^varve_local_reads(?:{[^}]*})? (\S+)$", text, re.MULTILINE).group(1))


def path_of(one):
    return "/dicom-web/studies/%s/series/%s/instances/%s" % (one.study, one.series, one.sop_instance)


def bodies(cluster, made):
    """Each instance as it is stored; the boundary between parts is another each time."""
    found = []
    for one in made:
        status, body, headers = cluster.get(path_of(one), accept='multipart/related; type="application/dicom"; transfer-syntax=*')
        assert status == 200
        boundary = re.search(r'boundary="?([^";]+)', headers["Content-Type"]).group(1).encode()
        found.append(body.split(b"--" + boundary)[1].split(b"\r\n\r\n", 1)[1])
    return found


def from_files(cluster, made, expected):
    """Reads until all comes from files: the first reads ask where they are, and have them opened meanwhile."""

    def all_local():
        before = local_reads(cluster)
        assert bodies(cluster, made) == expected
        return local_reads(cluster) - before >= len(made)

    wait_until("reads from files", all_local)


def test_what_is_read_from_files_is_what_the_nodes_give(cluster):
    made = [instance("local-reads", index) for index in range(COUNT)]
    assert set(send_all(cluster.port, made).values()) == {0}
    expected = bodies(cluster, made)
    from_files(cluster, made, expected)

    # Nodes that hang keep nobody waiting, and nobody is asked.
    nodes = [cluster.pid(name) for name in cluster.names() if name.startswith("storage")]
    for pid in nodes:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert bodies(cluster, made) == expected
    finally:
        for pid in nodes:
            os.kill(pid, signal.SIGCONT)

    # What is deleted is gone at once, wherever its bytes are.
    assert cluster.run("study", "delete", made[0].study, "--reason", "a test").returncode == 0
    assert all(cluster.get(path_of(one))[0] == 404 for one in made if one.study == made[0].study)


def test_flipped_bits_are_found_and_another_copy_is_read(cluster):
    made = [instance("local-flips", index) for index in range(COUNT)]
    assert set(send_all(cluster.port, made).values()) == {0}
    expected = bodies(cluster, made)
    from_files(cluster, made, expected)
    # One of the nodes that have copies.
    assert any(flip_all(os.path.join(cluster.data, "storage-%d" % number)) for number in (1, 2, 3))
    assert bodies(cluster, made) == expected
