# SPDX-License-Identifier: Apache-2.0
"""Sends several large multi-frame instances at once, made on the fly, and tells the ingest node's peak memory."""

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.request

import instances
import machine
import part10
from contenders import Varve
from store_scu import StoreSCU

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
FRAME_BYTE_COUNT = 512 * 512 * 2
MEBIBYTE = 1 << 20


def arguments():
    parser = argparse.ArgumentParser(
        prog="Benchmarks/memory.sh",
        description="Peak memory of an ingest node that receives large multi-frame CT instances in parallel.",
        epilog="example: Benchmarks/memory.sh --instances 2 --megabytes 500",
    )
    parser.add_argument("--instances", type=int, default=8, help="sent at once, one association each (default 8)")
    parser.add_argument("--megabytes", type=int, default=2000, help="pixel data of each, in 10^6 bytes (default 2000)")
    parser.add_argument("--codec", default="balanced", help="codec class (default balanced)")
    parser.add_argument("--encapsulated", action="store_true",
                        help="send as JPEG-LS with an extended offset table and incompressible fragments, which is "
                        "kept as it comes: the way to objects over 4 GB")  # fmt: skip
    parser.add_argument("--read-back", action="store_true", help="read the first one back and compare its digest")
    parser.add_argument("--work", default="/tmp", help="where the cluster's data goes (default /tmp)")
    return parser.parse_args()


class Large:
    """A multi-frame instance as a stream of bytes: slices of the corpus, each frame rolled by some rows."""

    def __init__(self, number, megabytes, pixels, encapsulated):
        self.frame_count = max(1, megabytes * 1_000_000 // FRAME_BYTE_COUNT)
        self.pixels = pixels
        self.number = number
        self.encapsulated = encapsulated
        self.sop_instance = instances.uid("memory", time.time_ns(), "instance", number)
        self.study = instances.uid("memory", self.sop_instance, "study")
        self.series = instances.uid("memory", self.sop_instance, "series")
        self.syntax = "1.2.840.10008.1.2.4.80" if encapsulated else part10.EXPLICIT_LITTLE_ENDIAN
        self.digest = hashlib.sha256()

    def _head(self):
        yield part10.element(8, 0x16, "UI", ENHANCED_CT)
        yield part10.element(8, 0x18, "UI", self.sop_instance)
        yield part10.element(8, 0x60, "CS", "CT")
        yield part10.element(0x10, 0x10, "PN", "Memory^Large")
        yield part10.element(0x10, 0x20, "LO", "MEMORY%d" % self.number)
        yield part10.element(0x20, 0x0D, "UI", self.study)
        yield part10.element(0x20, 0x0E, "UI", self.series)
        for tag, vr, value in (
            (0x02, "US", 1), (0x04, "CS", "MONOCHROME2"), (0x08, "IS", str(self.frame_count)), (0x10, "US", 512),
            (0x11, "US", 512), (0x100, "US", 16), (0x101, "US", 16), (0x102, "US", 15), (0x103, "US", 1),
        ):  # fmt: skip
            if vr == "US":
                yield b"\x28\0" + tag.to_bytes(2, "little") + b"US\2\0" + value.to_bytes(2, "little")
            else:
                yield part10.element(0x28, tag, vr, value)

    def _frame(self, index):
        pixels = self.pixels[(index + self.number) % len(self.pixels)]
        shift = index // len(self.pixels) % 512 * instances.ROW_BYTE_COUNT
        return pixels[shift:] + pixels[:shift]

    def pieces(self):
        for piece in self._head():
            yield piece
        count = self.frame_count
        if not self.encapsulated:
            yield b"\xe0\x7f\x10\x00OW\0\0" + (count * FRAME_BYTE_COUNT).to_bytes(4, "little")
            for index in range(count):
                yield self._frame(index)
            return
        # PS3.3 section C.7.6.3.1.8: the extended offset table stands before Pixel Data, the basic one is empty.
        step = 8 + FRAME_BYTE_COUNT
        for tag, values in ((1, (index * step for index in range(count))), (2, (FRAME_BYTE_COUNT for _ in range(count)))):
            yield b"\xe0\x7f" + tag.to_bytes(2, "little") + b"OV\0\0" + (8 * count).to_bytes(4, "little")
            yield b"".join(value.to_bytes(8, "little") for value in values)
        yield b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0"
        for index in range(count):
            yield b"\xfe\xff\x00\xe0" + FRAME_BYTE_COUNT.to_bytes(4, "little")
            yield self._frame(index)
        yield b"\xfe\xff\xdd\xe0\0\0\0\0"

    def counted(self, total):
        for piece in self.pieces():
            self.digest.update(piece)
            total[self.number] += len(piece)
            yield piece


def ingest_pid(roots):
    for pid in machine.tree(roots):
        try:
            if b"ingest" in open("/proc/%d/cmdline" % pid, "rb").read():
                return pid
        except FileNotFoundError:
            continue
    raise RuntimeError("no ingest node among the processes")


def memory(pid, field):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(field + r":\s+(\d+) kB", file.read()).group(1)) * 1024


def read_back(server, large):
    """Whether the data set that comes back is the one that was sent, byte for byte."""
    url = "http://127.0.0.1:%d/dicom-web/studies/%s/series/%s/instances/%s" % (
        server.http, large.study, large.series, large.sop_instance)  # fmt: skip
    kind = 'multipart/related; type="application/dicom"; transfer-syntax=%s' % large.syntax
    request = urllib.request.Request(url, headers={"Accept": kind})
    digest, head, length = hashlib.sha256(), b"", 0
    with urllib.request.urlopen(request, timeout=600) as answer:
        boundary = re.search(r'boundary="?([^";]+)', answer.headers["Content-Type"]).group(1).encode()
        end = b"\r\n--" + boundary + b"--"
        tail = b""
        while piece := answer.read(MEBIBYTE):
            if head is not None:
                head += piece
                if len(head) < 4096:
                    continue
                start = head.index(b"\r\n\r\n") + 4
                body = head[start:]
                # Preamble, DICM, then file meta information whose group length comes first.
                skip = 132 + 12 + int.from_bytes(body[140:144], "little")
                piece, head = body[skip:], None
            tail += piece
            keep = len(end) + 4
            digest.update(tail[:-keep])
            length += len(tail) - min(len(tail), keep)
            tail = tail[-keep:]
        digest.update(tail[: tail.index(end)])
    return digest.digest() == large.digest.digest()


def main():
    chosen = arguments()
    corpus = os.environ.get("VARVE_TEST_CORPUS", os.path.join(ROOT, "..", "shared", "corpus"))
    pixels = [pixels for _, pixels in instances._sources(corpus)]
    directory = tempfile.mkdtemp(prefix="varve-memory-", dir=chosen.work)
    server = type("Chosen", (Varve,), {"codec": chosen.codec})(directory, True)
    try:
        server.start()
        pid = ingest_pid(server.roots())
        before = memory(pid, "VmRSS")
        larges = [Large(number, chosen.megabytes, pixels, chosen.encapsulated) for number in range(chosen.instances)]
        statuses, total = [None] * len(larges), [0] * len(larges)

        def send(large):
            with StoreSCU(server.port, server.ae_title, ENHANCED_CT, large.syntax) as association:
                statuses[large.number] = association.store(large.sop_instance, large.counted(total))

        start = time.monotonic()
        threads = [threading.Thread(target=send, args=(large,)) for large in larges]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - start
        peak = memory(pid, "VmHWM")
        print("%d instances of %.2f GB at once, class %s%s: %.1f GB in %.0f s (%.0f MB/s)" % (
            len(larges), total[0] / 1e9, chosen.codec, ", encapsulated" if chosen.encapsulated else "",
            sum(total) / 1e9, seconds, sum(total) / 1e6 / seconds))  # fmt: skip
        print("statuses: %s" % ", ".join("none" if one is None else "%04XH" % one for one in statuses))
        print("ingest node, resident: %.0f MiB at first, %.0f MiB at most" % (before / MEBIBYTE, peak / MEBIBYTE))
        data, _ = server.folders()
        print("on disk, two copies: %.2f GB" % (sum(map(machine.written_bytes, data)) / 1e9))
        same = True
        if chosen.read_back:
            start = time.monotonic()
            same = read_back(server, larges[0])
            print("read back in %.0f s: %s; then at most %.0f MiB" % (
                time.monotonic() - start, "byte for byte what was sent" if same else "NOT WHAT WAS SENT",
                memory(pid, "VmHWM") / MEBIBYTE))  # fmt: skip
        if any(status != 0 for status in statuses) or not same:
            sys.exit(1)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
