# SPDX-License-Identifier: Apache-2.0
"""What the benchmark reads off the machine: CPU time of process trees, bytes on disk, free ports."""

import os
import platform
import signal
import socket
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def describe():
    """Prints what the machine is and how busy."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print("machine: %d x %s, %.0f GiB, Linux %s" % (os.cpu_count(), model, memory, platform.release()))
    print("load before: %.2f %.2f %.2f (a quiet machine is below 0.3)" % os.getloadavg())


def _stat(pid):
    """(parent, CPU ticks of the process and of the children it has waited for), or None."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def tree(roots):
    """The process ids of `roots` and all their descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = _stat(int(name))
            if found:
                children.setdefault(found[0], []).append(int(name))
    wanted, queue = [], list(roots)
    while queue:
        pid = queue.pop()
        wanted.append(pid)
        queue.extend(children.get(pid, []))
    return wanted


def cpu_seconds(roots):
    """CPU seconds used so far by the process trees under `roots`, exited children included."""
    return sum((_stat(pid) or (0, 0))[1] for pid in tree(roots)) / _TICKS


def _label(pid):
    """A process' name for the table: the configuration it runs with, or its program."""
    try:
        words = open("/proc/%d/cmdline" % pid, "rb").read().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    if "--config" in words:
        return os.path.splitext(os.path.basename(words[words.index("--config") + 1]))[0]
    return os.path.basename(words[0].split(":")[0].split(" ")[0]) or "exited"


def cpu_seconds_by_label(roots):
    """The same as `cpu_seconds`, apart for each kind of process."""
    sums = {}
    for pid in tree(roots):
        label = _label(pid)
        sums[label] = sums.get(label, 0) + (_stat(pid) or (0, 0))[1] / _TICKS
    return sums


def peak_memory_bytes(roots):
    """{process id: its peak resident bytes} for the process trees under `roots`."""
    peaks = {}
    for pid in tree(roots):
        try:
            for line in open("/proc/%d/status" % pid):
                if line.startswith("VmHWM:"):
                    peaks[pid] = int(line.split()[1]) * 1024
        except (FileNotFoundError, ProcessLookupError):
            pass
    return peaks


def written_bytes(directory):
    """Bytes that files under `directory` hold: preallocated ranges never written do not count."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += _data_bytes(os.path.join(folder, name))
            except OSError:
                pass
    return total


def _data_bytes(path):
    total = 0
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        end = os.fstat(descriptor).st_size
        offset = 0
        while offset < end:
            try:
                start = os.lseek(descriptor, offset, os.SEEK_DATA)
            except OSError:
                break
            offset = os.lseek(descriptor, start, os.SEEK_HOLE)
            total += offset - start
    finally:
        os.close(descriptor)
    return total


def wait_for_port(port, seconds, process=None):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process and process.poll() is not None:
            raise RuntimeError("%s ended with status %s" % (process.args[0], process.returncode))
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("nothing listens on 127.0.0.1:%d after %d s" % (port, seconds))


def stop(process, seconds=30):
    """SIGTERM, and SIGKILL to the whole session when it has not ended after `seconds`."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            pass
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
