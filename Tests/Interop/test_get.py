# SPDX-License-Identifier: Apache-2.0
"""C-GET as DCMTK and pynetdicom ask it, and as `varve get` asks it of Varve and others."""

import glob
import os
import subprocess
import time
import warnings

import pydicom
import pytest
from conftest import send_all
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
)
from support.cluster import binary, free_ports
from support.orthanc import ORTHANC, Orthanc
from support.phantom import instance
from support.query import check_pending, identifier
from test_dimse_tools import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG_LS, dcmtk

GET = {
    "patient": PatientRootQueryRetrieveInformationModelGet,
    "study": StudyRootQueryRetrieveInformationModelGet,
}


@pytest.fixture(scope="module")
def stored(cluster):
    """Two series of 6 and 4 instances in a study, and another study of the same kind of patient."""
    made = [instance("get", index, study=0, series=index // 6) for index in range(10)]
    made += [instance("get", index, study=1) for index in range(3)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


class Getter:
    """An SCU of C-GET that keeps what it is sent: {SOP instance UID: (transfer syntax, data set bytes)}."""

    def __init__(self, cluster, syntaxes=(EXPLICIT,), classes=(CTImageStorage,), model="study", with_role=True,
                 status=0x0000, apart=False, relational=False):  # fmt: skip
        self.received = {}
        self.originators = set()
        self.status = status
        self.sop_class = GET[model]
        self.granted = None
        entity = AE(ae_title="GETSCU")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        entity.add_requested_context(self.sop_class)
        for sop_class in classes:
            if apart:
                for syntax in syntaxes:
                    entity.add_requested_context(sop_class, syntax)
            else:
                entity.add_requested_context(sop_class, list(syntaxes))
        extended = [build_role(sop_class, scp_role=True) for sop_class in classes] if with_role else []
        if relational:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = self.sop_class, b"\x01"
            extended.append(item)
        self.association = entity.associate(
            "127.0.0.1", cluster.port, ae_title="VARVE", ext_neg=extended, evt_handlers=[(evt.EVT_C_STORE, self.take)]
        )
        assert self.association.is_established
        for item in self.association.acceptor.user_information:
            if isinstance(item, SOPClassExtendedNegotiation):
                self.granted = item.service_class_application_information

    def take(self, event):
        status = self.status(len(self.received)) if callable(self.status) else self.status
        uid = event.request.AffectedSOPInstanceUID
        self.received[uid] = (event.context.transfer_syntax, event.request.DataSet.getvalue())
        return status

    def get(self, level, cancel_after=None, **keys):
        """The statuses' data sets and identifiers."""
        answers = []
        for answer in self.association.send_c_get(identifier(level, **keys), self.sop_class, msg_id=11):
            answers.append(answer)
            if cancel_after is not None and len(answers) == cancel_after:
                self.association.send_c_cancel(11, query_model=self.sop_class)
        return answers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.association.release()


def counts(status):
    names = ("Completed", "Failed", "Warning")
    return tuple(getattr(status, "NumberOf%sSuboperations" % name, None) for name in names)


def test_a_study_comes_back_byte_for_byte(cluster, stored):
    with Getter(cluster) as getter:
        answers = getter.get("STUDY", StudyInstanceUID=stored[0].study)
        assert {uid: data for uid, (_, data) in getter.received.items()} == {
            one.sop_instance: one.data_set for one in stored[:10]
        }
    pending = [status for status, _ in answers[:-1]]
    check_pending(pending, 10)
    # The first is told at once.
    assert pending[0].NumberOfRemainingSuboperations == 9
    assert answers[-1][0].Status == 0x0000
    assert answers[-1][1] is None
    assert counts(answers[-1][0]) == (10, 0, 0)
    assert "NumberOfRemainingSuboperations" not in answers[-1][0]


@pytest.mark.parametrize("model", ["patient", "study"])
def test_each_level(cluster, stored, model):
    one = stored[0]
    above = {"PatientID": "get-0"} if model == "patient" else {}
    wanted = {
        "STUDY": ({"StudyInstanceUID": [one.study, stored[10].study]}, 10 if above else 13),
        "SERIES": ({"StudyInstanceUID": one.study, "SeriesInstanceUID": [one.series, stored[6].series]}, 10),
        "IMAGE": ({"StudyInstanceUID": one.study, "SeriesInstanceUID": one.series,
                   "SOPInstanceUID": [stored[1].sop_instance, stored[3].sop_instance, "1.2.3"]}, 2),
    }  # fmt: skip
    if above:
        wanted["PATIENT"] = ({}, 10)
    with Getter(cluster, model=model) as getter:
        for level, (keys, count) in wanted.items():
            getter.received.clear()
            answers = getter.get(level, **above, **keys)
            assert answers[-1][0].Status == 0x0000, answers[-1]
            assert len(getter.received) == count, level


def test_the_stored_syntax_passes_through_where_it_is_accepted(cluster, stored):
    with Getter(cluster, [EXPLICIT, JPEG_LS], apart=True) as getter:
        getter.get("SERIES", StudyInstanceUID=stored[0].study, SeriesInstanceUID=stored[0].series)
        assert {syntax for syntax, _ in getter.received.values()} == {JPEG_LS}


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_other_native_syntaxes(cluster, stored, syntax):
    one = stored[0]
    with Getter(cluster, [syntax]) as getter:
        getter.get("IMAGE", StudyInstanceUID=one.study, SeriesInstanceUID=one.series, SOPInstanceUID=one.sop_instance)
        ((name, data),) = getter.received.values()
    assert name == syntax
    expected = pydicom.dcmread(DicomBytesIO(one.file_bytes()))
    found = read_dataset(DicomBytesIO(data), syntax == IMPLICIT, syntax != BIG_ENDIAN)
    pixels = found.PixelData
    if syntax == BIG_ENDIAN:
        swapped = bytearray(pixels)
        swapped[0::2], swapped[1::2] = pixels[1::2], pixels[0::2]
        pixels = bytes(swapped)
    assert pixels == expected.PixelData
    del found.PixelData, expected.PixelData
    assert [(element.tag, element.value) for element in found] == [
        (element.tag, element.value) for element in expected
    ]


def test_failures_are_counted_and_named_and_warnings_are_not(cluster, stored):
    statuses = [0x0000, 0xA700, 0xB000, 0xC123]
    with Getter(cluster, status=lambda number: statuses[number % 4]) as getter:
        answers = getter.get("SERIES", StudyInstanceUID=stored[0].study, SeriesInstanceUID=stored[6].series)
        order = list(getter.received)
    status, failed = answers[-1]
    assert status.Status == 0xB000
    assert counts(status) == (1, 2, 1)
    assert list(failed.FailedSOPInstanceUIDList) == [order[1], order[3]]


def test_all_failed_is_a_failure(cluster, stored):
    with Getter(cluster, status=0xA700) as getter:
        answers = getter.get("STUDY", StudyInstanceUID=stored[10].study)
    status, failed = answers[-1]
    assert status.Status == 0xA702
    assert counts(status) == (0, 3, 0)
    assert sorted(failed.FailedSOPInstanceUIDList) == sorted(one.sop_instance for one in stored[10:])


@pytest.mark.parametrize("options", [{"with_role": False}, {"classes": (MRImageStorage,)}])
def test_what_the_requestor_did_not_offer_to_take_fails(cluster, stored, options):
    with Getter(cluster, **options) as getter:
        answers = getter.get("STUDY", StudyInstanceUID=stored[10].study)
        assert not getter.received
    assert answers[-1][0].Status == 0xA702
    assert counts(answers[-1][0]) == (0, 3, 0)


def test_nothing_found_is_success(cluster):
    with Getter(cluster) as getter:
        answers = getter.get("STUDY", StudyInstanceUID="1.2.3.4.5")
    assert [status.Status for status, _ in answers] == [0x0000]
    assert counts(answers[0][0]) == (0, 0, 0)


def test_relational_retrieval(cluster, stored):
    """Series and instances by their own UIDs, whatever studies they are in (PS3.4 C.4.3.2.2); refused where not negotiated."""
    one, other = stored[0], stored[10]
    wanted = [
        ("SERIES", {"SeriesInstanceUID": one.series}, stored[:6]),
        ("SERIES", {"SeriesInstanceUID": [one.series, other.series]}, stored[:6] + stored[10:]),
        ("SERIES", {"StudyInstanceUID": [one.study, other.study], "SeriesInstanceUID": other.series}, stored[10:]),
        ("SERIES", {"StudyInstanceUID": other.study, "SeriesInstanceUID": [one.series, other.series]}, stored[10:]),
        ("IMAGE", {"SOPInstanceUID": one.sop_instance}, stored[:1]),
        ("IMAGE", {"SOPInstanceUID": [stored[1].sop_instance, stored[7].sop_instance, stored[11].sop_instance, "1.2.3"]},
         [stored[1], stored[7], stored[11]]),
        ("IMAGE", {"SeriesInstanceUID": one.series, "SOPInstanceUID": [one.sop_instance, stored[7].sop_instance]},
         stored[:1]),
        ("IMAGE", {"StudyInstanceUID": other.study, "SOPInstanceUID": [one.sop_instance, stored[12].sop_instance]},
         stored[12:]),
    ]  # fmt: skip
    for model in ("study", "patient"):
        with Getter(cluster, model=model, relational=True) as getter:
            assert getter.granted == b"\x01"
            for level, keys, expected in wanted:
                getter.received.clear()
                status = getter.get(level, **keys)[-1][0]
                assert (status.Status, counts(status)) == (0x0000, (len(expected), 0, 0)), (level, keys)
                assert set(getter.received) == {one.sop_instance for one in expected}
            getter.received.clear()
            if model == "patient":
                # Another patient's.
                assert counts(getter.get("IMAGE", PatientID="get-1", SOPInstanceUID=one.sop_instance)[-1][0]) == (0, 0, 0)
                assert counts(getter.get("IMAGE", PatientID="get-0", SOPInstanceUID=one.sop_instance)[-1][0]) == (1, 0, 0)
            # The level's own key is needed, and is no pattern.
            assert getter.get("IMAGE", StudyInstanceUID=one.study)[-1][0].OffendingElement == 0x00080018
            assert getter.get("SERIES", SeriesInstanceUID="1.*")[-1][0].Status == 0xA900
    with Getter(cluster) as getter:
        ((status, _),) = getter.get("IMAGE", SOPInstanceUID=one.sop_instance)
        assert (status.Status, status.OffendingElement) == (0xA900, 0x0020000D)
        assert getter.granted is None and not getter.received


def test_an_identifier_that_is_none(cluster):
    with Getter(cluster) as getter:
        for level, keys, offending in (
            ("PATIENT", {"PatientID": "get-0"}, 0x00080052),
            ("STUDY", {"StudyInstanceUID": ""}, 0x0020000D),
            ("SERIES", {"SeriesInstanceUID": "1.2"}, 0x0020000D),
        ):
            ((status, _),) = getter.get(level, **keys)
            assert status.Status == 0xA900
            assert status.OffendingElement == offending


def test_cancelling_in_the_middle(cluster, stored):
    def slow(_):
        time.sleep(0.06)
        return 0x0000

    with Getter(cluster, status=slow) as getter:
        answers = getter.get("STUDY", cancel_after=2, StudyInstanceUID=stored[0].study)
        check_pending([status for status, _ in answers[:-1]], 10)
        status = answers[-1][0]
        assert status.Status == 0xFE00
        done = status.NumberOfCompletedSuboperations
        assert 2 <= done < 10
        assert done + status.NumberOfRemainingSuboperations == 10
        assert len(getter.received) == done
        # And the association is as it was.
        getter.received.clear()
        assert getter.get("STUDY", StudyInstanceUID=stored[10].study)[-1][0].Status == 0x0000
        assert len(getter.received) == 3


def test_getscu(cluster, stored, tmp_path):
    done = dcmtk(
        "getscu", "-v", "-S", "-aec", "VARVE", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY",
        "-k", "StudyInstanceUID=" + stored[0].study, "127.0.0.1", cluster.port,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = glob.glob(os.path.join(tmp_path, "*"))
    pixels = {str(one.SOPInstanceUID): one.PixelData for one in map(pydicom.dcmread, files)}
    assert set(pixels) == {one.sop_instance for one in stored[:10]}
    for one in stored[:10]:
        assert one.data_set.endswith(pixels[one.sop_instance])

class TestVarveGet:
    """`varve get` with Varve, DCMTK's dcmqrscp and Orthanc as the archive."""

    @staticmethod
    def run(port, called, output, *keys, options=()):
        return subprocess.run(
            [binary(), "get", "--port", str(port), "--called", called, "--output", str(output), *options, *keys],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    @staticmethod
    def expect(output, made, byte_for_byte=True):
        """The files of these instances and no others, each whole and where it belongs."""
        found = {os.path.relpath(path, output): pydicom.dcmread(path)
                 for path in glob.glob(os.path.join(output, "**", "*"), recursive=True) if os.path.isfile(path)}  # fmt: skip
        assert set(found) == {os.path.join(one.study, one.series, one.sop_instance + ".dcm") for one in made}
        assert not glob.glob(os.path.join(output, ".*"))
        for one in made:
            name = os.path.join(one.study, one.series, one.sop_instance + ".dcm")
            assert found[name].file_meta.MediaStorageSOPInstanceUID == one.sop_instance
            assert one.data_set.endswith(found[name].PixelData)
            if byte_for_byte:
                with open(os.path.join(output, name), "rb") as file:
                    assert file.read().endswith(one.data_set)

    def test_from_varve(self, cluster, stored, tmp_path):
        target = tmp_path / "got"
        for _ in range(2):
            # The second time over the files of the first.
            done = self.run(cluster.port, "VARVE", target, "StudyInstanceUID=" + stored[0].study)
            assert (done.returncode, done.stdout) == (0, "10 received, 0 failed\n"), done.stderr
            self.expect(target, stored[:10])

    def test_levels_and_syntaxes(self, cluster, stored, tmp_path):
        one = stored[6]
        done = self.run(
            cluster.port, "VARVE", tmp_path, "StudyInstanceUID=" + one.study, "SeriesInstanceUID=" + one.series,
            options=["--level", "series", "--sop-class", str(CTImageStorage), "--transfer-syntax", "JPEG-LS Lossless"],
        )  # fmt: skip
        assert done.returncode == 2 and "neither name nor UID" in done.stderr
        done = self.run(
            cluster.port, "VARVE", tmp_path, "StudyInstanceUID=" + one.study, "SeriesInstanceUID=" + one.series,
            options=["--level", "series", "--sop-class", str(CTImageStorage), "--transfer-syntax", JPEG_LS],
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "4 received, 0 failed\n"), done.stderr
        files = glob.glob(os.path.join(tmp_path, "*", "*", "*.dcm"))
        assert {pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in files} == {JPEG_LS}

    def test_nothing_and_failures(self, cluster, stored, tmp_path):
        done = self.run(cluster.port, "VARVE", tmp_path, "StudyInstanceUID=1.2.3.4.5")
        assert (done.returncode, done.stdout) == (0, "0 received, 0 failed\n")
        # A SOP class that is not taken.
        done = self.run(
            cluster.port, "VARVE", tmp_path, "StudyInstanceUID=" + stored[10].study,
            options=["--sop-class", str(MRImageStorage)],
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "0 received, 3 failed\n")
        assert "A702H" in done.stderr and all(one.sop_instance in done.stderr for one in stored[10:])
        # A file where the study's directory would be.
        (tmp_path / stored[10].study).write_text("")
        done = self.run(cluster.port, "VARVE", tmp_path, "StudyInstanceUID=" + stored[10].study)
        assert (done.returncode, done.stdout) == (1, "0 received, 3 failed\n")
        assert "not written" in done.stderr
        assert os.listdir(tmp_path) == [stored[10].study]
        done = self.run(cluster.port, "VARVE", tmp_path / "no" / "such", "StudyInstanceUID=1.2")
        assert done.returncode == 1 and "No such file or directory" in done.stderr

    def test_a_full_disk(self, cluster, stored, tmp_path):
        """What does not fit is answered with A700H, and what was received stays."""
        target = tmp_path / "disk"
        target.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "none", target]).returncode:
            pytest.skip("needs root to mount a small file system")
        try:
            done = self.run(cluster.port, "VARVE", target, "StudyInstanceUID=" + stored[0].study)
            assert done.returncode == 1
            assert "No space left on device" in done.stderr
            received = int(done.stdout.split()[0])
            files = glob.glob(os.path.join(target, "*", "*", "*"))
            assert 0 < len(files) == received < 10
            assert done.stdout == "%d received, %d failed\n" % (received, 10 - received)
            assert not glob.glob(os.path.join(target, ".*"))
        finally:
            subprocess.run(["umount", target], check=True)

    def test_a_peer_that_sends_hostile_uids(self, tmp_path):
        """A C-GET SCP that wants files outside of the directory."""
        (port,) = free_ports(1)
        target, sent = tmp_path / "inside", []

        def serve(event):
            yield 3
            for number, uid in enumerate(["../../escaped", "/tmp/escaped", "1.2.3"]):
                one = pydicom.dcmread(DicomBytesIO(instance("hostile", number).file_bytes()))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    one.StudyInstanceUID = ["..", "../../escaped", "1.2"][number]
                    one.SOPInstanceUID = uid
                sent.append(uid)
                yield 0xFF00, one

        entity = AE(ae_title="HOSTILE")
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        entity.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_GET, serve)])
        try:
            done = self.run(port, "HOSTILE", target, "StudyInstanceUID=1.2", options=["--sop-class", str(CTImageStorage)])
        finally:
            server.shutdown()
        assert sent[-1] == "1.2.3"
        assert (done.returncode, done.stdout) == (1, "1 received, 2 failed\n"), done.stderr
        assert os.listdir(tmp_path) == ["inside"]
        assert [os.path.relpath(path, target) for path in glob.glob(str(target / "*/*/*"))] == [
            os.path.join("1.2", instance("hostile", 2).series, "1.2.3.dcm")
        ]

    def test_from_dcmqrscp(self, stored, tmp_path):
        (port,) = free_ports(1)
        (tmp_path / "db").mkdir()
        (tmp_path / "dcmqrscp.cfg").write_text(
            "NetworkTCPPort = %d\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            "AETable BEGIN\nDCMQR %s RW (200, 1024mb) ANY\nAETable END\n" % (port, tmp_path / "db")
        )
        peer = subprocess.Popen(
            ["dcmqrscp", "-c", str(tmp_path / "dcmqrscp.cfg")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                if dcmtk("echoscu", "-aec", "DCMQR", "127.0.0.1", port).returncode == 0:
                    break
                time.sleep(0.05)
            entity = AE(ae_title="SENDER")
            entity.add_requested_context(CTImageStorage, EXPLICIT)
            association = entity.associate("127.0.0.1", port, ae_title="DCMQR")
            for one in stored[:10]:
                assert association.send_c_store(pydicom.dcmread(DicomBytesIO(one.file_bytes()))).Status == 0
            association.release()
            done = self.run(port, "DCMQR", tmp_path / "got", "StudyInstanceUID=" + stored[0].study)
        finally:
            peer.terminate()
            peer.wait(10)
        assert (done.returncode, done.stdout) == (0, "10 received, 0 failed\n"), done.stderr
        self.expect(tmp_path / "got", stored[:10], byte_for_byte=False)

    @pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed")
    def test_from_orthanc(self, stored, tmp_path):
        with Orthanc(tmp_path / "orthanc") as orthanc:
            for one in stored[:10]:
                orthanc.ask("instances", one.file_bytes())
            done = self.run(orthanc.port, "ORTHANC", tmp_path / "got", "StudyInstanceUID=" + stored[0].study)
            assert (done.returncode, done.stdout) == (0, "10 received, 0 failed\n"), done.stderr
            self.expect(tmp_path / "got", stored[:10], byte_for_byte=False)
            # One of a patient's, and what Orthanc does not have.
            done = self.run(
                orthanc.port, "ORTHANC", tmp_path / "patient", "PatientID=get-0", options=["--level", "patient"]
            )
            assert done.stdout == "10 received, 0 failed\n", done.stderr
            self.expect(tmp_path / "patient", stored[:10], byte_for_byte=False)
