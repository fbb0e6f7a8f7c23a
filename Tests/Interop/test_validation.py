# SPDX-License-Identifier: Apache-2.0
"""What becomes of instances that break rules of the standard, by policy: warned of, refused, or put in quarantine."""

import glob
import os

import part10
import pytest
from conftest import _run_cluster
from support import wado
from support.phantom import instance
from support.sender import store_one
from test_large import multi_frame

FAULTY = {0x00080020: b"1 May 26"}  # Study Date


def _store(cluster, one):
    return store_one(cluster.port, one.sop_class, one.sop_instance, one.syntax, one.data_set)


def _large_faulty(label):
    """Too large for memory, with a Study Date that is none."""
    one = multi_frame(label, 40)
    data = part10.replacing(one.data_set, {0x00080020: b"1 May 26"})
    return type(one)(one.sop_class, one.sop_instance, one.series, one.study, data)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["warn", "refuse", "quarantine"])
def test_policy(policy):
    for cluster in _run_cluster(options=["--validation", policy]):
        good = instance("validation-good", 0)
        assert _store(cluster, good) == 0
        faulty = [instance("validation-faulty", 1, values=FAULTY), _large_faulty("validation-large")]
        for one in faulty:
            status = _store(cluster, one)
            if policy == "warn":
                assert status == 0xB007
                assert wado.data_set(cluster, one.study, one.series, one.sop_instance)[1] == one.data_set
            else:
                assert status == 0xC000
                with pytest.raises(wado.WadoError) as caught:
                    wado.data_set(cluster, one.study, one.series, one.sop_instance)
                assert caught.value.status == 404
        kept = sorted(glob.glob(os.path.join(cluster.data, "ingest-1", "quarantine", "*")))
        if policy != "quarantine":
            assert kept == []
            continue
        assert sorted(map(os.path.basename, kept)) == sorted(
            one.sop_instance + end for one in faulty for end in (".dcm", ".txt")
        )
        for one in faulty:
            path = os.path.join(cluster.data, "ingest-1", "quarantine", one.sop_instance)
            _, data_set = part10.split(open(path + ".dcm", "rb").read())
            assert data_set == one.data_set
            findings = open(path + ".txt").read()
            assert "(0008,0020)" in findings and "PS3.5" in findings
            assert "1 May 26" not in findings, "findings name no values"
