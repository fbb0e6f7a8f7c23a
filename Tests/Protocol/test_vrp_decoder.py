# SPDX-License-Identifier: Apache-2.0
"""The second decoder of VRP and Varve's agree about every golden vector."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import vrp_decoder  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ReplicationProtocolTests", "Golden")
HEADER_FACTS = ("flags", "stream", "sequence", "epoch")


def entries(file):
    with open(os.path.join(GOLDEN, file), encoding="utf-8") as golden:
        blocks = golden.read().split("\n\n")
    params = []
    for block in blocks:
        facts, digits = {}, ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            key, _, value = line.partition(":")
            if key == "hex":
                digits += value.strip()
            else:
                facts[key] = value.strip()
        if facts:
            params.append(pytest.param(facts, bytes.fromhex(digits), id=facts["name"]))
    return params


def is_after(facts):
    return facts["type"] not in vrp_decoder.HANDSHAKE or facts["stream"] != "0"


@pytest.mark.parametrize("facts,data", entries("messages.txt"))
def test_good_messages_say_the_same(facts, data):
    ((name, header, fields),) = vrp_decoder.decode(data, is_after(facts))
    assert name == facts["type"]
    assert {key: str(header[key]) for key in HEADER_FACTS} == {key: facts[key] for key in HEADER_FACTS}
    assert fields == {key[1:]: value for key, value in facts.items() if key.startswith(".")}


@pytest.mark.parametrize("facts,data", entries("messages.txt"))
def test_every_message_cut_short_waits_for_more(facts, data):
    for end in range(1, len(data)):
        with pytest.raises(EOFError):
            vrp_decoder.decode(data[:end], is_after(facts))


@pytest.mark.parametrize("facts,data", entries("broken.txt"))
def test_broken_messages_are_refused_alike(facts, data):
    with pytest.raises(vrp_decoder.Refused) as refused:
        vrp_decoder.decode(data, facts["phase"] == "after")
    assert refused.value.code == facts["code"]


def test_crc32c_of_the_specification():
    assert vrp_decoder.crc32c(b"123456789") == 0xE3069283
