# SPDX-License-Identifier: Apache-2.0
"""Fills Varve with CT studies, gives Orthanc and nginx what Varve stored of them, byte for byte, and retrieves from all by
turns: whole studies by WADO-RS, C-GET and C-MOVE, single frames, and the metadata of a series.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import dimse_requests as dimse
import duel
import ingest
import instances
from archives import Nginx, OrthancArchive, Relay, VarveArchive, get, parts, started
from contenders import ROOT
from instances import part10  # it knows where that is

MOST_FRAMES = 800
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=%s'
FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=%s'
GOALS = (
    duel.Goal("WADO-RS study, stored", "orthanc", 3),
    duel.Goal("WADO-RS study, stored", "nginx", 0.6),
    # What is left between Varve and the least that two hops can cost.
    duel.Goal("WADO-RS study, stored", "relay"),
    duel.Goal("C-GET study, stored", "orthanc", 3),
    duel.Goal("C-MOVE study, stored", "orthanc", 3),
    duel.Goal("WADO-RS study, native", "orthanc", 1),
    duel.Goal("C-GET study, native", "orthanc", 1),
    duel.Goal("C-MOVE study, native", "orthanc", 1),
    duel.Goal("WADO-RS frame, stored", "orthanc", 5),
    duel.Goal("WADO-RS frame, native", "orthanc", 1.2),
    duel.Goal("WADO-RS series metadata", "orthanc", 5),
)


def arguments():
    parser = argparse.ArgumentParser(
        prog="Benchmarks/retrieve.sh",
        description="Retrieval: Varve, Orthanc with PostgreSQL, and nginx with files, all with the same stored bytes.",
        epilog="example: Benchmarks/retrieve.sh --studies 1 --instances 50 --rounds 1 --only frame",
    )
    parser.add_argument("--studies", type=int, default=4, help="studies (default 4)")
    parser.add_argument("--instances", type=int, default=200, help="instances a study (default 200)")
    parser.add_argument("--metadata-instances", type=int, default=500, help="of the series whose metadata is read "
                        "(default 500)")  # fmt: skip
    parser.add_argument("--corpus", metavar="DIRECTORY", help="where the CT images to multiply are "
                        "(default $VARVE_TEST_CORPUS, or ../shared/corpus beside the repository)")  # fmt: skip
    duel.options(parser, rounds=3, seconds=3, clients="1,4")
    return parser.parse_args()


class Study:
    """A study of one series as instances.py makes it."""

    def __init__(self, label, total, number, indices):
        self.uid = instances.uid(label, total, "study", number)
        self.series = instances.uid(label, total, "series", number)
        self.instances = [instances.uid(label, total, "instance", index) for index in indices]

    @property
    def path(self):
        return "/studies/" + self.uid

    @property
    def series_path(self):
        return "%s/series/%s" % (self.path, self.series)


def made(chosen, cache):
    """(files, studies, the study for metadata)."""
    corpus = chosen.corpus or os.environ.get("VARVE_TEST_CORPUS") or os.path.join(ROOT, "..", "shared", "corpus")
    total, each = chosen.studies * chosen.instances, chosen.instances
    files = instances.make(corpus, os.path.join(cache, "retrieve-%d-%d" % (total, chosen.studies)), total,
                           chosen.studies, "R")  # fmt: skip
    files += instances.make(corpus, os.path.join(cache, "metadata-%d" % chosen.metadata_instances),
                            chosen.metadata_instances, 1, "M")  # fmt: skip
    studies = [Study("R", total, number, range(number * each, (number + 1) * each)) for number in range(chosen.studies)]
    return files, studies, Study("M", chosen.metadata_instances, 0, range(chosen.metadata_instances))


def fill(servers, files, studies, keep):
    """Stores `files` in Varve, and what Varve then has of them in the others; the stored data set of each instance."""
    varve, orthanc, nginx = servers["varve"], servers["orthanc"], servers["nginx"]
    seconds, _ = ingest.send(files, 4, varve.port, varve.ae_title, True)
    if varve.held() != len(files):
        sys.exit("Varve holds %d of %d instances" % (varve.held(), len(files)))
    print("filled Varve with %d instances in %.0f s" % (len(files), seconds), flush=True)
    first = {}
    for number, study in enumerate(studies):
        headers, body = get(varve, study.path, DICOM % "*")
        folder = os.path.join(nginx.files, "study-%d" % number)
        os.makedirs(folder)
        paths = []
        for index, contents in enumerate(parts(headers, body)):
            meta, data_set = part10.split(contents)
            if part10.transfer_syntax(meta) != dimse.JPEG_LS:
                sys.exit("Varve stored an instance as %s, not in JPEG-LS" % part10.transfer_syntax(meta))
            if number == 0:
                first[part10.text(meta[0x00020003])] = data_set
            paths.append(os.path.join(folder, "%d.dcm" % index))
            with open(paths[-1], "wb") as out:
                out.write(contents)
        if len(paths) != len(study.instances):
            sys.exit("Varve sends %d of %d instances" % (len(paths), len(study.instances)))
        with open(os.path.join(nginx.files, "study-%d.multipart" % number), "wb") as out:
            out.write(body)
        orthanc.upload(paths)
        if study is keep:
            shutil.rmtree(folder)
    if orthanc.held() != len(files):
        sys.exit("Orthanc holds %d of %d instances" % (orthanc.held(), len(files)))
    for server in (varve, orthanc):
        server.analyze()
    print("filled Orthanc and nginx with what Varve stored", flush=True)
    return first


def pixel_data(data_set):
    return next(data_set[value:end] for tag, _, _, value, end in part10.elements(data_set) if tag == 0x7FE00010)


def check(servers, study, stored, metadata):
    """All send the same: stored bytes, decoded pixels, frames; and the metadata of every instance."""
    native = {}
    for name in ("varve", "orthanc"):
        server = servers[name]
        found = [part10.split(part) for part in parts(*get(server, study.path, DICOM % "*"))]
        if {part10.text(meta[0x00020003]): data_set for meta, data_set in found} != stored:
            sys.exit("%s does not send the stored bytes" % server.title)
        found = [part10.split(part) for part in parts(*get(server, study.path, DICOM % dimse.NATIVE))]
        if {part10.transfer_syntax(meta) for meta, _ in found} != {dimse.NATIVE} or len(found) != len(stored):
            sys.exit("%s does not send all instances in Explicit VR Little Endian" % server.title)
        native[name] = {part10.text(meta[0x00020003]): pixel_data(data_set) for meta, data_set in found}
        frame = "%s/instances/%s/frames/1" % (study.series_path, study.instances[0])
        (pixels,) = parts(*get(server, frame, FRAME % dimse.NATIVE))
        if pixels != native[name][study.instances[0]]:
            sys.exit("%s sends another frame than the instance has" % server.title)
        (compressed,) = parts(*get(server, frame, FRAME % "*"))
        if compressed not in stored[study.instances[0]]:
            sys.exit("%s does not send the frame as it is stored" % server.title)
        found = json.loads(get(server, metadata.series_path + "/metadata", "application/dicom+json")[1])
        if len(found) != len(metadata.instances):
            sys.exit("%s sends the metadata of %d of %d instances" % (server.title, len(found), len(metadata.instances)))
    if native["varve"] != native["orthanc"]:
        sys.exit("decoded pixels differ")


def cells(servers, studies, metadata, chosen):
    archives = {name: servers[name] for name in ("varve", "orthanc")}
    frames = [
        "%s/instances/%s/frames/1" % (study.series_path, instance) for study in studies for instance in study.instances
    ]
    frames = random.Random(20).sample(frames, min(len(frames), MOST_FRAMES))

    def web(paths, accept):
        return {
            name: "".join("%s%s %s\n\n" % (server.root, path, accept) for path in paths)
            for name, server in archives.items()
        }

    whole = [study.path for study in studies]
    files = "\n".join("".join("/study-%d/%d.dcm */*\n" % (number, index) for index in range(chosen.instances))
                      for number in range(len(studies)))  # fmt: skip
    relayed = "".join("/study-%d */*\n\n" % number for number in range(len(studies)))
    stored = {**web(whole, DICOM % "*"), "nginx": files, "relay": relayed}
    yield duel.Cell("WADO-RS study, stored", stored, bytes_alike=True)
    one = "".join("/study-%d.multipart */*\n\n" % number for number in range(len(studies)))
    yield duel.Cell("a file of the same bytes", {"nginx": one})
    yield duel.Cell("WADO-RS study, native", web(whole, DICOM % dimse.NATIVE), bytes_alike=True)
    uids = [study.uid for study in studies]
    for protocol, sop_class in (("C-GET", dimse.STUDY_ROOT_GET), ("C-MOVE", dimse.STUDY_ROOT_MOVE)):
        for form, syntax in (("stored", dimse.JPEG_LS), ("native", dimse.NATIVE)):
            is_move = protocol == "C-MOVE"
            destination = dimse.CALLING if is_move else None
            yield duel.Cell(
                "%s study, %s" % (protocol, form),
                {name: dimse.retrievals(server.ae_title, sop_class, uids, syntax, destination)
                 for name, server in archives.items()},
                syntax=syntax if is_move else "", items=chosen.instances, bytes_alike=True,
            )  # fmt: skip
    yield duel.Cell("WADO-RS frame, stored", web(frames, FRAME % "*"), bytes_alike=True)
    yield duel.Cell("WADO-RS frame, native", web(frames, FRAME % dimse.NATIVE), bytes_alike=True)
    yield duel.Cell("WADO-RS series metadata", web([metadata.series_path + "/metadata"], "application/dicom+json"))


def main():
    chosen = arguments()
    cache = os.environ.get("VARVE_BENCH_CACHE", "/tmp/varve-bench-cache")
    files, studies, metadata = made(chosen, cache)
    servers, directory = {}, tempfile.mkdtemp(prefix="varve-bench-", dir=chosen.work)
    try:
        load = duel.Load(directory)
        for name, kind in (("varve", VarveArchive), ("orthanc", OrthancArchive), ("nginx", Nginx), ("relay", Relay)):
            servers[name] = started(kind, chosen.work)
        duel.describe(servers)
        stored = fill(servers, files, studies + [metadata], metadata)
        check(servers, studies[0], stored, metadata)
        servers["relay"].serve(servers["nginx"].files, len(studies), chosen.instances)
        wanted = duel.chosen_cells(list(cells(servers, studies, metadata, chosen)), chosen.only)
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
    judged = duel.goals(servers, results, GOALS)
    if chosen.json:
        duel.write_json(chosen.json, results, judged)
    if not is_sound:
        sys.exit(1)


if __name__ == "__main__":
    main()
