# SPDX-License-Identifier: Apache-2.0
"""DCMTK's tools and pynetdicom as the other side of the DICOM port."""

import glob
import os
import socket
import subprocess
import threading

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage, Verification

from conftest import send_all
from support.phantom import instance
from support.sender import Association, store_one
import part10

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = part10.EXPLICIT_LITTLE_ENDIAN
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def dcmtk(*arguments, nodelay=True, timeout=120):
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    return subprocess.run(
        list(map(str, arguments)), env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout,
    )  # fmt: skip


def files_in(directory, instances):
    for number, one in enumerate(instances):
        (directory / ("%03d.dcm" % number)).write_bytes(one.file_bytes())
    return directory


def held(cluster, study):
    status, _, _ = cluster.get("/api/v1/studies/" + study)
    return cluster.json("/api/v1/studies/" + study)["study"]["instances"] if status == 200 else 0


def test_echoscu(cluster):
    done = dcmtk("echoscu", "-v", "-to", 10, "-aec", "VARVE", "127.0.0.1", cluster.port)
    assert done.returncode == 0, done.stderr


def test_varve_echo(cluster):
    done = cluster.run("echo", "--port", str(cluster.port))
    assert done.returncode == 0, done.stderr


def test_storescu_phantom(cluster, tmp_path):
    instances = [instance("storescu", index) for index in range(4)]
    done = dcmtk("storescu", "+sd", "-aec", "VARVE", "127.0.0.1", cluster.port, files_in(tmp_path, instances))
    assert done.returncode == 0, done.stderr
    assert held(cluster, instances[0].study) == 4


@pytest.mark.parametrize("option", ["-xe", "-xb", "-xi"])
def test_storescu_in_each_native_syntax(cluster, tmp_path, option):
    """DCMTK converts to the syntax that was accepted; the pixels stay the same."""
    one = instance("storescu" + option, 0)
    done = dcmtk("storescu", option, "+sd", "-aec", "VARVE", "127.0.0.1", cluster.port, files_in(tmp_path, [one]))
    assert done.returncode == 0, done.stderr
    assert held(cluster, one.study) == 1


def test_dcmsend_phantom(cluster, tmp_path):
    instances = [instance("dcmsend", index) for index in range(6)]
    report = tmp_path / "report.txt"
    done = dcmtk(
        "dcmsend", "+sd", "-aec", "VARVE", "+crf", report, "127.0.0.1", cluster.port,
        files_in(tmp_path, instances),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "with status SUCCESS" in report.read_text()
    assert held(cluster, instances[0].study) == 6


def test_dcmsend_that_leaves_nagle_on(cluster, tmp_path):
    instances = [instance("nagle", index) for index in range(6)]
    done = dcmtk(
        "dcmsend", "+sd", "-aec", "VARVE", "127.0.0.1", cluster.port, files_in(tmp_path, instances), nodelay=False
    )
    assert done.returncode == 0, done.stderr
    assert held(cluster, instances[0].study) == 6


@pytest.mark.parametrize("folder, count", [("ct-ge-human", 28), ("mr-7t-structural", 96)])
@pytest.mark.parametrize("tool", ["storescu", "dcmsend"])
def test_corpus_folder(cluster, corpus, tool, folder, count):
    """Sent by both tools: the second finds everything there and changes nothing."""
    place = os.path.join(corpus, folder)
    done = dcmtk(tool, "+sd", "-aec", "VARVE", "127.0.0.1", cluster.port, place, timeout=300)
    assert done.returncode == 0, done.stderr
    import pydicom

    paths = sorted(glob.glob(os.path.join(place, "*.dcm")))
    assert len(paths) == count
    studies = {str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID) for path in paths}
    assert sum(held(cluster, study) for study in studies) == count


def test_pynetdicom_echo(cluster):
    entity = AE()
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", cluster.port, ae_title="VARVE")
    assert association.is_established
    for _ in range(10):
        assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released


def test_exact_syntax_is_kept_per_context(cluster):
    """One SOP class in a context per syntax: each context gets the one syntax that it proposed."""
    syntaxes = [IMPLICIT, EXPLICIT, BIG_ENDIAN, JPEG_LS, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"]
    with Association(cluster.port, [(CTImageStorage, syntax) for syntax in syntaxes]) as association:
        accepted = [context.transfer_syntax[0] for context in association.association.accepted_contexts]
        assert sorted(accepted) == sorted(syntaxes)


def test_explicit_little_endian_is_preferred(cluster):
    with Association(
        cluster.port, [(CTImageStorage, IMPLICIT), (CTImageStorage, EXPLICIT)], together=True
    ) as association:
        (context,) = association.association.accepted_contexts
        assert context.transfer_syntax == [EXPLICIT]


def test_128_contexts(cluster):
    entity = AE()
    classes = [CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage, Verification]
    for number in range(128):
        entity.add_requested_context(classes[number % 4], IMPLICIT if number % 8 < 4 else EXPLICIT)
    association = entity.associate("127.0.0.1", cluster.port, ae_title="VARVE")
    assert association.is_established
    assert len(association.accepted_contexts) == 128
    association.release()


def test_unknown_abstract_syntax_is_rejected_alone(cluster):
    with Association(cluster.port, [("1.2.3.4.5.6.7.8.9", EXPLICIT), (CTImageStorage, EXPLICIT)]) as association:
        assert [context.abstract_syntax for context in association.association.accepted_contexts] == [CTImageStorage]
        assert len(association.association.rejected_contexts) == 1


def test_concurrent_associations(cluster):
    results = {}

    def send(number):
        instances = [instance("many", index, study=number) for index in range(6)]
        results[number] = (instances[0].study, send_all(cluster.port, instances))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(results) == 8
    for study, statuses in results.values():
        assert set(statuses.values()) == {0}
        assert held(cluster, study) == 6


def test_first_images_of_one_patient_at_once(cluster):
    """Eight associations bring eight new studies of one new patient at the same moment."""
    barrier = threading.Barrier(8)
    statuses = []

    def send(number):
        one = instance("same-patient", 0, study=number, values={0x00100020: b"SAMEPATIENT1"})
        with Association(cluster.port, [(one.sop_class, one.syntax)]) as association:
            barrier.wait(30)
            statuses.append(association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [0] * 8
    found = cluster.json("/dicom-web/studies?PatientID=SAMEPATIENT1")
    assert len(found) == 8


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: varve\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,  # a TLS ClientHello
        b"\x01\x00\xff\xff\xff\xff" + b"\0" * 64,  # an A-ASSOCIATE-RQ of 4 GB
        b"\x04\x00\x00\x00\x00\x10" + b"\0" * 16,  # P-DATA before an association
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",  # A-ABORT before an association
        b"\x99" * 4096,
        b"",
    ],
    ids=["http", "tls", "huge", "early-data", "early-abort", "noise", "nothing"],
)
def test_garbage_costs_only_its_connection(cluster, garbage):
    pid = cluster.pid("ingest-1")
    with socket.create_connection(("127.0.0.1", cluster.port), 10) as peer:
        peer.settimeout(20)
        peer.sendall(garbage)
        if garbage:
            # The end, or an A-ABORT and then up to the ARTIM timer for us to close (PS3.8, Sta13).
            try:
                assert peer.recv(4096)[:1] in (b"", b"\x07")
            except ConnectionResetError:
                pass
    assert dcmtk("echoscu", "-to", 10, "-aec", "VARVE", "127.0.0.1", cluster.port).returncode == 0
    assert cluster.pid("ingest-1") == pid


def test_abort_in_the_middle_of_a_data_set(cluster):
    one = instance("aborted", 0)
    association = Association(cluster.port, [(one.sop_class, one.syntax)])
    assert association.is_established
    association.association.abort()
    assert store_one(cluster.port, one.sop_class, one.sop_instance, one.syntax, one.data_set) == 0
