# SPDX-License-Identifier: Apache-2.0
"""The torture of many hosts, tested: what a seed plans stays within what is promised, and failures are judged as they should be."""

import pytest
from hosts.atlas import KINDS, MOST_STORAGE, plan
from hosts.attempts import Attempt, Excuse, Ledger, failed
from hosts.hurts import Hurts
from hosts.world import STORAGE

SEEDS = range(20)


def test_the_same_seed_plans_the_same_faults_of_every_kind():
    some = plan(1, 3600, KINDS)
    assert some == plan(1, 3600, KINDS) != plan(2, 3600, KINDS)
    assert {step.name for step in some} == set(KINDS)
    assert all(hasattr(Hurts, name) for name in KINDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_at_one_time_leave_what_is_promised(seed):
    steps = plan(seed, 600, KINDS)
    assert len(steps) > 60
    for step in steps:
        others = [
            one for one in steps
            if one is not step and one.at <= step.at < one.at + one.seconds + KINDS[one.name].after
        ]  # fmt: skip
        held = [resource for one in [step, *others] for resource in one.resources]
        assert len(held) == len(set(held)), "nothing is hurt twice at once"
        if not any(KINDS[one.name].exclusive for one in [step, *others]):
            assert len(set(held) & set(STORAGE)) <= MOST_STORAGE
        elif KINDS[step.name].exclusive:
            assert not set(STORAGE) & {resource for one in others for resource in one.resources}


def test_a_minute_has_faults_too():
    assert all(5 < len(plan(seed, 60, KINDS)) < 60 for seed in SEEDS)


def test_a_failed_store_needs_an_excuse_of_its_own_ingest_node_and_time():
    ledger = Ledger([Excuse("ingest-1", "killed", 10.0, 20.0), Excuse("stores", "four down", 50.0), Excuse("catalog", "", 0.0)])

    def attempt(ingest, begin, end, outcome="A700"):
        return Attempt(0, 0, ingest, begin, end, outcome)

    excused = [attempt("ingest-1", 5, 11), attempt("ingest-1", 19, 30), attempt("ingest-2", 60, 61)]
    inexcusable = [attempt("ingest-1", 5, 9), attempt("ingest-2", 12, 13), attempt("ingest-1", 21, 22)]
    assert failed(excused + inexcusable + [attempt("ingest-2", 1, 2, "ok")], ledger) == inexcusable
