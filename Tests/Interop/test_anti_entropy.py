# SPDX-License-Identifier: Apache-2.0
"""The catalog is compared with the nodes on a schedule; what is missing is made again, and nothing good is forgotten."""

import os
import shutil

import pytest
from conftest import send_all
from support.phantom import instance
from support.repair import (
    assert_redundant, assert_sound, is_whole, records, repair, series, settings, state, wait_whole,
)  # fmt: skip
from test_outage import psql, wait_until

# All groups in so many seconds, and nodes that are believed as soon as they are sure.
QUICK = {"verify_seconds": 20}
SETTLING = ["--loss-settling-seconds", "4"]


@pytest.fixture
def make_cluster(new_cluster):
    def make(*options, nodes=3, **changed):
        chosen = settings(**{**QUICK, **changed})
        return new_cluster(storage_nodes=nodes, options=["--no-restart", *SETTLING, *chosen, *options])

    return make


def comparison(cluster):
    return cluster.json("/api/v1/status")["comparison"]


def stored(cluster, label, count):
    made = [instance(label, index, study=index // 3) for index in range(count)]
    assert set(send_all(cluster.port, made).values()) == {0}
    return made


def wait_compared(cluster, seconds=150):
    """Until a pass is complete that began after this call."""
    first = psql(cluster, "SELECT now()").strip()
    asked = "SELECT coalesce(last_started_at > '%s', false) FROM comparison" % first
    wait_until("a complete comparison", lambda: psql(cluster, asked).strip() == "t", seconds)
    return comparison(cluster)


def ids(cluster):
    return {row["node"]["name"]: row["node"]["id"] for row in cluster.json("/api/v1/nodes")}


def placements(cluster, made):
    """{SOP Instance UID: the nodes that the catalog names}."""
    names = {id: name for name, id in ids(cluster).items()}
    rows = psql(
        cluster,
        "SELECT i.uid || ' ' || array_to_string(p.node_ids, ' ') FROM instances i JOIN placements p ON p.id = i.placement",
    ).splitlines()
    named = {row.split()[0]: {names[id] for id in row.split()[1:]} for row in rows if row.strip()}
    return {one.sop_instance: named[one.sop_instance] for one in made}


def name_copies(cluster, one, names):
    """Has the catalog say that an instance's copies are on these nodes, behind everybody's back."""
    known = ids(cluster)
    array = "ARRAY[%s]::uuid[]" % ", ".join("'%s'" % known[name] for name in sorted(names))
    psql(
        cluster,
        "UPDATE instances SET placement = (SELECT intern_placement(%s)) WHERE uid = '%s'" % (array, one.sop_instance),
    )


def test_what_an_old_backup_of_a_node_lacks_is_made_again_by_itself(make_cluster):
    cluster = make_cluster("--coordinators", "2")
    old = stored(cluster, "entropy-old", 30)
    wait_whole(cluster)
    before = records(cluster, "storage-2")
    cluster.stop()
    home, backup = os.path.join(cluster.data, "storage-2"), os.path.join(cluster.directory, "backup")
    shutil.copytree(home, backup)
    cluster.start()
    new = stored(cluster, "entropy-new", 120)
    wait_whole(cluster)
    wait_until("statuses", lambda: records(cluster, "storage-2") > before)
    lacking = records(cluster, "storage-2") - before
    assert lacking > 20
    cluster.stop()
    # The node comes back as it was, and does not know that it ever had more: nothing makes it unsure.
    shutil.rmtree(home)
    shutil.copytree(backup, home)
    cluster.start()
    wait_until("something found", lambda: comparison(cluster)["missed"] > 0, 120)
    # Whoever leads dies in the middle.
    leader = cluster.json("/api/v1/status").get("coordinator", "").partition("#")[0]
    cluster.wait_gone(cluster.kill(leader))
    wait_until("all of it found", lambda: comparison(cluster)["missed"] == lacking, 150)
    wait_until("all made again", lambda: records(cluster, "storage-2") == before + lacking, 120)
    wait_whole(cluster)
    assert_redundant(cluster, old + new, 2)
    assert_sound(cluster)
    now = wait_compared(cluster)
    assert now["missed"] == lacking and now["waiting"] == 0 and now["lostInstances"] == 0
    assert now["last"]["present"] == 300 and now["last"]["missing"] == now["last"]["unasked"] == 0
    wait_until("metrics", lambda: series(cluster, "varve_missed_copies_total").get("") == lacking)
    # Those of the group that was under way when the leader died were reported, and not counted with their group.
    assert 0 < series(cluster, "varve_compared_copies_total")['found="missing"'] <= lacking
    assert series(cluster, "varve_lost_instances")[""] == 0
    assert "compared     with the nodes, complete at" in cluster.run("status").stdout


def test_what_no_node_has_stays_named_and_is_an_alarm(make_cluster):
    cluster = make_cluster()
    made = stored(cluster, "entropy-lost", 6)
    wait_whole(cluster)
    named = placements(cluster, made)
    # Another record of the same placement group, which no node has.
    swap = "UPDATE instances SET record = overlay(record::text PLACING '%s' FROM 25)::uuid WHERE uid = '%s'"
    tail = psql(cluster, "SELECT substr(record::text, 25) FROM instances WHERE uid = '%s'" % made[0].sop_instance).strip()
    psql(cluster, swap % ("ffffffffffff", made[0].sop_instance))
    wait_until("an alarm", lambda: comparison(cluster)["lostInstances"] == 1, 120)
    wait_until("both judged", lambda: comparison(cluster)["waiting"] == 0, 60)
    now = comparison(cluster)
    assert [lost["sopInstanceUID"] for lost in now["lost"]] == [made[0].sop_instance]
    assert now["missed"] == 0 and placements(cluster, made) == named, "nothing is forgotten"
    shown = cluster.run("status").stdout
    assert "ALARM        1 instances have no good copy" in shown and made[0].sop_instance in shown
    wait_until("metrics", lambda: series(cluster, "varve_lost_instances").get("") == 1)
    # A record that no row names is seen, and adopted.
    assert wait_compared(cluster)["last"]["orphans"] == 1
    psql(cluster, swap % (tail, made[0].sop_instance))
    assert wait_compared(cluster)["last"]["orphans"] == 0
    assert comparison(cluster)["lostInstances"] == 0
    psql(cluster, "DELETE FROM instances WHERE uid = '%s'" % made[1].sop_instance)
    assert wait_compared(cluster)["last"]["orphans"] == 1
    done = cluster.run("catalog", "check", "--adopt", "--grace", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert wait_compared(cluster)["last"]["orphans"] == 0
    assert_redundant(cluster, made, 2)
    assert_sound(cluster)


def test_copies_that_are_named_only_where_they_are_not_are_named_where_they_are(make_cluster):
    cluster = make_cluster()
    made = stored(cluster, "entropy-elsewhere", 9)
    wait_whole(cluster)
    named = placements(cluster, made)
    name_copies(cluster, made[0], {"storage-1", "storage-2", "storage-3"} - named[made[0].sop_instance])
    # Repair, the comparison and the dropping of surplus copies all work on it, whoever comes first.
    wait_until("all as before", lambda: placements(cluster, made) == named and is_whole(cluster), 150)
    assert comparison(cluster)["lostInstances"] == 0
    assert_redundant(cluster, made, 2)
    assert_sound(cluster)


def test_a_copy_that_the_catalog_does_not_name_is_counted(make_cluster):
    cluster = make_cluster(repair_drop_surplus="no")
    made = stored(cluster, "entropy-uncounted", 12)
    wait_whole(cluster)
    named = placements(cluster, made)
    cluster.wait_gone(cluster.kill("storage-2"))
    wait_until("storage-2 down", lambda: state(cluster, "storage-2") in ("down", "out"))
    wait_whole(cluster)
    cluster.stop()
    cluster.start()
    wait_until("storage-2 up", lambda: state(cluster, "storage-2") == "up")
    wait_whole(cluster)
    three = [one for one, nodes in placements(cluster, made).items() if len(nodes) == 3]
    assert three
    for one in made:
        name_copies(cluster, one, named[one.sop_instance])
    wait_until("all found", lambda: comparison(cluster)["found"] >= len(three), 120)
    now = placements(cluster, made)
    assert all(len(now[one]) == 3 for one in three) and comparison(cluster)["missed"] == 0
    assert_redundant(cluster, made, 2)
    assert_sound(cluster)


def test_a_node_that_is_away_is_not_taken_at_its_silence_and_verify_tells_at_once(make_cluster):
    # Nothing on a schedule: what is reported is looked at all the same.
    cluster = make_cluster(verify_seconds=0, repair_drop_surplus="no", down_seconds=120, out_seconds=600)
    made = stored(cluster, "entropy-away", 9)
    wait_whole(cluster)
    named = placements(cluster, made)
    absent = sorted({"storage-1", "storage-2", "storage-3"} - named[made[0].sop_instance])[0]
    cluster.wait_gone(cluster.kill(absent))
    name_copies(cluster, made[0], named[made[0].sop_instance] | {absent})
    wrong = placements(cluster, made)
    done = cluster.run("verify", "--grace", "0")
    assert done.returncode == 1 and "unreachable-copy on %s" % absent in done.stdout
    assert comparison(cluster)["waiting"] == comparison(cluster)["missed"] == 0 and placements(cluster, made) == wrong
    cluster.stop()
    cluster.start()
    wait_until("%s up" % absent, lambda: state(cluster, absent) == "up")
    done = cluster.run("verify", "--grace", "0")
    assert done.returncode == 1 and "missing-copy on %s" % absent in done.stdout
    assert "has them made again" in done.stdout.splitlines()[-2]
    wait_until("counted no more", lambda: comparison(cluster)["missed"] == 1, 60)
    assert placements(cluster, made) == named and repair(cluster)["madeCopies"] == 0
    assert cluster.run("verify", "--grace", "0").returncode == 0
    assert comparison(cluster)["groups"] == 0 and "lastFinishedAt" not in comparison(cluster)
    assert_redundant(cluster, made, 2)
    # The other way round, and nobody who mends it at once.
    cluster.wait_gone(cluster.kill("coordinator-1"))
    name_copies(cluster, made[1], sorted(named[made[1].sop_instance])[:1])
    done = cluster.run("verify", "--grace", "0")
    assert "1 copies that the catalog does not name" in done.stdout and "too-few-copies" in done.stdout
