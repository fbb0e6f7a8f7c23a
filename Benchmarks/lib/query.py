# SPDX-License-Identifier: Apache-2.0
"""Fills Varve and Orthanc with the same made studies and asks both the same by QIDO-RS and C-FIND, by turns."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

import dimse_requests as dimse
import duel
import ingest
import small_studies as small
from archives import OrthancArchive, VarveArchive, get, started

JSON = "application/dicom+json"
LARGE_COUNT = 100
MOST_REQUESTS = 400
STUDY_KEYS = (0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00081030, 0x00100010, 0x00100020, 0x00100030,
              0x00100040, 0x0020000D, 0x00200010)  # fmt: skip
COUNTED_STUDY_KEYS = (0x00080061, 0x00201206, 0x00201208)
SERIES_KEYS = (0x00080060, 0x0008103E, 0x00200011, 0x0020000D, 0x0020000E)
COUNTED_SERIES_KEYS = (0x00201209,)
INSTANCE_KEYS = (0x00080016, 0x00080018, 0x00200013, 0x0020000D, 0x0020000E)


def arguments():
    parser = argparse.ArgumentParser(
        prog="Benchmarks/query.sh",
        description="QIDO-RS and C-FIND: Varve and Orthanc with PostgreSQL, holding the same, asked the same by turns.",
        epilog="example: Benchmarks/query.sh --studies 200 --rounds 1 --seconds 1 --only 'C-FIND study'",
    )
    parser.add_argument("--studies", type=int, default=500, help="of %d tiny instances (default 500)"
                        % (small.SERIES * small.INSTANCES))  # fmt: skip
    parser.add_argument("--large-series", type=int, default=10, help="of %d instances (default 10)" % LARGE_COUNT)
    parser.add_argument("--keys", choices=("few", "counted"), default="counted",
                        help="C-FIND: counted (default) returns Modalities in Study and the numbers of related series and "
                        "instances, too, as QIDO-RS does unasked; few does not")  # fmt: skip
    duel.options(parser, rounds=3, seconds=2, clients="1,4")
    chosen = parser.parse_args()
    if chosen.studies < small.PER_FAMILY or chosen.studies < small.PER_DAY * small.DAYS:
        parser.error("--studies must be at least %d" % max(small.PER_FAMILY, small.PER_DAY * small.DAYS))
    if chosen.large_series < 1:
        parser.error("--large-series must be at least 1")
    return chosen


class Question:
    """A kind of query: how many match, and the conditions of each one that is asked."""

    def __init__(self, name, level, matches, conditions):
        self.name, self.level, self.matches, self.conditions = name, level, matches, conditions

    @property
    def is_inner(self):
        return 0x0020000D in self.conditions[0]

    def paths(self):
        """The resources of QIDO-RS, one for each condition."""
        words = {0x00100020: "PatientID", 0x00100010: "PatientName", 0x00080050: "AccessionNumber", 0x00080020: "StudyDate"}
        for condition in self.conditions:
            query = urllib.parse.urlencode({words[tag]: value for tag, value in condition.items() if tag in words}, safe="*")
            path = "/studies" if self.level == "STUDY" else "/series"
            if 0x0020000D in condition:
                path = "/studies/%s/series" % condition[0x0020000D].decode().rstrip("\0")
            if 0x0020000E in condition:
                path += "/%s/instances" % condition[0x0020000E].decode().rstrip("\0")
            yield path + ("?" + query if query else "")

    def identifiers(self, is_counted):
        """The identifiers of C-FIND, one for each condition."""
        keys = {
            "STUDY": STUDY_KEYS + (COUNTED_STUDY_KEYS if is_counted else ()),
            "SERIES": SERIES_KEYS + (COUNTED_SERIES_KEYS if is_counted else ()),
            "IMAGE": INSTANCE_KEYS,
        }[self.level]
        for condition in self.conditions:
            yield {0x00080052: self.level, **{key: "" for key in keys}, **condition}


def questions(chosen):
    studies, seed = chosen.studies, random.Random(20)

    def some(count):
        """Of `count` groups, those that are asked for, in an order without pattern."""
        return seed.sample(range(count), min(count, MOST_REQUESTS))

    days = studies // small.PER_DAY - small.DAYS + 1
    searches = [
        ("patient id", small.PER_PATIENT,
         [{0x00100020: small.patient_id(n * small.PER_PATIENT)} for n in some(studies // small.PER_PATIENT)]),
        ("name prefix", small.PER_FAMILY,
         [{0x00100010: small.family(n * small.PER_FAMILY) + "*"} for n in some(studies // small.PER_FAMILY)]),
        ("accession", 1, [{0x00080050: small.accession(n)} for n in some(studies)]),
        ("dates", small.PER_DAY * small.DAYS,
         [{0x00080020: "%s-%s" % (small.day(n * small.PER_DAY), small.day((n + small.DAYS - 1) * small.PER_DAY))}
          for n in some(days)]),
    ]  # fmt: skip
    for name, matches, conditions in searches:
        yield Question("studies by " + name, "STUDY", matches, conditions)
    for name, matches, conditions in searches:
        yield Question("series by " + name, "SERIES", matches * small.SERIES, conditions)
    yield Question("series of a study", "SERIES", small.SERIES,
                   [{0x0020000D: dimse.uid_bytes(small.study_uid(n))} for n in some(studies)])  # fmt: skip
    large = [(small.uid("query", "large", n), small.uid("query", "large series", n)) for n in some(chosen.large_series)]
    yield Question("instances of a series", "IMAGE", LARGE_COUNT,
                   [{0x0020000D: dimse.uid_bytes(study), 0x0020000E: dimse.uid_bytes(series)}
                    for study, series in large])  # fmt: skip


def cells(servers, asked, is_counted):
    for question in asked:
        lines = {
            name: "".join("%s%s %s\n\n" % (server.root, path, JSON) for path in question.paths())
            for name, server in servers.items()
        }
        yield duel.Cell("QIDO-RS " + question.name, lines)
    for question in asked:
        requests = [dimse.request(dimse.STUDY_ROOT_FIND, keys) for keys in question.identifiers(is_counted)]
        yield duel.Cell(
            "C-FIND " + question.name,
            {name: dimse.blocks(dimse.association(server.ae_title, dimse.STUDY_ROOT_FIND), requests)
             for name, server in servers.items()},
            items=question.matches,
        )  # fmt: skip


def check(servers, asked):
    """Both must find what was made, and the same: the first and the last question of each kind by QIDO-RS."""
    key = {"STUDY": "0020000D", "SERIES": "0020000E", "IMAGE": "00080018"}
    for question in asked:
        paths = list(question.paths())
        for path in {paths[0], paths[-1]}:
            found = {}
            for name, server in servers.items():
                answer = json.loads(get(server, path, JSON)[1])
                found[name] = sorted(match[key[question.level]]["Value"][0] for match in answer)
            counts = {name: len(uids) for name, uids in found.items()}
            if len(set(map(tuple, found.values()))) != 1 or set(counts.values()) != {question.matches}:
                sys.exit("%s: %s: found %s, made %d" % (question.name, path, counts, question.matches))


def goals(asked):
    for protocol in ("QIDO-RS ", "C-FIND "):
        for question in asked:
            yield duel.Goal(protocol + question.name, "orthanc", 10 if question.level == "IMAGE" else 5)


def fill(servers, files):
    for name, server in servers.items():
        start = time.monotonic()
        if name == "varve":
            ingest.send(files, 4, server.port, server.ae_title, True)
        else:
            # Over one connection: with several index connections Orthanc refuses some of what comes at the same time.
            server.upload(files)
        seconds = time.monotonic() - start
        if server.held() != len(files):
            sys.exit("%s holds %d of %d instances" % (server.title, server.held(), len(files)))
        server.analyze()
        print("filled %s with %d instances in %.0f s" % (server.title, len(files), seconds), flush=True)


def main():
    chosen = arguments()
    cache = os.environ.get("VARVE_BENCH_CACHE", "/tmp/varve-bench-cache")
    folder = os.path.join(cache, "query-%d-%d" % (chosen.studies, chosen.large_series))
    files = small.make(folder, chosen.studies, chosen.large_series, LARGE_COUNT)
    asked = list(questions(chosen))
    servers, directory = {}, tempfile.mkdtemp(prefix="varve-bench-", dir=chosen.work)
    try:
        load = duel.Load(directory)
        for name, kind in (("varve", VarveArchive), ("orthanc", OrthancArchive)):
            servers[name] = started(kind, chosen.work)
        duel.describe(servers)
        fill(servers, files)
        check(servers, asked)
        wanted = duel.chosen_cells(list(cells(servers, asked, chosen.keys == "counted")), chosen.only)
        results, is_sound = duel.fight(servers, wanted, chosen, load)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit("error: %s" % error)
    finally:
        for server in servers.values():
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)
    if not results:
        sys.exit("nothing was measured")
    duel.table(servers, results)
    judged = duel.goals(servers, results, goals(asked))
    if chosen.json:
        duel.write_json(chosen.json, results, judged)
    if not is_sound:
        sys.exit(1)


if __name__ == "__main__":
    main()
