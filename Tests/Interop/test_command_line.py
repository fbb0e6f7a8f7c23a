# SPDX-License-Identifier: Apache-2.0
"""The `varve` command as operators and scripts use it."""

import json
import os
import shutil
import socket
import subprocess

import pytest
from support.cluster import Cluster, ClusterError, binary
from support.phantom import instance


def run(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "command", ["", "up", "ingest", "storage", "coordinator", "status", "store", "echo", "find", "move", "get", "study list", "study show"]
    + ["certificate", "certificate ca", "certificate issue", "certificate show"],
)
def test_help_has_an_example(command):
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert "USAGE: varve" in done.stdout
    assert "varve " + command in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--no-such-option"], ["study", "show"], ["store"]])
def test_wrong_usage_is_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.strip()
    assert not done.stdout.strip()


def test_no_server_is_1_and_says_what_to_do():
    done = run("status", "--server", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("port", ["port", "http"])
def test_a_port_that_is_taken_is_said_at_once(port):
    """An ingest node without one of its servers ends, and `up` with it, instead of waiting for what cannot be."""
    frail = Cluster(options=["--no-restart", "--ready-timeout", "100"])
    try:
        with socket.socket() as other:
            other.bind(("127.0.0.1", getattr(frail, port)))
            other.listen()
            with pytest.raises(ClusterError, match="varve up ended with status 1") as error:
                frail.start()
        assert "ingest-1 ended before it served" in str(error.value)
        with open(os.path.join(frail.data, "log", "ingest-1.log")) as log:
            assert "address already in use" in log.read().lower()
    finally:
        frail.stop()
        shutil.rmtree(frail.directory)


def test_status(cluster, study):
    found = json.loads(cluster.run("status", "--json").stdout)
    assert [node["name"] for node in found["nodes"]] == ["storage-1", "storage-2", "storage-3"]
    assert all(node["acceptsWrites"] for node in found["nodes"])
    assert found["instances"] >= 8 and found["copies"] == 2
    text = cluster.run("status")
    assert text.returncode == 0 and "storage-2" in text.stdout


def test_study_list_and_show(cluster, study):
    listed = json.loads(cluster.run("study", "list", "--json").stdout)
    (entry,) = [row for row in listed if row["studyInstanceUID"] == study[0].study]
    assert (entry["series"], entry["instances"], entry["modalities"]) == (2, 8, ["CT"])
    assert entry["receivedBytes"] == sum(len(one.data_set) for one in study)
    assert entry["storedBytes"] < entry["receivedBytes"] * 0.7
    assert study[0].study in cluster.run("study", "list").stdout
    shown = cluster.run("study", "show", study[0].study, "--verify")
    assert shown.returncode == 0, shown.stderr
    assert study[0].sop_instance in shown.stdout
    detail = cluster.study(study[0].study)
    assert detail["wantedCopies"] == 2 and len(detail["instances"]) == 8


def test_study_that_is_not_there_is_1(cluster):
    done = cluster.run("study", "show", "1.2.3.4.5.6")
    assert done.returncode == 1
    assert "1.2.3.4.5.6" in done.stderr


def test_store_a_folder(cluster, tmp_path):
    instances = [instance("cli-store", index) for index in range(5)]
    folder = tmp_path / "deep" / "er"
    os.makedirs(folder)
    for number, one in enumerate(instances):
        (folder / ("%d.dcm" % number)).write_bytes(one.file_bytes())
    (tmp_path / "notes.txt").write_text("not DICOM")
    done = cluster.run("store", "--port", str(cluster.port), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(cluster.study(instances[0].study)["instances"]) == 5


def test_store_says_what_failed(cluster, tmp_path):
    bad = instance("cli-bad", 0, values={0x0020000D: b""})
    (tmp_path / "bad.dcm").write_bytes(bad.file_bytes())
    done = cluster.run("store", "--port", str(cluster.port), str(tmp_path))
    assert done.returncode == 1
    assert "bad.dcm" in done.stderr + done.stdout
