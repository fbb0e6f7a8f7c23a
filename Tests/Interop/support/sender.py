# SPDX-License-Identifier: Apache-2.0
"""A C-STORE SCU that sends the bytes it is given, unmodified, and tells each status."""

import threading
import time
from io import BytesIO

from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE


class Checkpoint(threading.Event):
    """Holds pynetdicom's reactor up, and knows for certain whether it does.

    pynetdicom's own flag for that is true for a moment after the reactor went on, which then takes the answer that
    somebody else waits for.
    """

    holds = False

    def wait(self, timeout=None):
        with self._cond:
            while not self._flag:
                self.holds = True
                self._cond.wait()
            self.holds = False
        return True


class Association:
    """One association for the (SOP class, transfer syntax) pairs given; one context each."""

    def __init__(self, port, pairs, called="VARVE", calling="INTEROP", timeout=60, together=False, host="127.0.0.1"):
        entity = AE(ae_title=calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout
        entity.connection_timeout = 10
        if together:
            classes = {}
            for sop_class, syntax in pairs:
                classes.setdefault(sop_class, []).append(syntax)
            for sop_class, syntaxes in classes.items():
                entity.add_requested_context(sop_class, syntaxes)
        else:
            for sop_class, syntax in pairs:
                entity.add_requested_context(sop_class, syntax)
        self.association = entity.associate(host, port, ae_title=called)
        self._message_id = 0
        self._checkpoint = Checkpoint()
        self._checkpoint.set()
        self.association._reactor_checkpoint = self._checkpoint

    @property
    def is_established(self):
        return self.association.is_established

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.association.is_established:
            self.association.release()

    def context(self, sop_class, syntax):
        for context in self.association.accepted_contexts:
            if context.abstract_syntax == sop_class and context.transfer_syntax[0] == syntax:
                return context.context_id
        return None

    def store(self, sop_class, sop_instance, syntax, data_set):
        """The status as an integer; None when the association ended or no context fits."""
        identifier = self.context(sop_class, syntax)
        if identifier is None:
            return None
        self._message_id = self._message_id % 65535 + 1
        request = C_STORE()
        request.MessageID = self._message_id
        request.AffectedSOPClassUID = sop_class
        request.AffectedSOPInstanceUID = sop_instance
        request.Priority = 0
        if data_set is not None:
            request.DataSet = BytesIO(data_set)
        # pynetdicom's own reactor must not take the answer first.
        self._checkpoint.clear()
        try:
            while not self._checkpoint.holds:
                if not self.association.is_alive():
                    return None
                time.sleep(0.0002)
            self.association.dimse.send_msg(request, identifier)
            _, answer = self.association.dimse.get_msg(block=True)
        finally:
            self._checkpoint.set()
        return None if answer is None else int(answer.Status)


def store_one(port, sop_class, sop_instance, syntax, data_set, **options):
    with Association(port, [(sop_class, syntax)], **options) as association:
        return association.store(sop_class, sop_instance, syntax, data_set)
