# SPDX-License-Identifier: Apache-2.0
"""C-MOVE to receivers that these tests run: pynetdicom and DCMTK's storescp."""

import glob
import os
import socket
import subprocess
import threading
import time

import pydicom
import pytest
from conftest import _run_cluster, send_all
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelMove,
)
from support.cluster import free_ports
from support.orthanc import ORTHANC, Orthanc
from support.phantom import instance
from support.query import check_pending, identifier
from test_dimse_tools import EXPLICIT, IMPLICIT, JPEG_LS, dcmtk

MOVE = {
    "patient": PatientRootQueryRetrieveInformationModelMove,
    "study": StudyRootQueryRetrieveInformationModelMove,
}
TITLES = ["RECEIVER", "DCMTK", "NOBODY", "ORTHANC"]
PORTS = dict(zip(TITLES, free_ports(len(TITLES))))


@pytest.fixture(scope="module")
def mover():
    """A cluster that knows the receivers."""
    options = [part for title in TITLES for part in ("--destination", "%s=127.0.0.1:%d" % (title, PORTS[title]))]
    yield from _run_cluster(options=options)


@pytest.fixture(scope="module")
def stored(mover):
    made = [instance("move", index, study=0, series=index // 6) for index in range(10)]
    made += [instance("move", index, study=1) for index in range(3)]
    assert set(send_all(mover.port, made).values()) == {0}
    return made


class Receiver:
    """A storage SCP: what it took, by SOP instance UID, and what it was told of the mover."""

    def __init__(self, syntaxes=(EXPLICIT,), classes=(CTImageStorage,), status=0x0000, associations=10):
        self.received = {}
        # How many stores of how many associations were under way at once, at most.
        self.running, self.most_running = set(), 0
        self.lock = threading.Lock()
        self.originators = set()
        self.priorities = set()
        self.proposed = []
        self.status = status
        self.entity = AE(ae_title="RECEIVER")
        self.entity.maximum_associations = associations
        for sop_class in classes:
            self.entity.add_supported_context(sop_class, list(syntaxes))
        self.server = self.entity.start_server(
            ("127.0.0.1", PORTS["RECEIVER"]), block=False,
            evt_handlers=[(evt.EVT_C_STORE, self.take), (evt.EVT_REQUESTED, self.asked)],
        )  # fmt: skip

    def asked(self, event):
        self.proposed.append(len(event.assoc.requestor.requested_contexts))

    def take(self, event):
        request = event.request
        with self.lock:
            number = len(self.received)
            self.originators.add((request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID))
            self.priorities.add(request.Priority)
            self.received[request.AffectedSOPInstanceUID] = (event.context.transfer_syntax, request.DataSet.getvalue())
            self.running.add(event.assoc)
            self.most_running = max(self.most_running, len(self.running))
        status = self.status(number, event) if callable(self.status) else self.status
        with self.lock:
            self.running.discard(event.assoc)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def move(cluster, destination, level, model="study", cancel_after=None, priority=2, **keys):
    entity = AE(ae_title="MOVESCU")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 90
    entity.add_requested_context(MOVE[model])
    association = entity.associate("127.0.0.1", cluster.port, ae_title="VARVE")
    assert association.is_established
    answers = []
    for answer in association.send_c_move(
        identifier(level, **keys), destination, MOVE[model], msg_id=23, priority=priority
    ):
        answers.append(answer)
        if cancel_after is not None and len(answers) == cancel_after:
            association.send_c_cancel(23, query_model=MOVE[model])
    association.release()
    return answers


def counts(status):
    names = ("Completed", "Failed", "Warning")
    return tuple(getattr(status, "NumberOf%sSuboperations" % name, None) for name in names)


def test_a_study_arrives_byte_for_byte(mover, stored):
    with Receiver() as receiver:
        answers = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[0].study)
    assert {uid: data for uid, (_, data) in receiver.received.items()} == {
        one.sop_instance: one.data_set for one in stored[:10]
    }
    check_pending([status for status, _ in answers[:-1]], 10)
    assert answers[-1][0].Status == 0x0000
    assert counts(answers[-1][0]) == (10, 0, 0)
    assert receiver.originators == {("MOVESCU", 23)}
    assert receiver.priorities == {2}


@pytest.mark.parametrize("model", ["patient", "study"])
def test_each_level(mover, stored, model):
    one = stored[0]
    above = {"PatientID": "move-0"} if model == "patient" else {}
    wanted = {
        "SERIES": ({"StudyInstanceUID": one.study, "SeriesInstanceUID": stored[6].series}, 4),
        "IMAGE": ({"StudyInstanceUID": one.study, "SeriesInstanceUID": one.series,
                   "SOPInstanceUID": [stored[1].sop_instance, stored[3].sop_instance]}, 2),
    }  # fmt: skip
    if above:
        wanted["PATIENT"] = ({}, 10)
    with Receiver() as receiver:
        for level, (keys, count) in wanted.items():
            receiver.received.clear()
            assert move(mover, "RECEIVER", level, model, **above, **keys)[-1][0].Status == 0x0000
            assert len(receiver.received) == count, level


@pytest.mark.parametrize(
    "syntaxes, expected", [((JPEG_LS, EXPLICIT), JPEG_LS), ((IMPLICIT,), IMPLICIT), ((EXPLICIT, IMPLICIT), EXPLICIT)]
)
def test_the_best_syntax_that_the_receiver_takes(mover, stored, syntaxes, expected):
    with Receiver(syntaxes) as receiver:
        move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[10].study)
    assert {syntax for syntax, _ in receiver.received.values()} == {expected}


def test_an_unknown_destination(mover, stored):
    ((status, failed),) = move(mover, "STRANGER", "STUDY", StudyInstanceUID=stored[0].study)
    assert status.Status == 0xA801
    assert failed is None or not failed


def test_a_receiver_that_is_not_there(mover, stored):
    answers = move(mover, "NOBODY", "STUDY", StudyInstanceUID=stored[10].study)
    status, failed = answers[-1]
    assert status.Status == 0xA702
    assert counts(status) == (0, 3, 0)
    assert sorted(failed.FailedSOPInstanceUIDList) == sorted(one.sop_instance for one in stored[10:])


def test_a_receiver_that_does_not_take_the_sop_class(mover, stored):
    with Receiver(classes=(MRImageStorage,)):
        answers = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[10].study)
    assert answers[-1][0].Status == 0xA702


def test_failures_and_warnings(mover, stored):
    statuses = [0x0000, 0xA700, 0xB000]
    with Receiver(status=lambda number, _: statuses[number % 3]) as receiver:
        status, failed = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[10].study)[-1]
    assert status.Status == 0xB000
    assert counts(status) == (1, 1, 1)
    listed = failed.FailedSOPInstanceUIDList
    assert ([listed] if isinstance(listed, str) else list(listed)) == [list(receiver.received)[1]]


def test_a_receiver_that_breaks_off_gets_the_rest_over_another_association(mover, stored):
    changed = threading.Condition()
    counts_of, broken = {}, []

    def status(_, event):
        with changed:
            number = counts_of[event.assoc] = counts_of.get(event.assoc, 0) + 1
            changed.notify_all()
            if number == 1:
                # Both associations have instances before either goes on, whichever is quicker.
                changed.wait_for(lambda: len(counts_of) > 1, timeout=30)
            elif number == 2 and not broken:
                broken.append(event.assoc)
                event.assoc.abort()
            elif number == 2:
                # Nor has the other one taken all before the broken one is made up for.
                changed.wait_for(lambda: len(counts_of) > 2, timeout=30)
        return 0x0000

    with Receiver(status=status) as receiver:
        answer, failed = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[0].study)[-1]
        # Two at the beginning, and one for that which broke.
        assert len(receiver.proposed) == 3
    assert answer.Status == 0xB000
    assert counts(answer) == (9, 1, 0)


def test_cancelling_in_the_middle(mover, stored):
    def slow(_, event):
        time.sleep(0.05)
        return 0x0000

    with Receiver(status=slow) as receiver:
        answers = move(mover, "RECEIVER", "STUDY", cancel_after=1, StudyInstanceUID=stored[0].study)
    status = answers[-1][0]
    check_pending([status for status, _ in answers[:-1]], 10)
    assert status.Status == 0xFE00
    assert status.NumberOfCompletedSuboperations == len(receiver.received) < 10
    assert status.NumberOfCompletedSuboperations + status.NumberOfRemainingSuboperations == 10


def test_two_associations_at_once(mover, stored):
    """Both carry instances at the same time, and the counts are those of both."""
    statuses = {5: 0xA700, 7: 0xB000}

    def slow(number, _):
        time.sleep(0.05)
        return statuses.get(number, 0x0000)

    with Receiver(status=slow) as receiver:
        answers = move(mover, "RECEIVER", "STUDY", priority=1, StudyInstanceUID=stored[0].study)
    assert receiver.most_running == len(receiver.proposed) == 2
    check_pending([status for status, _ in answers[:-1]], 10)
    # Half a second's work in two: two or three times 100 ms, and the first.
    assert 2 <= len(answers) - 1 < 10
    assert counts(answers[-1][0]) == (8, 1, 1)
    assert answers[-1][1].FailedSOPInstanceUIDList == list(receiver.received)[5]
    assert set(receiver.received) == {one.sop_instance for one in stored[:10]}
    assert receiver.originators == {("MOVESCU", 23)}
    assert receiver.priorities == {1}


def test_a_receiver_that_takes_one_association(mover, stored):
    def slow(*_):
        time.sleep(0.03)
        return 0x0000

    with Receiver(associations=1, status=slow) as receiver:
        status = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[0].study)[-1][0]
    assert (status.Status, counts(status)) == (0x0000, (10, 0, 0))
    assert receiver.most_running == 1
    assert len(receiver.received) == 10


class SilentListener:
    """Takes connections and says nothing; with `accepting`, it accepts associations and takes no instance."""

    def __init__(self, port, accepting):
        self.accepting = accepting
        self.socket = socket.create_server(("127.0.0.1", port), backlog=8)
        self.socket.settimeout(30)
        self.ended = []
        self.connected = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)]
        self.threads[0].start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.serve, args=(connection,), daemon=True))
            self.threads[-1].start()

    def serve(self, connection):
        with connection:
            connection.settimeout(90)
            request = b""
            while len(request) < 6 or len(request) < 6 + int.from_bytes(request[2:6], "big"):
                request += connection.recv(1 << 16)
            self.connected.set()
            if self.accepting:
                # Every context with its first transfer syntax, as it was proposed.
                items, position = b"", 74
                while position < len(request):
                    kind, length = request[position], int.from_bytes(request[position + 2 : position + 4], "big")
                    item = request[position + 4 : position + 4 + length]
                    position += 4 + length
                    if kind == 0x10 or kind == 0x50:
                        items += bytes([kind, 0]) + length.to_bytes(2, "big") + item
                    elif kind == 0x20:
                        syntax = item[item.index(b"\x40\x00", 8) :]
                        syntax = syntax[: 4 + int.from_bytes(syntax[2:4], "big")]
                        items += b"\x21\x00" + (4 + len(syntax)).to_bytes(2, "big") + item[:1] + bytes(3) + syntax
                body = request[6:74] + items
                connection.sendall(b"\x02\x00" + len(body).to_bytes(4, "big") + body)
            try:
                while connection.recv(1 << 16):
                    pass
            except OSError:
                pass
            self.ended.append(time.monotonic())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Wakes the thread that accepts: until then the port is taken.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(10)
        self.socket.close()


@pytest.mark.parametrize("accepting", [True, False])
def test_cancelling_while_the_receiver_hangs(mover, stored, accepting):
    """It waits for an answer to the association or to an instance, for 30 or 60 seconds, but not after a C-CANCEL."""
    entity = AE(ae_title="MOVESCU")
    entity.dimse_timeout = 20
    entity.add_requested_context(MOVE["study"])
    with SilentListener(PORTS["RECEIVER"], accepting) as silent:
        association = entity.associate("127.0.0.1", mover.port, ae_title="VARVE")
        cancelled = []

        def cancel():
            assert silent.connected.wait(10)
            time.sleep(0.2)
            cancelled.append(time.monotonic())
            association.send_c_cancel(23, query_model=MOVE["study"])

        canceller = threading.Thread(target=cancel)
        canceller.start()
        answers = list(association.send_c_move(
            identifier("STUDY", StudyInstanceUID=stored[0].study), "RECEIVER", MOVE["study"], msg_id=23
        ))  # fmt: skip
        ended = time.monotonic()
        canceller.join()
        status = answers[-1][0]
        assert status.Status == 0xFE00
        assert ended - cancelled[0] < 2
        assert status.NumberOfCompletedSuboperations == 0
        assert status.NumberOfFailedSuboperations + status.NumberOfRemainingSuboperations == 10
        # What was under way was broken off, which is a failure; what was not begun remains.
        assert (status.NumberOfFailedSuboperations > 0) == accepting
        association.release()
        deadline = time.monotonic() + 5
        while len(silent.ended) < (2 if accepting else 1) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(silent.ended) == (2 if accepting else 1)
    # And Varve goes on.
    with Receiver() as receiver:
        assert move(mover, "RECEIVER", "STUDY", StudyInstanceUID=stored[10].study)[-1][0].Status == 0x0000
        assert len(receiver.received) == 3


def test_a_requestor_that_is_gone_ends_the_move(mover, stored):
    entity = AE(ae_title="MOVESCU")
    entity.dimse_timeout = 3
    entity.add_requested_context(MOVE["study"])
    with SilentListener(PORTS["RECEIVER"], True) as silent:
        association = entity.associate("127.0.0.1", mover.port, ae_title="VARVE")
        threading.Thread(target=lambda: silent.connected.wait(10) and association.abort()).start()
        list(association.send_c_move(
            identifier("STUDY", StudyInstanceUID=stored[0].study), "RECEIVER", MOVE["study"], msg_id=23
        ))  # fmt: skip
        deadline = time.monotonic() + 5
        while len(silent.ended) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(silent.ended) == 2


def test_more_kinds_than_an_association_has_contexts(mover):
    """60 SOP classes, three contexts each: two associations."""
    classes = sorted({context.abstract_syntax for context in AllStoragePresentationContexts})[:60]
    made = []
    for number, sop_class in enumerate(classes):
        one = instance("move-kinds", number, values={0x00080016: sop_class.encode()})
        made.append(type(one)(sop_class, one.sop_instance, one.series, one.study, one.data_set))
    assert set(send_all(mover.port, made).values()) == {0}
    with Receiver(classes=classes) as receiver:
        status = move(mover, "RECEIVER", "STUDY", StudyInstanceUID=made[0].study)[-1][0]
    assert status.Status == 0x0000
    assert len(receiver.received) == 60
    # Two sets of contexts, each over two associations.
    assert len(receiver.proposed) == 4
    assert len(set(receiver.proposed)) == 2
    assert max(receiver.proposed) <= 128


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed")
def test_orthanc_queries_and_retrieves(mover, stored, tmp_path):
    """Orthanc as the workstation: C-FIND, then C-MOVE to itself."""
    known = {"varve": ["VARVE", "127.0.0.1", mover.port]}
    with Orthanc(tmp_path / "orthanc", port=PORTS["ORTHANC"], DicomModalities=known) as orthanc:
        query = orthanc.ask(
            "modalities/varve/query", {"Level": "Study", "Query": {"PatientID": "move-?", "StudyInstanceUID": ""}}
        )["ID"]
        found = {
            number: orthanc.ask("queries/%s/answers/%s/content?simplify" % (query, number))["StudyInstanceUID"]
            for number in orthanc.ask("queries/%s/answers" % query)
        }
        assert set(found.values()) == {stored[0].study, stored[10].study}
        (number,) = (number for number, study in found.items() if study == stored[10].study)
        orthanc.ask("queries/%s/answers/%s/retrieve" % (query, number), {"TargetAet": "ORTHANC", "Synchronous": True})
        held = {orthanc.ask("instances/%s/simplified-tags" % one)["SOPInstanceUID"] for one in orthanc.ask("instances")}
        assert held == {one.sop_instance for one in stored[10:]}


def test_movescu_to_storescp(mover, stored, tmp_path):
    """storescp serves one association at a time: the others wait in its queue, and C-MOVE does not wait for them."""
    storescp = subprocess.Popen(
        ["storescp", "-od", str(tmp_path), "-aet", "DCMTK", "+xa", str(PORTS["DCMTK"])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            if dcmtk("echoscu", "-aec", "DCMTK", "127.0.0.1", PORTS["DCMTK"]).returncode == 0:
                break
            time.sleep(0.05)
        begin = time.monotonic()
        done = dcmtk(
            "movescu", "-v", "-S", "-aec", "VARVE", "-aem", "DCMTK", "-k", "QueryRetrieveLevel=STUDY",
            "-k", "StudyInstanceUID=" + stored[0].study, "127.0.0.1", mover.port,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - begin < 15
    finally:
        storescp.terminate()
        storescp.wait(10)
    files = glob.glob(os.path.join(tmp_path, "*"))
    found = {str(pydicom.dcmread(path).SOPInstanceUID) for path in files}
    assert found == {one.sop_instance for one in stored[:10]}


def test_varve_move(mover, stored):
    arguments = ("move", "--port", str(mover.port), "--destination")
    with Receiver() as receiver:
        done = mover.run(*arguments, "RECEIVER", "StudyInstanceUID=" + stored[10].study)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "3 sent to RECEIVER, 0 failed\n"
        assert len(receiver.received) == 3
    done = mover.run(*arguments, "NOBODY", "StudyInstanceUID=" + stored[10].study)
    assert done.returncode == 1
    assert done.stdout == "0 sent to NOBODY, 3 failed\n"
    assert "A702H" in done.stderr
    assert all(one.sop_instance in done.stderr for one in stored[10:])
    assert "A801H" in mover.run(*arguments, "STRANGER", "StudyInstanceUID=1.2").stderr
