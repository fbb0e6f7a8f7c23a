# SPDX-License-Identifier: Apache-2.0
"""Space comes back: what was deleted is compacted away, and its segments are destroyed by permit; nothing else is."""

import glob
import os
import random

from conftest import send_all
from support.phantom import PIXEL_DATA, instance, make_study
from support.repair import settings
from test_outage import assert_reads_back, psql, wait_until

NODES = 2


def storage(**values):
    return [word for key, value in values.items() for word in ("--storage-setting", "%s=%s" % (key.replace("_", "-"), value))]


def segments(cluster, where):
    return glob.glob(os.path.join(cluster.data, "storage-*", "**", where, "*.seg"), recursive=True)


def trash_count(cluster):
    return len(segments(cluster, "trash"))


def started(new_cluster, *more, **values):
    options = [*settings(purge_seconds=1, purge_after_seconds=0), *more]
    quick = {"segment_bytes": 1 << 20, "compaction_seconds": 1, "deletion_grace_seconds": 0, "trash_grace_seconds": 0}
    return new_cluster(
        options=[*options, *storage(**{**quick, **values})], storage_nodes=NODES
    )


def stored(cluster, label, count):
    # Noise, which no codec makes smaller.
    noise = random.Random(label)
    pixels = make_study.SIDE * make_study.SIDE * 2
    made = [instance(label, index, values={PIXEL_DATA: noise.randbytes(pixels)}) for index in range(count)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def delete(cluster, study):
    done = cluster.run("study", "delete", study, "--reason", "tried")
    assert done.returncode == 0, done.stderr


def promise(cluster, days):
    """What deletions from now on promise, as a rule's 'trash' does."""
    psql(cluster, "ALTER TABLE deletions ALTER COLUMN grace_days SET DEFAULT %d" % days)


def test_space_of_deleted_studies_comes_back(new_cluster):
    cluster = started(new_cluster)
    promise(cluster, 0)
    gone, kept = stored(cluster, "purge-gone", 60), stored(cluster, "purge-kept", 10)
    before = len(segments(cluster, "segments"))
    assert before > 6
    delete(cluster, gone[0].study)
    wait_until("segments to be destroyed", lambda: int(psql(cluster, "SELECT coalesce(sum(destroyed), 0) FROM purge_permits")) > 4, 90)
    wait_until("an empty trash", lambda: trash_count(cluster) == 0, 60)
    assert len(segments(cluster, "segments")) < before
    assert_reads_back(cluster, kept)
    # Every permit is written down, with the node that had it; what destroyed nothing is not.
    rows = psql(cluster, "SELECT count(DISTINCT node), count(*) FILTER (WHERE destroyed = 0 AND note = '' AND answered_at IS NOT NULL) FROM purge_permits")
    assert rows.split("|") == [str(NODES), "0"], rows
    done = cluster.run("verify", "--deep")
    assert done.returncode == 0, done.stdout + done.stderr
    # Without a grace it can't be taken back, and that is said.
    cluster.run("study", "undelete", gone[0].study, "--reason", "tried")
    wait_until("the obstacle", lambda: "on no storage node" in psql(cluster, "SELECT string_agg(note, ' ') FROM trash_orders"), 60)


def test_what_a_deletion_promises_is_kept_longer_than_the_node_would(new_cluster):
    cluster = started(new_cluster)
    promise(cluster, 90)
    made = stored(cluster, "purge-promise", 30)
    other = stored(cluster, "purge-other", 30)
    delete(cluster, made[0].study)
    wait_until("all nodes told", lambda: psql(cluster, "SELECT count(*) FROM trash_orders WHERE done_at IS NULL") == "0", 60)
    # Another that promises nothing is away after a while: by then the first would have been, too.
    promise(cluster, 0)
    delete(cluster, other[0].study)
    wait_until("segments to be destroyed", lambda: int(psql(cluster, "SELECT coalesce(sum(destroyed), 0) FROM purge_permits")) > 2, 90)
    done = cluster.run("study", "undelete", made[0].study, "--reason", "back")
    assert done.returncode == 0, done.stderr
    wait_until("it is back", lambda: psql(cluster, "SELECT count(*) FROM trash_orders WHERE done_at IS NULL") == "0", 60)
    assert_reads_back(cluster, made)


def test_nothing_is_destroyed_before_its_time_in_the_trash(new_cluster):
    cluster = started(new_cluster, trash_grace_seconds=3600)
    promise(cluster, 0)
    made = stored(cluster, "purge-early", 30)
    delete(cluster, made[0].study)
    wait_until("segments in the trash", lambda: trash_count(cluster) >= 4, 90)
    count = trash_count(cluster)
    # Rounds come and go: their permits destroy nothing and are forgotten.
    forgotten = "SELECT coalesce(sum(n_tup_del), 0) FROM pg_stat_user_tables WHERE relname = 'purge_permits'"
    first = int(psql(cluster, forgotten))
    wait_until("three rounds", lambda: int(psql(cluster, forgotten)) >= first + 3 * NODES, 60)
    assert trash_count(cluster) >= count
    assert psql(cluster, "SELECT coalesce(sum(destroyed), 0) FROM purge_permits") == "0"
