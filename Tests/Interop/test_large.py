# SPDX-License-Identifier: Apache-2.0
"""Instances larger than what the ingest node may keep in memory."""

import hashlib
import re
import struct
import subprocess

import part10
import pytest
from support import wado
from support.phantom import Instance, PIXEL_DATA, instance, uid

MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"
FRAME_BYTE_COUNT = 256 * 256 * 2
MEBIBYTE = 1 << 20


def multi_frame(label, frames):
    """A multi-frame instance of the phantom's slices, `frames` long; every frame is another."""
    base = instance(label, 0)
    slices = []
    for index in range(8):
        data = instance(label, index).data_set
        slices.append(next(data[value:end] for tag, _, _, value, end in part10.elements(data) if tag == PIXEL_DATA))
    pieces = []
    for tag, _, start, _, end in part10.elements(base.data_set):
        if tag == PIXEL_DATA:
            continue
        if tag == 0x00080016:
            pieces.append(part10.element(8, 0x16, "UI", MULTI_FRAME))
            continue
        if tag == 0x00280010:
            pieces.append(part10.element(0x28, 0x08, "IS", str(frames)))
        pieces.append(base.data_set[start:end])
    head = b"".join(pieces)
    head += struct.pack("<HH", 0x7FE0, 0x10) + b"OW\0\0" + struct.pack("<I", frames * FRAME_BYTE_COUNT)
    body = [head]
    for frame in range(frames):
        shift = (frame // 8 % 256) * 512
        pixels = slices[frame % 8]
        body.append(pixels[shift:] + pixels[:shift])
    return Instance(MULTI_FRAME, uid(label, "instance", 0, 0, 0), base.series, base.study, b"".join(body))


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024


@pytest.mark.parametrize("frames", [2, 100])
def test_multi_frame_comes_back_byte_for_byte(cluster, tmp_path, frames):
    one = multi_frame("multi-frame-%d" % frames, frames)
    (tmp_path / "one.dcm").write_bytes(one.file_bytes())
    done = cluster.run("store", "--port", str(cluster.port), str(tmp_path))
    assert done.returncode == 0, done.stderr
    syntax, stored = wado.data_set(cluster, one.study, one.series, one.sop_instance)
    assert syntax == part10.EXPLICIT_LITTLE_ENDIAN
    assert hashlib.sha256(stored).hexdigest() == one.digest
    detail = cluster.study(one.study)
    (entry,) = detail["instances"]
    assert [copy["state"] for copy in entry["copies"]] == ["good", "good"]


def test_memory_stays_bounded(frail_cluster, tmp_path):
    """Two instances of 150 MB at once: the ingest node grows by at most 64 MiB an association."""
    warm = multi_frame("memory-warm", 16)
    (tmp_path / "warm.dcm").write_bytes(warm.file_bytes())
    send = ["dcmsend", "-q", "-td", "300", "-aec", "VARVE", "127.0.0.1", str(frail_cluster.port)]
    assert subprocess.run(send + [str(tmp_path / "warm.dcm")], timeout=120).returncode == 0
    pid = frail_cluster.pid("ingest-1")
    before = peak_bytes(pid)
    instances = [multi_frame("memory-%d" % number, 1200) for number in range(2)]
    senders = []
    for number, one in enumerate(instances):
        path = tmp_path / ("%d.dcm" % number)
        path.write_bytes(one.file_bytes())
        senders.append(subprocess.Popen(send + [str(path)], stdin=subprocess.DEVNULL))
    assert [sender.wait(300) for sender in senders] == [0, 0]
    stored_growth = peak_bytes(pid) - before
    for one in instances:
        _, stored = wado.data_set(frail_cluster, one.study, one.series, one.sop_instance)
        assert hashlib.sha256(stored).hexdigest() == one.digest
    read_growth = peak_bytes(pid) - before
    print("ingest node: %d MiB at first, storing grew it by %d MiB, reading by %d MiB" % (
        before / MEBIBYTE, stored_growth / MEBIBYTE, read_growth / MEBIBYTE))  # fmt: skip
    assert stored_growth <= 2 * 64 * MEBIBYTE
    assert read_growth <= 4 * 64 * MEBIBYTE
