# SPDX-License-Identifier: Apache-2.0
"""`varve up --disks`: a cluster whose nodes are given a second disk, lose it, and have it again."""

import glob
import json
import os
import shutil

import pytest
from conftest import send_all
from support import wado
from support.cluster import Cluster
from support.phantom import instance


@pytest.fixture
def stopped_cluster():
    cluster = Cluster(storage_nodes=2)
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.directory, ignore_errors=True)


def restart(cluster, disks):
    cluster.stop()
    cluster.options = ["--disks", str(disks)]
    cluster.start()
    cluster.wait_ready()


def reasons(cluster):
    return {node["name"]: node.get("reason") or "" for node in json.loads(cluster.run("status", "--json").stdout)["nodes"]}


def expect_all(cluster, instances, states):
    shown = cluster.study(instances[0].study, verify=True)["instances"]
    assert {entry["sopInstanceUID"] for entry in shown} == {one.sop_instance for one in instances}
    assert {copy["state"] for entry in shown for copy in entry["copies"]} <= states
    for one in instances:
        assert wado.data_set(cluster, one.study, one.series, one.sop_instance)[1] == one.data_set


def test_nodes_are_given_a_disk_lose_it_and_have_it_again(stopped_cluster):
    cluster = stopped_cluster
    instances = [instance("disks", index) for index in range(60)]
    restart(cluster, 1)
    assert set(send_all(cluster.port, instances[:20]).values()) == {0}
    assert not glob.glob(cluster.data + "/storage-*-disk-*")

    restart(cluster, 2)
    assert set(send_all(cluster.port, instances[20:]).values()) == {0}
    expect_all(cluster, instances, {"good"})
    assert set(reasons(cluster).values()) == {""}
    second = cluster.data + "/storage-1-disk-2"
    assert all(glob.glob("%s%s/segments/*.seg" % (cluster.data, disk)) for disk in ("/storage-1", "/storage-1-disk-2"))

    cluster.stop()
    os.rename(second, second + "-away")
    restart(cluster, 2)
    assert os.listdir(second) == []  # as an empty mount point: never a new disk
    said = reasons(cluster)
    assert "disk %s is missing" % os.path.realpath(second) in said["storage-1"] and said["storage-2"] == ""
    # Those that were on it, until they are fetched from the other node.
    expect_all(cluster, instances, {"good", "unreachable"})

    cluster.stop()
    os.rmdir(second)
    os.rename(second + "-away", second)
    restart(cluster, 2)
    assert set(reasons(cluster).values()) == {""}
    expect_all(cluster, instances, {"good"})


def test_a_process_that_dies_often_is_back_as_soon_as_was_asked_for(stopped_cluster):
    cluster = stopped_cluster
    cluster.options = ["--restart-delay-limit", "0.2"]
    cluster.start()
    for _ in range(4):
        cluster.wait_ready()
        cluster.wait_gone(cluster.kill("storage-1"))
    cluster.wait_ready()
    ends = [line for line in cluster.said().splitlines() if "process ended" in line]
    assert len(ends) == 4 and all('restarts="after 0.2 seconds"' in line for line in ends)
