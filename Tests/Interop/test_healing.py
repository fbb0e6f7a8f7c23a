# SPDX-License-Identifier: Apache-2.0
"""Bits flip on one node's disk; scrubbing finds them, and the coordinator has good copies fetched."""

import glob
import os
import re
import time

import pytest
from conftest import send_all
from support import wado
from support.cluster import Cluster
from support.phantom import instance

# Less than any record here has, so that every one is hit.
BLOCK = 16 << 10
HEALED = re.compile(r" heal.* fetched=(\d+)")


@pytest.fixture
def scrubbing_cluster():
    """Every byte is checked within seconds; nothing but scrubbing looks at what no client reads."""
    cluster = Cluster(options=["--scrub-seconds", "3", "--loss-settling-seconds", "6"])
    cluster.start()
    yield cluster
    cluster.stop()


def flip_all(directory):
    """Flips one bit in each block that was written of each segment; returns how many."""
    count = 0
    for path in glob.glob(os.path.join(directory, "segments", "*.seg")):
        with open(path, "r+b") as file:
            for block in range(0, os.fstat(file.fileno()).st_size, BLOCK):
                data = os.pread(file.fileno(), BLOCK, block)
                used = len(data.rstrip(b"\0"))
                # The header of the segment is not a record's; a node that can't read it does not use the segment.
                place = max(4096 if block == 0 else 0, used // 2)
                if used > place:
                    os.pwrite(file.fileno(), bytes([data[place] ^ 0x10]), block + place)
                    count += 1
            os.fsync(file.fileno())
    return count


def fetched(cluster, node):
    count = 0
    for path in glob.glob(os.path.join(cluster.data, "log", "coordinator-*.log")):
        with open(path) as file:
            lines = [line for line in file if "node=%s" % node in line]
        count += sum(int(found.group(1)) for found in map(HEALED.search, lines) if found)
    return count


def copies(cluster, study):
    return [copy for entry in cluster.study(study, verify=True)["instances"] for copy in entry["copies"]]


def test_a_bit_in_every_block_of_a_node_is_found_and_healed(scrubbing_cluster):
    cluster = scrubbing_cluster
    instances = [instance("healing", index, study=index // 3) for index in range(40)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    studies = sorted({one.study for one in instances})
    held = sum(copy["node"] == "storage-2" for study in studies for copy in copies(cluster, study))
    assert held, "nothing is on storage-2"
    assert flip_all(os.path.join(cluster.data, "storage-2")) >= held

    # No read by a client, until scrubbing has found every record of the node.
    deadline = time.monotonic() + 120
    while fetched(cluster, "storage-2") < held:
        assert time.monotonic() < deadline, "%d of %d fetched" % (fetched(cluster, "storage-2"), held)
        time.sleep(0.2)
    while not all(copy["state"] == "good" for study in studies for copy in copies(cluster, study)):
        assert time.monotonic() < deadline, [copies(cluster, study) for study in studies]
        time.sleep(0.2)
    for one in instances:
        _, data = wado.data_set(cluster, one.study, one.series, one.sop_instance)
        assert data == one.data_set


def test_what_an_index_and_a_header_have_lost_is_fetched_by_the_catalog(scrubbing_cluster):
    """The node itself cannot tell what it misses."""
    cluster = scrubbing_cluster
    instances = [instance("healing-nameless", index) for index in range(10)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    study = instances[0].study
    node = next(copy["node"] for copy in copies(cluster, study))
    held = sum(copy["node"] == node for copy in copies(cluster, study))
    directory = os.path.join(cluster.data, node)
    # Stopped in a moment in which it leaves no footer, its index is removed, and the first record's header is hurt.
    os.kill(cluster.process.pid, 19)
    try:
        cluster.wait_gone(cluster.kill(node))
        for path in glob.glob(os.path.join(directory, "index", "*")):
            os.remove(path)
        with open(sorted(glob.glob(os.path.join(directory, "segments", "*.seg")))[0], "r+b") as file:
            byte = os.pread(file.fileno(), 1, 4096 + 20)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), 4096 + 20)
    finally:
        os.kill(cluster.process.pid, 18)
    deadline = time.monotonic() + 120
    while True:
        found = copies(cluster, study)
        if sum(copy["node"] == node and copy["state"] == "good" for copy in found) == held:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    # The record is there before the comparison is over.
    while True:
        with open(glob.glob(os.path.join(cluster.data, "log", "coordinator-*.log"))[0]) as file:
            log = file.read()
        if "with the catalog and all nodes" in log:
            break
        assert time.monotonic() < deadline, log
        time.sleep(0.2)
