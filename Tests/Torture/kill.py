# SPDX-License-Identifier: Apache-2.0
"""The kill test: what was acknowledged is there, whatever dies.

Each round loads a cluster over 4 associations and kills one of its processes with SIGKILL at a
random moment: a storage node, then the ingest node, then the Postgres postmaster, in turn. When the
cluster is ready again, every instance that was acknowledged must be readable, bit for bit what was
sent, and have two good copies, or `varve study show` must say which is missing. At the end the same
is checked once more for all rounds, with every copy read, and after a restart of the whole cluster.
"""

import argparse
import hashlib
import http.client
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))
sys.dont_write_bytecode = True
os.environ["TCP_NODELAY"] = "1"

from support import wado  # noqa: E402
from support.cluster import Cluster, ClusterError, binary  # noqa: E402
from support.phantom import instance  # noqa: E402
from support.sender import Association  # noqa: E402

SENDERS = 4
STUDIES_PER_SENDER = 2
INSTANCES_PER_SENDER = 400
SEND_SECONDS = 60
# Every this many rounds DCMTK's dcmsend sends instead of pynetdicom.
DCMSEND_EVERY = 4


def made(label, sender, index):
    return instance("%s-%d" % (label, sender), index, study=index % STUDIES_PER_SENDER)


def send(label, sender, port, acknowledged, stop):
    """Sends like a modality: after a lost association or a refusal the same instance again.

    Writes the index of each instance that got success to the file `acknowledged`, at once.
    """
    deadline = time.monotonic() + SEND_SECONDS
    first = made(label, sender, 0)
    index, association = 0, None
    with open(acknowledged, "a", buffering=1) as log:
        while index < INSTANCES_PER_SENDER and not stop.is_set() and time.monotonic() < deadline:
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
            else:
                if status is not None:
                    log.write("refused %04X\n" % status)
                stop.wait(0.2)
        if association is not None and association.is_established:
            association.association.release()


class PynetdicomLoad:
    """Four processes, each with its own association."""

    def __init__(self, label, port, directory):
        self.label = label
        self.stop_event = multiprocessing.Event()
        self.logs = [os.path.join(directory, "acknowledged-%d" % sender) for sender in range(SENDERS)]
        self.processes = [
            multiprocessing.Process(target=send, args=(label, sender, port, self.logs[sender], self.stop_event))
            for sender in range(SENDERS)
        ]
        for process in self.processes:
            process.start()

    def _lines(self):
        for sender, path in enumerate(self.logs):
            if os.path.exists(path):
                for line in open(path):
                    yield sender, line.strip()

    def acknowledged(self):
        """[(sender, index)] so far."""
        return [(sender, int(line)) for sender, line in self._lines() if line.isdigit()]

    def refusals(self):
        return sum(line.startswith("refused") for _, line in self._lines())

    def finish(self):
        self.stop_event.set()
        for process in self.processes:
            process.join(SEND_SECONDS)
            if process.is_alive():
                process.kill()
                process.join(10)


class DcmsendLoad:
    """Four dcmsend processes. Their exit status says nothing, so their log is read: it names each
    response's instance and status."""

    def __init__(self, label, port, directory):
        self.uids = {}
        self.logs, self.processes = [], []
        for sender in range(SENDERS):
            files = []
            for index in range(INSTANCES_PER_SENDER // 2):
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
            for line in open(log, errors="replace"):
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


class Verifier:
    """Checks acknowledged instances: the bytes over HTTP, the copies by `varve study show`."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.missing_copies = 0

    def check(self, label, acknowledged, verify=False):
        """Problems in words; none when all is well."""
        problems = []
        wanted = {}
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.http, timeout=60)
        for sender, index in acknowledged:
            one = made(label, sender, index)
            wanted.setdefault(one.study, {})[one.sop_instance] = one
            problem = self._read(connection, one)
            if problem:
                problems.append("%s/%d/%d (%s): %s" % (label, sender, index, one.sop_instance, problem))
        connection.close()
        for study, instances in wanted.items():
            problems += self._copies(study, instances, verify)
        return problems

    def _read(self, connection, one):
        try:
            connection.request("GET", "/dicom-web/" + one.path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return "not readable: %s" % error
        if answer.status != 200:
            return "not readable: HTTP %d %s" % (answer.status, body[:200])
        found = wado.parts(body, answer.headers["Content-Type"])
        if len(found) != 1:
            return "%d parts" % len(found)
        _, data = wado.part10.split(found[0][1])
        if data != one.data_set:
            return "differs: SHA-256 %s, sent %s" % (hashlib.sha256(data).hexdigest()[:16], one.digest[:16])
        return None

    def _copies(self, study, instances, verify):
        shown = {entry["sopInstanceUID"]: entry["copies"] for entry in self.cluster.study(study, verify)["instances"]}
        problems = []
        for uid in instances:
            copies = shown.get(uid)
            if copies is None:
                problems.append("%s is not in `varve study show %s`" % (uid, study))
                continue
            good = len({copy["node"] for copy in copies if copy["state"] == "good"})
            if good >= 2:
                continue
            self.missing_copies += 1
            said = ", ".join("%s %s" % (copy["node"], copy["state"]) for copy in copies)
            if good == 0 or len(copies) < 2:
                problems.append("%s has %d good copies: %s" % (uid, good, said or "none listed"))
            else:
                print("    says so: %s: %s" % (uid, said))
        return problems


def play_round(number, cluster, dice, label, work):
    """One round. Returns (acknowledged, problems)."""
    kind = ("storage-%d" % dice.randint(1, cluster.storage_nodes), "ingest-1", "postgres")[number % 3]
    load_type = DcmsendLoad if number % DCMSEND_EVERY == DCMSEND_EVERY - 1 else PynetdicomLoad
    directory = os.path.join(work, "round-%d" % number)
    os.mkdir(directory)
    delay, after = dice.uniform(0.0, 1.5), dice.uniform(0.5, 2.0)
    begin = time.monotonic()
    load = load_type(label, cluster.port, directory)
    try:
        while not load.acknowledged():
            if time.monotonic() > begin + 45:
                return [], ["no instance was acknowledged in 45 s"]
            time.sleep(0.05)
        time.sleep(delay)
        before = len(load.acknowledged())
        pid = cluster.kill(kind)
        time.sleep(after)
    finally:
        load.finish()
    acknowledged = load.acknowledged()
    problems = [] if pid else ["%s was not running before it was killed" % kind]
    if pid:
        cluster.wait_gone(pid)
    waited = time.monotonic()
    cluster.wait_ready()
    recovered = time.monotonic() - waited
    verifier = Verifier(cluster)
    problems += verifier.check(label, acknowledged)
    print("round %2d: %-10s killed after %.2f s, %-11s %4d acknowledged before, %4d after, %3d refused, "
          "ready %.1f s later: %s" % (
              number + 1, kind, delay, "dcmsend" if load_type is DcmsendLoad else "pynetdicom",
              before, len(acknowledged) - before, load.refusals(), recovered,
              "all there" if not problems else "%d PROBLEMS" % len(problems)), flush=True)  # fmt: skip
    shutil.rmtree(directory, ignore_errors=True)
    return acknowledged, problems


def main():
    parser = argparse.ArgumentParser(prog="Tests/Torture/run.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; printed at the start")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's data and logs")
    chosen = parser.parse_args()
    if not os.access(binary(), os.X_OK):
        sys.exit("no varve at %s: run `swift build -c release`, or set VARVE_BINARY" % binary())
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    print("kill test: %d rounds, seed %d (repeat with --seed %d)" % (chosen.rounds, seed, seed), flush=True)
    dice = random.Random(seed)
    work = tempfile.mkdtemp(prefix="varve-kill-")
    cluster = Cluster(os.path.join(work))
    everything, passed, failures = {}, 0, []
    try:
        cluster.start()
        for number in range(chosen.rounds):
            label = "kill-%d-%d" % (seed, number)
            try:
                everything[label], problems = play_round(number, cluster, dice, label, work)
            except ClusterError as error:
                problems = [str(error)]
            failures += ["round %d: %s" % (number + 1, problem) for problem in problems]
            passed += not problems
            for problem in problems[:5]:
                print("    " + problem, flush=True)
            if problems and cluster.process.poll() is not None:
                break
        print("all rounds again, every copy read, after a restart of the whole cluster", flush=True)
        cluster.stop()
        cluster.start()
        cluster.wait_ready()
        verifier = Verifier(cluster)
        total = sum(map(len, everything.values()))
        problems = [text for label, list_ in everything.items() for text in verifier.check(label, list_, verify=True)]
        passed += not problems
        failures += ["at the end: " + problem for problem in problems]
        for problem in problems[:5]:
            print("    " + problem)
        print("%d instances acknowledged; %d with fewer than two good copies" % (total, verifier.missing_copies))
    except ClusterError as error:
        failures.append(str(error))
        print(error)
    finally:
        try:
            cluster.stop()
        except ClusterError as error:
            failures.append(str(error))
        if chosen.keep or failures:
            print("data and logs are in", work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    failed = chosen.rounds + 1 - passed
    print("kill test: %d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or failures else 0)


if __name__ == "__main__":
    main()
