# SPDX-License-Identifier: Apache-2.0
"""`varve lifecycle check`: rules as operators write and check them, without a server."""

import glob
import json
import os
import subprocess

import pytest
from support import ROOT
from support.cluster import binary

EXAMPLES = sorted(glob.glob(os.path.join(ROOT, "deploy", "lifecycle", "*.yaml")))

FAULTY = """version: 1
tiers:
  hot: {nodes: hot}
policies:
  active: {copys: {hot: 2}}
  expired: {expire: yes}
default: active
rules:
  - name: everything
    policy: expired
"""


def check(*arguments):
    return subprocess.run(
        [binary(), "lifecycle", "check", *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=os.path.basename)
def test_an_example_is_right(path):
    done = check(path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for heading in ("TIER", "POLICY", "RULE"):
        assert heading in done.stdout
    assert "(default)" in done.stdout.splitlines()[-1]


def test_json_says_the_same():
    path = os.path.join(ROOT, "deploy", "lifecycle", "mammography.yaml")
    done = check(path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [tier["kind"] for tier in found["tiers"]] == ["nodes", "packs"]
    assert found["defaultPolicy"] == "active"
    assert [policy["name"] for policy in found["policies"] if policy["expires"]] == ["expired"]
    first = found["rules"][0]
    assert (first["name"], first["policy"]) == ("mammograms-followed-by-another", "expired")
    assert first["conditions"] == [
        "modality: MG", "all-modalities: MG, SR, PR, KO", "later-study: MG", "study-age: over 5 years",
    ]  # fmt: skip


def test_everything_that_is_wrong_is_said_with_its_place(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(FAULTY)
    for option in ([], ["--json"]):
        done = check(str(path), *option)
        assert done.returncode == 1
        assert not done.stdout
        assert done.stderr.splitlines() == [
            "%s:5:11: the policy 'active' has no copies; write 'copies: {TIER: COUNT}', or 'expire: yes' if studies are to be "
            "deleted by it" % path,
            "%s:5:12: the policy 'active' has no key 'copys'; did you mean 'copies'?" % path,
            "%s:9:5: the rule 'everything' lets every study expire; give it a 'match', with an age: 'study-age: over 10 years'"
            % path,
        ]


@pytest.mark.parametrize("name", ["missing.yaml", ""])
def test_a_file_that_cannot_be_read_is_1(tmp_path, name):
    done = check(str(tmp_path / name))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and "cannot be read" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--no-such-option"]])
def test_wrong_usage_is_2(arguments):
    done = check(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip() and not done.stdout.strip()


@pytest.mark.parametrize(
    "command",
    ["lifecycle"]
    + ["lifecycle " + name for name in ("check", "plan", "load", "show", "explain", "status", "pending", "enable", "pause", "resume", "run")]
    + ["study " + name for name in ("hold", "holds", "release", "tag")],
)
def test_help_has_an_example(command):
    done = subprocess.run([binary(), *command.split(), "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Example: varve " + command in " ".join(done.stdout.split())
