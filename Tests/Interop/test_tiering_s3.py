# SPDX-License-Identifier: Apache-2.0
"""A study goes into a pack in a bucket (moto's server), and is read from there."""

import hashlib
import time

from conftest import send_all
from support.phantom import instance
from support.repair import settings
from test_outage import assert_reads_back, psql
from test_s3 import BUCKET, CREDENTIALS, LOCKED, bucket, locking, moody, server  # noqa: F401  # The fixtures.
from test_tiering import counted, kill_nodes, move, moves, wait_done, wait_until

RULES = """version: 1
tiers:
  hot: {nodes: hot}
  cold: {packs: {s3: {endpoint: '%s', bucket: %s, prefix: packs, region: us-east-1, path-style: yes%s}}}
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
    text = RULES % (server, BUCKET, "")
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


def test_a_tier_that_locks_its_packs(new_cluster, server, locking):  # noqa: F811
    place = "cold-stores=s3+%s/%s" % (server, LOCKED)
    cluster = new_cluster(
        options=[*settings(), "--storage-setting", place, "--ingest-setting", place],
        environment=CREDENTIALS,
    )
    text = RULES % (server, LOCKED, ", object-lock: {mode: governance, for: 2 weeks}")
    psql(
        cluster,
        "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (1, 'test', 'test', '\\x%s', '%s')"
        % (hashlib.sha256(text.encode()).hexdigest(), text.replace("'", "''")),
    )
    made = [instance("tiering-s3-lock", index) for index in range(3)]
    assert set(send_all(cluster.port, made).values()) == {0}
    began = time.time()
    move(cluster, made[0].study)
    wait_done(cluster, made[0].study)
    (pack,) = counted(cluster, made[0].study)
    head = locking.head_object(Bucket=LOCKED, Key="packs/" + pack["key"])
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert began - 60 < head["ObjectLockRetainUntilDate"].timestamp() - 14 * 86400 < time.time() + 60
    assert_reads_back(cluster, made)


def test_connections_to_a_bucket_are_open_before_somebody_reads(new_cluster, moody):  # noqa: F811
    handler, url = moody

    def answer(self):
        """Counts, and has no moods."""
        with self.lock:
            kind = self.command + " " + self.path.partition("?")[0]
            self.seen[kind] = self.seen.get(kind, 0) + 1
        answered, contents = self.forward(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.send(answered.status_code, answered.headers, contents)

    for name in ("do_GET", "do_HEAD", "do_PUT", "do_POST", "do_DELETE"):
        setattr(handler, name, answer)
    place = "cold-stores=s3+%s/%s" % (url, BUCKET)
    cluster = new_cluster(
        options=[*settings(), "--storage-setting", place, "--ingest-setting", place], environment=CREDENTIALS
    )  # fmt: skip
    text = RULES % (url, BUCKET, "")
    psql(
        cluster,
        "INSERT INTO rule_sets (version, loaded_by, reason, sha256, text) VALUES (1, 'test', 'test', '\\x%s', '%s')"
        % (hashlib.sha256(text.encode()).hexdigest(), text.replace("'", "''")),
    )
    made = [instance("tiering-s3-open", index) for index in range(2)]
    assert set(send_all(cluster.port, made).values()) == {0}
    move(cluster, made[0].study)
    wait_done(cluster, made[0].study)
    wait_until("the places", lambda: psql(cluster, "SELECT octet_length(places) FROM cold_packs") == str(32 * len(made)), 30)
    cluster.stop()
    handler.seen.clear()
    cluster.start()
    wait_until("requests", lambda: handler.seen.get("HEAD /" + BUCKET, 0) >= 2, 30)
    assert set(handler.seen) == {"HEAD /" + BUCKET}, "nothing else is asked of the bucket"
