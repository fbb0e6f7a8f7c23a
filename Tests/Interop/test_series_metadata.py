# SPDX-License-Identifier: Apache-2.0
"""The metadata of a whole series, kept on the ingest node: the same answer from the file as from the nodes."""

import glob
import json
import os
import signal

import pytest
from conftest import send_all
from support.cluster import Cluster
from support.phantom import instance
from test_outage import wait_until

COUNT = 20


@pytest.fixture
def restarted():
    """A cluster with one series, whose ingest node has been killed since: it takes every series for complete."""
    cluster = Cluster().start()
    try:
        made = [instance("series-metadata", index) for index in range(COUNT)]
        assert set(send_all(cluster.port, made).values()) == {0}
        cluster.wait_gone(cluster.kill("ingest-1"))
        cluster.wait_ready()
        yield cluster, "/dicom-web/studies/%s/series/%s/metadata" % (made[0].study, made[0].series)
    finally:
        cluster.stop()


def kept(cluster):
    return glob.glob(os.path.join(cluster.data, "ingest-1", "metadata", "*.json"))


def one_kept(cluster):
    """The one file; it is written once the answer is out."""
    wait_until("kept metadata", lambda: kept(cluster))
    (file,) = kept(cluster)
    return file


def test_one_read_that_needs_no_storage_node(restarted):
    cluster, path = restarted
    status, first, headers = cluster.get(path)
    assert status == 200 and len(json.loads(first)) == COUNT
    file = one_kept(cluster)
    assert os.stat(os.path.dirname(file)).st_mode & 0o077 == 0

    # A flipped bit is found, and what was kept is made again.
    with open(file, "r+b") as damaged:
        damaged.seek(-10, os.SEEK_END)
        byte = damaged.read(1)[0]
        damaged.seek(-1, os.SEEK_CUR)
        damaged.write(bytes([byte ^ 1]))
    assert cluster.get(path)[:2] == (200, first)
    one_kept(cluster)
    assert cluster.get(path)[:2] == (200, first)

    nodes = [cluster.pid(name) for name in cluster.names() if name.startswith("storage")]
    for pid in nodes:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert cluster.get(path, timeout=20)[:2] == (200, first)
    finally:
        for pid in nodes:
            os.kill(pid, signal.SIGCONT)


def test_a_series_that_grows_is_shown_as_it_is(restarted):
    cluster, path = restarted
    assert len(json.loads(cluster.get(path)[1])) == COUNT
    file = one_kept(cluster)
    more = [instance("series-metadata", COUNT + index) for index in range(2)]
    assert set(send_all(cluster.port, more).values()) == {0}
    assert len(json.loads(cluster.get(path)[1])) == COUNT + 2
    # It is growing, so that is not kept.
    assert kept(cluster) == [file]
