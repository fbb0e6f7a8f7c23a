# SPDX-License-Identifier: Apache-2.0
"""STOW-RS beyond what dicomweb-client sends: parts larger than memory, warnings, deflated data sets."""

import http.client
import json
import random
import zlib

import part10
import pytest
from conftest import _run_cluster
from support import wado
from support.phantom import Instance, instance
from support.sender import store_one
from test_large import MEBIBYTE, multi_frame, peak_bytes

BOUNDARY = b"varve-test"
DEFLATED = "1.2.840.10008.1.2.1.99"
GIBIBYTE = 1 << 30


def post(cluster, parts, path="/dicom-web/studies", breaks_off=False, timeout=500):
    """Sends parts, each an iterable of bytes, in chunks; the status and the model. None when it breaks off."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.http, timeout=timeout)

    def body():
        for part in parts:
            yield b"\r\n--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"
            yield from part
        if not breaks_off:
            yield b"\r\n--" + BOUNDARY + b"--\r\n"

    connection.putrequest("POST", path)
    connection.putheader("Content-Type", 'multipart/related; type="application/dicom"; boundary=' + BOUNDARY.decode())
    connection.putheader("Accept", "application/dicom+json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for piece in body():
        for start in range(0, len(piece), MEBIBYTE):
            chunk = piece[start : start + MEBIBYTE]
            connection.send(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
    if breaks_off:
        connection.close()
        return None
    connection.send(b"0\r\n\r\n")
    response = connection.getresponse()
    answer = response.read()
    return response.status, json.loads(answer) if answer else {}


def reasons(model, sequence, tag):
    return [item.get(tag, {}).get("Value", [None])[0] for item in model.get(sequence, {}).get("Value", [])]


def deflated(one):
    """The instance with its data set deflated (PS3.5 section A.5), and no other."""
    squeezer = zlib.compressobj(wbits=-15)
    data = squeezer.compress(one.data_set) + squeezer.flush()
    data += b"\0" * (len(data) % 2)
    return Instance(one.sop_class, one.sop_instance, one.series, one.study, data, DEFLATED)


def test_large_and_small_parts_come_back_byte_for_byte(cluster):
    made = [multi_frame("stow-large", 200), instance("stow-small", 0), multi_frame("stow-larger", 300)]
    status, model = post(cluster, [[one.file_bytes()] for one in made])
    assert status == 200 and len(model["00081199"]["Value"]) == 3 and "00081198" not in model
    for one in made:
        assert wado.data_set(cluster, one.study, one.series, one.sop_instance)[1] == one.data_set


def test_large_part_of_another_study_is_refused(cluster):
    one = multi_frame("stow-elsewhere", 200)
    status, model = post(cluster, [[one.file_bytes()]], path="/dicom-web/studies/1.2.3")
    assert status == 409 and reasons(model, "00081198", "00081197") == [0xA900]
    assert reasons(model, "00081198", "00081155") == [one.sop_instance]


def test_large_rubbish_and_cut_instances_are_refused_and_what_follows_is_stored(cluster):
    good, cut = instance("stow-after", 0), multi_frame("stow-cut", 200)
    status, model = post(cluster, [[b"rubbish " * (3 * MEBIBYTE)], [cut.file_bytes()[:-1000]], [good.file_bytes()]])
    assert status == 202
    assert reasons(model, "00081198", "00081197") == [0xC000, 0xC000]
    assert reasons(model, "00081199", "00081155") == [good.sop_instance]


def test_a_body_that_breaks_off_stores_nothing_of_its_last_part(cluster):
    one = multi_frame("stow-broken", 200)
    post(cluster, [[one.file_bytes()[: 20 * MEBIBYTE]]], breaks_off=True)
    # The node goes on: the same instance whole is taken afterwards.
    status, model = post(cluster, [[one.file_bytes()]])
    assert status == 200 and reasons(model, "00081199", "00081155") == [one.sop_instance]


@pytest.mark.timeout(900)
def test_memory_stays_bounded(frail_cluster):
    """An instance of 1 GiB by STOW-RS: the ingest node grows by at most 128 MiB."""
    frame = multi_frame("stow-memory", 8)
    pixels = frame.data_set[-8 * 256 * 256 * 2 :]
    repeats = GIBIBYTE // len(pixels)
    file = frame.file_bytes()
    head = bytearray(file[: len(file) - len(pixels)])
    head[-4:] = GIBIBYTE.to_bytes(4, "little")
    # Number of Frames, in place of the eight of the file.
    count = head.index(b"\x28\x00\x08\x00IS\x02\x00")
    number = b"%d" % (repeats * 8)
    number += b" " * (len(number) % 2)
    head = bytes(head[: count + 6]) + len(number).to_bytes(2, "little") + number + bytes(head[count + 10 :])
    status, _ = post(frail_cluster, [[instance("stow-memory-warm", 0).file_bytes()]])
    assert status == 200
    pid = frail_cluster.pid("ingest-1")
    before = peak_bytes(pid)
    status, model = post(frail_cluster, [[head] + [pixels] * repeats])
    assert status == 200, model
    growth = peak_bytes(pid) - before
    print("ingest node: %d MiB at first, 1 GiB by STOW-RS grew it by %d MiB" % (before / MEBIBYTE, growth / MEBIBYTE))
    assert growth <= 128 * MEBIBYTE
    (entry,) = frail_cluster.study(frame.study)["instances"]
    assert [copy["state"] for copy in entry["copies"]] == ["good", "good"]


@pytest.mark.timeout(300)
def test_warnings_are_in_the_response():
    """PS3.18 table I.2-1: B007H, the data set does not match the constraints of its SOP Class; 202."""
    for cluster in _run_cluster(options=["--validation", "warn"]):
        faulty = instance("stow-faulty", 0, values={0x00080020: b"1 May 26"})
        good = instance("stow-good", 0)
        status, model = post(cluster, [[faulty.file_bytes()], [good.file_bytes()]])
        assert status == 202 and "00081198" not in model
        assert reasons(model, "00081199", "00081196") == [0xB007, None]
        assert model["00081199"]["Value"][0]["00081196"]["vr"] == "US"
        assert wado.data_set(cluster, faulty.study, faulty.series, faulty.sop_instance)[1] == faulty.data_set
        status, model = post(cluster, [[good.file_bytes()]])
        assert status == 200 and reasons(model, "00081199", "00081196") == [None]


def incompressible(label, frames):
    """A deflated instance of more than 16 MiB: its pixel data are noise."""
    one = multi_frame(label, frames)
    count = frames * 256 * 256 * 2
    return deflated(
        Instance(
            one.sop_class, one.sop_instance, one.series, one.study,
            one.data_set[:-count] + random.Random(label).randbytes(count),
        )
    )  # fmt: skip


def test_large_deflated_data_sets_are_stored_as_they_came(cluster):
    by_store, by_stow = incompressible("deflated-store", 160), incompressible("deflated-stow", 160)
    assert min(len(one.data_set) for one in (by_store, by_stow)) > 20 * MEBIBYTE
    assert store_one(cluster.port, by_store.sop_class, by_store.sop_instance, DEFLATED, by_store.data_set) == 0
    assert post(cluster, [[by_stow.file_bytes()]])[0] == 200
    for one in (by_store, by_stow):
        path = (one.study, one.series, one.sop_instance)
        assert wado.data_set(cluster, *path, accept=wado.AS_STORED) == (DEFLATED, one.data_set)
        # Converted for a client that wants Explicit VR Little Endian.
        inflated = zlib.decompressobj(wbits=-15).decompress(one.data_set)
        assert wado.data_set(cluster, *path) == (part10.EXPLICIT_LITTLE_ENDIAN, inflated)


def test_deflate_bombs_and_cut_streams_are_refused(frail_cluster):
    assert post(frail_cluster, [[instance("bomb-warm", 0).file_bytes()]])[0] == 200
    pid = frail_cluster.pid("ingest-1")
    before = peak_bytes(pid)
    squeezer = zlib.compressobj(wbits=-15)
    head = multi_frame("bomb", 8).data_set
    pieces = [squeezer.compress(head)]
    pieces += [squeezer.compress(bytes(MEBIBYTE)) for _ in range(2048)] + [squeezer.flush()]
    base = multi_frame("bomb", 8)
    small = Instance(base.sop_class, base.sop_instance, base.series, base.study, b"".join(pieces), DEFLATED)
    large = Instance(
        base.sop_class, base.sop_instance, base.series, base.study, incompressible("bomb", 160).data_set[: 18 * MEBIBYTE],
        DEFLATED,
    )  # fmt: skip
    for one in (small, large):
        status, model = post(frail_cluster, [[one.file_bytes()]])
        assert status == 409 and reasons(model, "00081198", "00081197") == [0xC000]
    growth = peak_bytes(pid) - before
    print("2 GiB in a deflate stream of %d MiB grew the ingest node by %d MiB" % (
        len(small.data_set) / MEBIBYTE, growth / MEBIBYTE))  # fmt: skip
    assert growth <= 128 * MEBIBYTE
