# SPDX-License-Identifier: Apache-2.0
"""Duplicates, conflicts and broken data sets: what the sender is told, and what stays stored."""

import struct

import pytest

import part10
from conftest import send_all
from support import wado
from support.phantom import PIXEL_DATA, instance
from support.sender import Association, store_one

DUPLICATE = 0x0111


def is_refusal(status):
    """A failure of the data set's making: A9xx (does not match) or Cxxx (cannot understand)."""
    return status is not None and (status & 0xF000 == 0xC000 or status & 0xFF00 == 0xA900 or status in (0x0106, 0x0117))


def send(cluster, one, data_set=None, **options):
    data = one.data_set if data_set is None else data_set
    return store_one(cluster.port, one.sop_class, one.sop_instance, one.syntax, data, **options)


def test_same_content_again_is_success_and_stored_once(cluster):
    one = instance("duplicate", 0)
    assert [send(cluster, one) for _ in range(3)] == [0, 0, 0]
    detail = cluster.study(one.study)
    assert [found["sopInstanceUID"] for found in detail["instances"]] == [one.sop_instance]
    assert len(detail["instances"][0]["copies"]) == 2


def test_same_content_from_four_senders_at_once(cluster):
    import threading

    one = instance("duplicate-race", 0)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(send(cluster, one))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [0] * 4
    assert cluster.study(one.study)["study"]["instances"] == 1


def test_other_content_is_refused_and_the_first_stays(cluster):
    first = instance("conflict", 0)
    assert send(cluster, first) == 0
    other = instance("conflict", 0, values={PIXEL_DATA: b"\1\0" * (256 * 256)})
    assert other.sop_instance == first.sop_instance
    assert send(cluster, other) == DUPLICATE
    _, stored = wado.data_set(cluster, first.study, first.series, first.sop_instance)
    assert stored == first.data_set


def test_same_uid_in_another_study_is_refused(cluster):
    first = instance("moved", 0)
    assert send(cluster, first) == 0
    other = instance("moved", 0, study=1, values={0x00080018: first.sop_instance.encode()})
    status = store_one(cluster.port, first.sop_class, first.sop_instance, first.syntax, other.data_set)
    assert status == DUPLICATE


@pytest.mark.parametrize("tag", [0x00080018, 0x0020000D, 0x0020000E], ids=["instance", "study", "series"])
def test_empty_uid_is_refused(cluster, tag):
    one = instance("empty-uid-%08x" % tag, 0, values={tag: b""})
    assert is_refusal(send(cluster, one))


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E], ids=["study", "series"])
def test_missing_uid_is_refused(cluster, tag):
    one = instance("missing-uid-%08x" % tag, 0)
    data = b"".join(one.data_set[start:end] for found, _, start, _, end in part10.elements(one.data_set) if found != tag)
    assert is_refusal(send(cluster, one, data))


def test_command_and_data_set_disagree(cluster):
    one = instance("disagree", 0)
    assert is_refusal(store_one(cluster.port, one.sop_class, one.sop_instance + "1", one.syntax, one.data_set))


def _nested_bomb(depth):
    return (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth


def _broken():
    good = instance("malformed", 0).data_set
    return {
        "nothing": None,
        "noise": bytes((index * 7919 + 13) & 0xFF for index in range(4096)),
        "zeros": b"\0" * 1024,
        "truncated-header": good[:100],
        "truncated-pixels": good[: len(good) // 2],
        "length-past-end": part10.element(8, 0x0008, "CS", "A") + struct.pack("<HH", 8, 0x16) + b"UI\xff\xff",
        "long-length-past-end": struct.pack("<HH", 8, 0x16) + b"UN\0\0\xff\xff\xff\x7f" + b"A" * 64,
        "unknown-vr": good[:60] + b"\x08\x00\x60\x00??\x02\x00CT",
        "nested-bomb": _nested_bomb(200_000),
    }


@pytest.mark.parametrize("name", _broken())
def test_malformed_data_set_is_refused_and_the_process_lives(cluster, name):
    one = instance("malformed", 0)
    pid = cluster.pid("ingest-1")
    with Association(cluster.port, [(one.sop_class, one.syntax)], timeout=60) as association:
        status = association.store(one.sop_class, one.sop_instance, one.syntax, _broken()[name])
        # An answer on the same association, which goes on afterwards.
        assert is_refusal(status), "status %s" % status
        after = instance("malformed-after-" + name, 0)
        assert association.store(after.sop_class, after.sop_instance, after.syntax, after.data_set) == 0
    assert cluster.pid("ingest-1") == pid
    status, _, _ = cluster.get("/dicom-web/studies/%s/metadata" % one.study)
    assert status == 404


def test_odd_and_dirty_data_sets_come_back_as_sent(cluster):
    """Private elements, group lengths, trailing padding and elements after Pixel Data are kept."""
    one = instance("dirty", 0)
    element = part10.element
    extra = {
        "private": (0x0009, element(9, 0x10, "LO", "VARVE TEST") + element(9, 0x1001, "UN", b"\1\2\3\4")),
        "after": (0xFFFC, element(0xFFFC, 0xFFFC, "OB", b"\0" * 64)),
    }
    instances = []
    for number, (name, (group, addition)) in enumerate(extra.items()):
        made = instance("dirty", number, study=1)
        pieces, added = [], False
        for tag, _, start, _, end in part10.elements(made.data_set):
            if not added and tag >> 16 >= group:
                pieces.append(addition)
                added = True
            pieces.append(made.data_set[start:end])
        if not added:
            pieces.append(addition)
        instances.append(type(made)(made.sop_class, made.sop_instance, made.series, made.study, b"".join(pieces)))
    instances.append(one)
    assert set(send_all(cluster.port, instances).values()) == {0}
    stray = instance("dirty", 9)
    stray = type(stray)(stray.sop_class, stray.sop_instance, stray.series, stray.study,
                        b"\xfe\xff\xdd\xe0\0\0\0\0" + stray.data_set)  # fmt: skip
    if send(cluster, stray) == 0:  # a delimiter of nothing may be refused, or kept
        instances.append(stray)
    for made in instances:
        syntax, stored = wado.data_set(cluster, made.study, made.series, made.sop_instance)
        assert syntax == part10.EXPLICIT_LITTLE_ENDIAN
        assert stored == made.data_set


@pytest.mark.parametrize("bits_stored", [1, 2, 7, 8, 9, 12, 15, 16])
@pytest.mark.parametrize("is_signed", [0, 1])
def test_bits_above_bits_stored_come_back(cluster, bits_stored, is_signed):
    """Rubbish in the upper bits is data too."""
    noise = bytes((index * 2654435761 >> 7) & 0xFF for index in range(256 * 256 * 2))
    short = struct.pack("<H", bits_stored), struct.pack("<H", bits_stored - 1), struct.pack("<H", is_signed)
    one = instance(
        "bits-%d-%d" % (bits_stored, is_signed), 0,
        values={0x00280101: short[0], 0x00280102: short[1], 0x00280103: short[2], PIXEL_DATA: noise},
    )  # fmt: skip
    assert send(cluster, one) == 0
    _, stored = wado.data_set(cluster, one.study, one.series, one.sop_instance)
    assert stored == one.data_set
