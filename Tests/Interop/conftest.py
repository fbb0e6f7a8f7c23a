# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a running cluster, the corpus, and studies of the tests' own.

VARVE_BINARY names another binary than .build/release/varve. VARVE_TEST_CORPUS names the corpus;
without it and without ../shared/corpus beside the repository the tests that need it are skipped.
"""

import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.dont_write_bytecode = True
os.environ["TCP_NODELAY"] = "1"

from support import ROOT  # noqa: E402
from support.cluster import Cluster, binary  # noqa: E402
from support.phantom import instance  # noqa: E402
from support.sender import Association  # noqa: E402


def pytest_sessionstart(session):
    if not os.access(binary(), os.X_OK):
        pytest.exit("no varve at %s: run `swift build -c release`, or set VARVE_BINARY" % binary(), 2)


def _run_cluster(**options):
    cluster = Cluster(**options)
    try:
        yield cluster.start()
    finally:
        try:
            cluster.stop()
        finally:
            if os.environ.get("VARVE_KEEP_TEST_DATA"):
                print("test data kept in", cluster.directory)
            else:
                shutil.rmtree(cluster.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster():
    """The cluster that all tests share which leave it whole."""
    yield from _run_cluster(options=["--tls", "--cors-origin", "https://viewer.example.org"])


@pytest.fixture
def frail_cluster():
    """A cluster of one test's own, in which a dead process stays dead."""
    yield from _run_cluster(options=["--no-restart"])


@pytest.fixture
def new_cluster():
    """Starts clusters of one test's own; takes what `Cluster` takes."""
    made = []

    def start(**options):
        running = _run_cluster(**options)
        made.append(running)
        return next(running)

    yield start
    for running in made:
        running.close()


@pytest.fixture(scope="session")
def corpus():
    for place in (os.environ.get("VARVE_TEST_CORPUS"), os.path.join(ROOT, "..", "shared", "corpus")):
        if place and os.path.isdir(place):
            return os.path.abspath(place)
    pytest.skip("no corpus: set VARVE_TEST_CORPUS")


def send_all(port, instances):
    """Sends over one association; returns {SOP instance UID: status}."""
    pairs = sorted({(one.sop_class, one.syntax) for one in instances})
    with Association(port, pairs) as association:
        assert association.is_established
        return {
            one.sop_instance: association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set)
            for one in instances
        }


@pytest.fixture(scope="session")
def study(cluster):
    """Eight stored instances in one study, two series."""
    instances = [instance("shared", index, series=index // 4) for index in range(8)]
    assert set(send_all(cluster.port, instances).values()) == {0}
    return instances
