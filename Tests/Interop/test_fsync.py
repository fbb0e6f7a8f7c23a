# SPDX-License-Identifier: Apache-2.0
"""No acknowledgement without a sync: judged by the system calls of a storage node alone."""

import shutil
import signal
import struct
import subprocess

import numpy
import pytest
from conftest import send_all
from support import trace
from support.cluster import Cluster
from support.phantom import PIXEL_DATA, instance

# Noise of 12 bits, this many pixels a side, is more than 16 MiB when it is compressed.
SIDE = 3400


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The lines of a trace of one of two storage nodes, which both get every instance, and the count of those."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    path = tmp_path_factory.mktemp("trace") / "storage-1"
    # The judge reads records and acknowledgements where they pass the system calls: there must be no TLS.
    cluster = Cluster(storage_nodes=2)
    try:
        cluster.start()
        command = ["strace", "-f", "-yy", "-xx", "-s", str(trace.STRING_BYTE_COUNT), "-e", "trace=" + trace.CALLS]
        tracer = subprocess.Popen(
            command + ["-o", str(path), "-p", str(cluster.pid("storage-1"))],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = tracer.stderr.readline()
        if "attached" not in said:
            tracer.wait(10)
            pytest.skip("tracing is not permitted here: " + said.strip())
        side = struct.pack("<H", SIDE)
        noise = numpy.random.default_rng(1).integers(0, 1 << 12, SIDE * SIDE, numpy.uint16).astype("<u2")
        values = {0x00280010: side, 0x00280011: side, PIXEL_DATA: noise.tobytes()}
        large = instance("fsync-large", 0, values=values)
        small = [instance("fsync", index, study=index % 5) for index in range(25)]
        assert set(send_all(cluster.port, small[:10] + [large] + small[10:]).values()) == {0}
        copies = cluster.study(large.study)["instances"][0]
        assert copies["storedBytes"] > 16 << 20, "it must be a record in a segment of its own"
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        yield path.read_text().splitlines(), len(small) + 1
    finally:
        cluster.stop()
        shutil.rmtree(cluster.directory, ignore_errors=True)

def test_every_acknowledged_record_was_synced(traced):
    lines, count = traced
    acknowledged, problems = trace.judge(trace.calls(lines))
    assert problems == []
    assert len(acknowledged) == len({one.record for one in acknowledged}) == count
    assert len({one.path for one in acknowledged}) >= 2, "one segment for many records, one for the large one"


def test_a_sync_that_is_not_there_is_missed(traced):
    """The judge bites: without a sync it objects to what rested upon it, and to nothing else."""
    lines, _ = traced
    calls = list(trace.calls(lines))
    acknowledged, _ = trace.judge(calls)
    needed = {}
    for one in acknowledged:
        for ends in one.syncs:
            if len(ends) == 1:
                needed.setdefault(ends[0], set()).add(one.record.hex())
    # Each record's own at least: they were sent one after another.
    assert len(needed) >= len(acknowledged)
    assert {record for records in needed.values() for record in records} == {one.record.hex() for one in acknowledged}

    def assert_misses(number, changed):
        _, problems = trace.judge(changed)
        assert len(problems) == len(needed[number]), problems
        for record in needed[number]:
            assert any(record in problem and "not synced" in problem for problem in problems)

    chosen = sorted(needed)
    for number in chosen[:: len(chosen) // 6]:
        assert_misses(number, [call for call in calls if call.end != number])
    # The same from the text: a line that is not there, and one that says that it failed.
    number = chosen[len(chosen) // 2]
    line = lines[number]
    assert "sync" in line and line.endswith("= 0")
    failed = line[: -len("= 0")] + "= -1 EIO (Input/output error)"
    # An empty line in its place keeps the numbers of the others.
    for replacement in ("", failed):
        assert_misses(number, trace.calls(lines[:number] + [replacement] + lines[number + 1 :]))
