# SPDX-License-Identifier: Apache-2.0
"""What the torture sends: senders, who write down each instance that was acknowledged."""

import functools
import multiprocessing
import os
import struct
import subprocess
import time

import numpy
from support.phantom import PIXEL_DATA, instance
from support.sender import Association

SENDERS = 4
STUDIES_PER_SENDER = 2
INSTANCES_PER_SENDER = 600
SEND_SECONDS = 300
# Between two instances of one sender: what takes long is to be hurt, not to be filled.
PAUSE_SECONDS = 0.04

# One instance a round is noise of this many pixels a side: compressed it is more than 16 MiB, and so a record in a
# segment of its own, written in pieces.
LARGE_SIDE = 3584
LARGE_SENDER, LARGE_INDEX = 0, 5
ROWS, COLUMNS = 0x00280010, 0x00280011

# Where a load goes on for an hour: small instances, one in so many of several hundred KiB, in studies that can be shown
# whole in no time.
SMALL_SIDE, MEDIUM_SIDE, MEDIUM_EVERY, SMALL_STUDY = 64, 512, 40, 20


def made(label, sender, index):
    name = "%s-%d" % (label, sender)
    if (sender, index) == (LARGE_SENDER, LARGE_INDEX):
        return _large(name, index)
    return instance(name, index, study=index % STUDIES_PER_SENDER)


@functools.lru_cache(2)
def _large(name, index):
    return _noise(name, index, index % STUDIES_PER_SENDER, LARGE_SIDE)


def made_small(label, sender, index):
    side = MEDIUM_SIDE if index % MEDIUM_EVERY == MEDIUM_EVERY - 1 else SMALL_SIDE
    return _noise("%s-%d" % (label, sender), index, index // SMALL_STUDY, side)


def _noise(name, index, study, side):
    noise = numpy.random.default_rng([index, *name.encode()]).integers(0, 1 << 12, side * side, numpy.uint16)
    side = struct.pack("<H", side)
    values = {ROWS: side, COLUMNS: side, PIXEL_DATA: noise.astype("<u2").tobytes()}
    return instance(name, index, study=study, values=values)


def send(made, label, sender, port, acknowledged, stop, count=INSTANCES_PER_SENDER, seconds=SEND_SECONDS):
    """Sends like a modality: after a lost association or a refusal the same instance again.

    Writes the index of each instance that got success to the file `acknowledged`, at once.
    """
    deadline = time.monotonic() + seconds
    first = made(label, sender, 0)
    index, association = 0, None
    with open(acknowledged, "a", buffering=1) as log:
        while index < count and not stop.is_set() and time.monotonic() < deadline:
            if association is None or not association.is_established:
                association = Association(port, [(first.sop_class, first.syntax)], timeout=20)
                if not association.is_established:
                    stop.wait(0.2)
                    continue
            one = made(label, sender, index)
            try:
                status = association.store(one.sop_class, one.sop_instance, one.syntax, one.data_set)
            except (OSError, RuntimeError, ValueError):
                status = None
            if status == 0:
                log.write("%d\n" % index)
                index += 1
                stop.wait(PAUSE_SECONDS)
            else:
                if status is not None:
                    log.write("refused %04X\n" % status)
                stop.wait(0.2)
        if association is not None and association.is_established:
            association.association.release()


class PynetdicomLoad:
    """Four processes, each with its own association; `limits` are those of `send`."""

    name = "pynetdicom"

    def __init__(self, label, port, directory, made=made, senders=SENDERS, **limits):
        self.label = label
        self.stop_event = multiprocessing.Event()
        self.logs = [os.path.join(directory, "acknowledged-%d" % sender) for sender in range(senders)]
        self.processes = [
            multiprocessing.Process(
                target=send, args=(made, label, sender, port, self.logs[sender], self.stop_event), kwargs=limits
            )
            for sender in range(senders)
        ]
        for process in self.processes:
            process.start()

    def _lines(self):
        for sender, path in enumerate(self.logs):
            if os.path.exists(path):
                with open(path) as file:
                    for line in file:
                        yield sender, line.strip()

    def acknowledged(self):
        """[(sender, index)] so far."""
        return [(sender, int(line)) for sender, line in self._lines() if line.isdigit()]

    def refusals(self):
        return sum(line.startswith("refused") for _, line in self._lines())

    def is_running(self):
        return any(process.is_alive() for process in self.processes)

    def finish(self):
        self.stop_event.set()
        for process in self.processes:
            process.join(90)
            if process.is_alive():
                process.kill()
                process.join(10)


class DcmsendLoad:
    """Four dcmsend processes. Their exit status says nothing, so their log is read: it names each
    response's instance and status."""

    name = "dcmsend"

    def __init__(self, label, port, directory):
        self.label = label
        self.uids = {}
        self.logs, self.processes = [], []
        for sender in range(SENDERS):
            files = []
            for index in range(INSTANCES_PER_SENDER // 4):
                one = made(label, sender, index)
                self.uids[one.sop_instance] = (sender, index)
                path = os.path.join(directory, "%d-%04d.dcm" % (sender, index))
                with open(path, "wb") as file:
                    file.write(one.file_bytes())
                files.append(path)
            log = os.path.join(directory, "dcmsend-%d.log" % sender)
            self.logs.append(log)
            with open(log, "wb") as out:
                self.processes.append(subprocess.Popen(
                    ["dcmsend", "-d", "--no-halt", "-to", "5", "-ta", "10", "-td", "20", "-aec", "VARVE",
                     "127.0.0.1", str(port)] + files,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                ))  # fmt: skip

    def _responses(self):
        for log in self.logs:
            uid = None
            with open(log, errors="replace") as file:
                for line in file:
                    if "OUTGOING DIMSE" in line:
                        uid = None
                    elif "Message Type" in line and "C-STORE RSP" in line:
                        uid = ""
                    elif uid == "" and "Affected SOP Instance UID" in line:
                        uid = line.rpartition(":")[2].strip()
                    elif uid and "DIMSE Status" in line:
                        yield uid, "0x0000" in line
                        uid = None

    def acknowledged(self):
        return [self.uids[uid] for uid, is_success in self._responses() if is_success]

    def refusals(self):
        return sum(not is_success for _, is_success in self._responses())

    def is_running(self):
        return any(process.poll() is None for process in self.processes)

    def finish(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
