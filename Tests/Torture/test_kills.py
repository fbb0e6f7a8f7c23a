# SPDX-License-Identifier: Apache-2.0
"""The kills, tested: the seed chooses them, and what is seen behind them is judged as it should be."""

import random

import kills
from kills import COORDINATOR, EVERYTHING, INGEST, POSTGRES, Campaign, Kill, judge, plan

NODES = ["storage-1", "storage-2", "storage-3"]


def planned(count, seed):
    return [plan(NODES, random.Random("%d/%d" % (seed, number))) for number in range(count)]


def test_the_same_seed_plans_the_same_kills_of_every_kind():
    some = planned(1000, 1)
    assert some == planned(1000, 1) != planned(1000, 2)
    groups = {kill.names for kill in some}
    assert {(EVERYTHING,), (POSTGRES,), tuple(NODES), (INGEST,), (COORDINATOR,), ("storage-2",)} <= groups
    assert {("storage-1", "storage-2"), (INGEST, "storage-3"), (POSTGRES, INGEST)} <= groups
    assert any(kill.again is not None for kill in some)
    assert all(0 <= kill.wait <= kills.LONGEST_WAIT and len(set(kill.names)) == len(kill.names) for kill in some)


def test_reads_are_promised_while_one_copy_and_its_reader_stay():
    assert Kill(0, ("storage-1",)).leaves_reads() and Kill(0, ("storage-1", COORDINATOR)).leaves_reads()
    for names in (("storage-1", "storage-2"), (INGEST,), (POSTGRES,), (EVERYTHING,), ("storage-1", INGEST)):
        assert not Kill(0, names).leaves_reads()


def copies(*states):
    return [{"node": "storage-%d" % (index + 1), "state": state} for index, state in enumerate(states)]


def test_a_copy_that_is_gone_is_lost_and_one_out_of_reach_is_not():
    assert judge(copies("good", "good")) == (False, None)
    for state in ("missing", "damaged"):
        is_final, said = judge(copies("good", state))
        assert is_final and "has lost" in said
    assert judge(copies("good"))[0] and judge(copies("good"))[1]
    for shown in (None, [], copies("good", "unreachable")):
        is_final, said = judge(shown)
        assert not is_final and said


class FakeLoad:
    def __init__(self, *acknowledged):
        self.known = list(acknowledged)

    def acknowledged(self):
        return self.known


class FakeVerifier:
    """Gives one answer after another."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def failures(self, label, acknowledged):
        return [failure for failure in self.answers.pop(0) if failure[0] in acknowledged]


def campaign(load=None, verifier=None):
    one = Campaign.__new__(Campaign)
    one.label, one.load, one.verifier = "kills", load, verifier
    one.forget()
    return one


def test_everything_acknowledged_is_taken_once():
    load = FakeLoad((0, 0), (0, 1), (1, 0))
    one = campaign(load)
    assert one.fresh() == [(0, 0), (0, 1), (1, 0)]
    load.known = [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert one.fresh() == [(0, 2)] and one.fresh() == []
    assert one.everything == [(0, 0), (0, 1), (1, 0), (0, 2)]


def test_a_read_may_have_to_wait_but_a_wrong_answer_stays_one():
    away, wrong = ((0, 0), False, "HTTP 503"), ((0, 1), True, "HTTP 404")
    one = campaign(verifier=FakeVerifier([away, wrong], [away], []))
    one.read_in_the_end([(0, 0), (0, 1), (0, 2)])
    assert one.problems == ["HTTP 404"] and one.hurt == {(0, 1)}


def test_what_never_can_be_read_is_a_problem(monkeypatch):
    monkeypatch.setattr(kills, "WHOLE_SECONDS", -1)
    one = campaign(verifier=FakeVerifier([((0, 0), False, "HTTP 503")]))
    one.read_in_the_end([(0, 0)])
    assert one.problems == ["HTTP 503"]
