# SPDX-License-Identifier: Apache-2.0
"""The flipping of bits, tested: it hits each written block once, and nothing before where it begins."""

import os
import random

from faults.rot import BLOCK, flip


def changed(path, before):
    with open(path, "rb") as file:
        return [at for at, (old, new) in enumerate(zip(before, file.read())) if old != new]


def sparse_file(path):
    """Data, a hole, data: 3 blocks each; returns its bytes."""
    with open(path, "wb") as file:
        file.write(b"\0" * 3 * BLOCK)
        file.seek(6 * BLOCK)
        file.write(b"\0" * 3 * BLOCK)
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        return file.read()


def test_one_bit_of_each_written_block_flips(tmp_path):
    path = tmp_path / "segment"
    before = sparse_file(path)
    count, end = flip(path, random.Random(1), 0)
    assert [at // BLOCK for at in changed(path, before)] == [0, 1, 2, 6, 7, 8]
    assert (count, end) == (6, 9 * BLOCK)


def test_nothing_before_the_beginning_flips(tmp_path):
    path = tmp_path / "segment"
    before = sparse_file(path)
    count, end = flip(path, random.Random(1), 7 * BLOCK + 100)
    hits = changed(path, before)
    assert [at // BLOCK for at in hits] == [7, 8] and hits[0] >= 7 * BLOCK + 100
    assert (count, end) == (2, 9 * BLOCK)


def test_a_range_that_ends_where_flipping_begins_has_nothing_to_flip(tmp_path):
    path = tmp_path / "segment"
    before = sparse_file(path)
    # The end of the first range, within a block, as an earlier round leaves it.
    os.truncate(path, 2 * BLOCK + 4096)
    before = before[: 2 * BLOCK + 4096]
    assert flip(path, random.Random(1), 2 * BLOCK + 4096) == (0, 2 * BLOCK + 4096)
    assert changed(path, before) == []
