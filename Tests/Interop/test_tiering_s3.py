# SPDX-License-Identifier: Apache-2.0
"""A study goes into a pack in a bucket (moto's server), and is read from there."""

import hashlib

from conftest import send_all
from support.phantom import instance
from support.repair import settings
from test_outage import assert_reads_back, psql
from test_s3 import BUCKET, CREDENTIALS, bucket, server  # noqa: F401  # The fixtures.
from test_tiering import counted, kill_nodes, move, moves, wait_done, wait_until

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {s3: {endpoint: '%s', bucket: %s, prefix: packs, region: us-east-1, path-style: yes}}}
policies:
  active: {copies: {hot: 2}}
default: active
rules: []
"""


def test_a_study_goes_into_a_bucket(new_cluster, server, bucket):  # noqa: F811
    place = "cold-stores=s3+%s/%s" % (server, BUCKET)
    cluster = new_cluster(
        options=[*settings(), "--no-restart", "--storage-setting", place, "--ingest-setting", place],
        environment=CREDENTIALS,
    )
    text = RULES % (server, BUCKET)
    psql(
        cluster,
        "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (1, 'test', 'test', '\\x%s', '%s')"
        % (hashlib.sha256(text.encode()).hexdigest(), text.replace("'", "''")),
    )
    made = [instance("tiering-s3", index, series=index // 5) for index in range(20)]
    assert set(send_all(cluster.port, made).values()) == {0}
    uid = made[0].study
    move(cluster, uid)
    wait_done(cluster, uid)
    (pack,) = counted(cluster, uid)
    whole = bucket.get_object(Bucket=BUCKET, Key="packs/" + pack["key"])["Body"].read()
    assert hashlib.sha256(whole).hexdigest() == pack["sha256"] and len(whole) == pack["bytes"]
    # No secret is anywhere that it was not told to.
    assert "secret" not in pack["place"] and "secret" not in psql(cluster, "SELECT string_agg(place, ' ') FROM pack_moves")
    kill_nodes(cluster)
    assert_reads_back(cluster, made)
    # A pack that somebody has removed is made anew.
    bucket.delete_object(Bucket=BUCKET, Key="packs/" + pack["key"])
    cluster.stop()
    cluster.start()
    assert_reads_back(cluster, made)
    psql(cluster, "UPDATE pack_moves SET state = 1, soaks_until = now()")
    wait_until("another pack", lambda: [one["pack"] for one in counted(cluster, uid)] not in ([], [pack["pack"]]), 120)
    wait_until("the move to be done", lambda: moves(cluster, uid)[0]["state"] == "done", 60)
    kill_nodes(cluster)
    assert_reads_back(cluster, made)
