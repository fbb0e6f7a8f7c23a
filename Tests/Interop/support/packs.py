# SPDX-License-Identifier: Apache-2.0
"""`varve pack`, and files for it."""

import dataclasses
import os
import pathlib
import subprocess
import sys

from .cluster import binary


@dataclasses.dataclass
class Study:
    folder: pathlib.Path
    uid: str
    # Contents by their names in a pack.
    files: dict


def varve(*arguments, timeout=300, environment=None):
    return subprocess.run(
        [binary(), "pack", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
    )


def measured(*arguments):
    """What `varve pack` did, and the most memory that it had."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, binary(), "pack", *arguments], capture_output=True, text=True, timeout=300
    )
    return done, int(done.stderr.splitlines()[-1]) * 1024


def write_study(folder, instances):
    """Writes the instances as files with names of no meaning, and one file beside them that is no instance."""
    folder.mkdir()
    (folder / "notes.txt").write_text("no instance")
    files = {}
    for number, one in enumerate(instances):
        contents = one.file_bytes()
        (folder / ("%03d.dcm" % number)).write_bytes(contents)
        files["%s/%s/%s.dcm" % (one.study, one.series, one.sop_instance)] = contents
    return Study(folder, instances[0].study, files)
