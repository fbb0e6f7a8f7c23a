# SPDX-License-Identifier: Apache-2.0
"""A Query/Retrieve SCU: pynetdicom's, with identifiers from keywords and extended negotiation."""

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

FIND = {
    "patient": PatientRootQueryRetrieveInformationModelFind,
    "study": StudyRootQueryRetrieveInformationModelFind,
}


def identifier(level, **keys):
    """A data set of the keys; `level` None leaves it out."""
    made = Dataset()
    if level is not None:
        made.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    if any(isinstance(value, str) and not value.isascii() for value in keys.values()):
        made.SpecificCharacterSet = "ISO_IR 192"
    return made


def associate(port, contexts, extended=None, handlers=(), called="VARVE"):
    """`extended`: {SOP class: bytes} of extended negotiation; returns the association and what was granted."""
    entity = AE(ae_title="QUERYSCU")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    items = []
    for sop_class, information in (extended or {}).items():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = sop_class
        item.service_class_application_information = bytes(information)
        items.append(item)
    for sop_class in contexts:
        entity.add_requested_context(sop_class)
    association = entity.associate(
        "127.0.0.1", port, ae_title=called, ext_neg=items or None, evt_handlers=list(handlers)
    )
    assert association.is_established
    granted = {
        item.sop_class_uid: list(item.service_class_application_information)
        for item in association.acceptor.user_information
        if isinstance(item, SOPClassExtendedNegotiation)
    }
    return association, granted


def find(port, level, model="study", options=None, **keys):
    """[(status data set, identifier)] of a C-FIND; `options`: the bytes of extended negotiation."""
    sop_class = FIND[model]
    association, granted = associate(port, [sop_class], {sop_class: options} if options else None)
    try:
        assert granted.get(sop_class) == (list(options) if options else None)
        return list(association.send_c_find(identifier(level, **keys), sop_class))
    finally:
        association.release()


def statuses_of(answers):
    return [status.Status for status, _ in answers]


def matches_of(answers):
    """The identifiers; asserts that the query ended well, without one at its end."""
    assert answers and answers[-1][0].Status == 0x0000 and answers[-1][1] is None, answers[-1:]
    assert all(status.Status in (0xFF00, 0xFF01) for status, _ in answers[:-1])
    return [match for _, match in answers[:-1]]


def check_pending(pending, total):
    """The pending responses of a retrieval: at least one, counts that add up to `total` and never go back."""
    assert pending and {status.Status for status in pending} == {0xFF00}
    seen = [
        (status.NumberOfCompletedSuboperations, status.NumberOfFailedSuboperations, status.NumberOfWarningSuboperations)
        for status in pending
    ]
    assert all(sum(counts) + status.NumberOfRemainingSuboperations == total for counts, status in zip(seen, pending))
    assert all(now <= then for before, after in zip(seen, seen[1:]) for now, then in zip(before, after))
    assert all(sum(before) < sum(after) for before, after in zip(seen, seen[1:]))
