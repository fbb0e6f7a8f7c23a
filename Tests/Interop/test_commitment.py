# SPDX-License-Identifier: Apache-2.0
"""Storage commitment with pynetdicom as the modality: over its own association, and called back."""

import os
import queue
import time

import pytest
from conftest import _run_cluster, send_all
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from support.cluster import free_ports
from support.phantom import instance
from test_healing import flip_all
from test_outage import hanging_postgres

PORTS = dict(zip(["MODALITY", "NOBODY"], free_ports(2)))
OPTIONS = [part for title, port in PORTS.items() for part in ("--destination", "%s=127.0.0.1:%d" % (title, port))]


@pytest.fixture(scope="module")
def archive():
    yield from _run_cluster(options=OPTIONS + ["--commitment-patience-seconds", "3"])


class Reports:
    """What N-EVENT-REPORTs said: (event type, transaction, committed, {failed: reason})."""

    def __init__(self, status=0x0000, of=None):
        """Of all transactions, or of one: another cluster may still have reports for the same address."""
        self.queue = queue.Queue()
        self.status = status
        self.of = of

    def take(self, event):
        information = event.event_information
        committed = [item.ReferencedSOPInstanceUID for item in information.get("ReferencedSOPSequence", [])]
        failed = {
            item.ReferencedSOPInstanceUID: item.FailureReason for item in information.get("FailedSOPSequence", [])
        }
        if self.of not in (None, information.TransactionUID):
            return self.status, None
        self.queue.put((event.event_type, information.TransactionUID, sorted(committed), failed))
        self.titles = (information.RetrieveAETitle, event.assoc.requestor.ae_title)
        return self.status, None

    def next(self, seconds=60):
        return self.queue.get(timeout=seconds)

    def none_within(self, seconds):
        with pytest.raises(queue.Empty):
            self.queue.get(timeout=seconds)


def request(transaction, instances):
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence = Sequence()
    for sop_class, uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = uid
        information.ReferencedSOPSequence.append(item)
    return information


def pairs(instances):
    return [(one.sop_class, one.sop_instance) for one in instances]


def associate(cluster, reports=None, title="MODALITY"):
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, reports.take)] if reports else []
    association = entity.associate("127.0.0.1", cluster.port, ae_title="VARVE", evt_handlers=handlers)
    assert association.is_established
    return association


def ask(association, information, action=1, instance_uid=StorageCommitmentPushModelInstance):
    status, _ = association.send_n_action(information, action, StorageCommitmentPushModel, instance_uid)
    return status.Status


class Listener:
    """The modality's own server, which the archive calls back."""

    def __init__(self, reports, title="MODALITY"):
        entity = AE(ae_title=title)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        self.server = entity.start_server(
            ("127.0.0.1", PORTS[title]), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports.take)]
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def stored(cluster, label, count=3):
    made = [instance(label, index) for index in range(count)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def commit_and_release(cluster, transaction, instances, title="MODALITY"):
    association = associate(cluster, title=title)
    assert ask(association, request(transaction, instances)) == 0x0000
    association.release()


def test_over_the_same_association(archive):
    made = stored(archive, "commit-same")
    reports, transaction = Reports(), generate_uid()
    association = associate(archive, reports, title="UNLISTED")
    assert ask(association, request(transaction, pairs(made))) == 0x0000
    assert reports.next() == (1, transaction, sorted(one.sop_instance for one in made), {})
    assert reports.titles[0] == "VARVE"
    # The association is good for more.
    again = generate_uid()
    assert ask(association, request(again, pairs(made[:1]))) == 0x0000
    assert reports.next() == (1, again, [made[0].sop_instance], {})
    association.release()


def test_called_back(archive):
    made = stored(archive, "commit-back")
    reports, transaction = Reports(), generate_uid()
    with Listener(reports):
        commit_and_release(archive, transaction, pairs(made))
        assert reports.next() == (1, transaction, sorted(one.sop_instance for one in made), {})
    assert reports.titles == ("VARVE", "VARVE")


def test_what_is_not_there_or_of_another_class_fails_with_its_reason(archive):
    made = stored(archive, "commit-fail", 1)
    other = stored(archive, "commit-class", 1)
    missing = generate_uid()
    reports, transaction = Reports(), generate_uid()
    association = associate(archive, reports)
    wanted = pairs(made) + [(CTImageStorage, missing), ("1.2.840.10008.5.1.4.1.1.4", other[0].sop_instance)]
    assert ask(association, request(transaction, wanted)) == 0x0000
    assert reports.next() == (
        2, transaction, [made[0].sop_instance], {missing: 0x0112, other[0].sop_instance: 0x0119}
    )  # fmt: skip
    association.release()


def test_requests_that_mean_nothing_are_refused(archive):
    made = stored(archive, "commit-bad", 1)
    association = associate(archive)
    good = request(generate_uid(), pairs(made))
    assert ask(association, good, action=2) == 0x0123
    assert ask(association, good, instance_uid="1.2.3") == 0x0112
    assert ask(association, request(generate_uid(), [])) == 0x0115
    assert ask(association, request("", pairs(made))) == 0x0115
    association.release()


def test_a_requestor_that_refuses_or_is_away_is_called_again(archive):
    made = stored(archive, "commit-retry", 1)
    reports, transaction = Reports(status=0x0110), generate_uid()
    with Listener(reports):
        commit_and_release(archive, transaction, pairs(made))
        first = reports.next()
    # Nobody listens now; then the modality is back.
    reports.status = 0x0000
    with Listener(reports):
        assert reports.next(90) == first == (1, transaction, [made[0].sop_instance], {})


def test_a_damaged_copy_is_not_committed_until_it_is_healed(archive):
    made = stored(archive, "commit-damage", 4)
    (study,) = {one.study for one in made}
    held = {copy["node"] for entry in archive.study(study)["instances"] for copy in entry["copies"]}
    assert flip_all(os.path.join(archive.data, sorted(held)[0]))
    deadline = time.monotonic() + 120
    while True:
        reports, transaction = Reports(), generate_uid()
        association = associate(archive, reports)
        assert ask(association, request(transaction, pairs(made))) == 0x0000
        kind, _, committed, failed = reports.next()
        association.release()
        states = [c["state"] for e in archive.study(study, verify=True)["instances"] for c in e["copies"]]
        if kind == 1:
            break
        # Reading the copies back found the damage, which then gets healed.
        assert set(failed.values()) == {0x0110} and len(committed) + len(failed) == len(made)
        assert time.monotonic() < deadline, states
    assert set(states) == {"good"}


def test_a_request_survives_a_restart():
    """The ingest node dies between its promise and its report, with nobody listening meanwhile."""
    for cluster in _run_cluster(options=OPTIONS):
        made = stored(cluster, "commit-restart")
        transaction = generate_uid()
        association = associate(cluster)
        assert ask(association, request(transaction, pairs(made))) == 0x0000
        pid = cluster.pid("ingest-1")
        cluster.kill("ingest-1")
        cluster.wait_gone(pid)
        reports = Reports(of=transaction)
        with Listener(reports):
            assert reports.next(180) == (1, transaction, sorted(one.sop_instance for one in made), {})
            reports.none_within(3)


def test_without_the_catalog_nothing_is_promised(archive):
    made = stored(archive, "commit-outage", 1)
    association = associate(archive)
    with hanging_postgres(archive):
        assert ask(association, request(generate_uid(), pairs(made))) == 0x0110
    association.release()
    archive.wait_ready()
