# SPDX-License-Identifier: Apache-2.0
"""What each fault does, and how it is taken back. A method of `Hurts` a fault, of its name in the atlas."""

import contextlib
import signal
import threading
import time

from support.cluster import ClusterError

from .atlas import KINDS
from .catalog import HOSTS as POSTGRES
from .network import NetworkError
from .world import COORDINATORS, INGEST, STORAGE

BACK_SECONDS = 150
DRAIN_SECONDS = 240


class PassedOver(Exception):
    """The fault did not happen, and why."""


class Hurts:
    def __init__(self, world, ledger):
        self.world, self.ledger, self.network = world, ledger, world.network
        self.over = threading.Event()  # set at the end: what lasts ends
        self.takeovers = []

    def play(self, step):
        """From strike to relief, until all is well again. Raises PassedOver, ClusterError or NetworkError."""
        if KINDS[step.name].whole and not self._is_whole():
            raise PassedOver("not everything has all its copies")
        getattr(self, step.name)(step)

    def hold(self, step):
        self.over.wait(step.seconds)

    def _is_whole(self):
        with contextlib.suppress(ClusterError):
            self.world.wait_whole(30, gives_up=self.over.is_set)
            return True
        return False

    def _processes(self, hosts):
        return [self.world.processes[host] for host in hosts]

    def _wait_up(self, nodes):
        for node in nodes:
            self.world.wait("%s up" % node, lambda node=node: self.world.state(node) in ("up", "draining"), BACK_SECONDS)

    @contextlib.contextmanager
    def _excused(self, subject, step):
        excuse = self.ledger.begin(subject, step.name)
        try:
            yield
        finally:
            self.ledger.end(excuse)

    # MARK: What can be done to any host

    def _kill(self, hosts, step):
        processes = self._processes(hosts)
        for process in processes:
            process.kill()
        try:
            self.hold(step)
        finally:
            for process in processes:
                process.start()

    def _stop(self, hosts, step):
        processes = self._processes(hosts)
        for process in processes:
            process.send(signal.SIGSTOP)
        try:
            self.hold(step)
        finally:
            for process in processes:
                process.send(signal.SIGCONT)

    def _unplug(self, hosts, step):
        for host in hosts:
            self.network.unplug(host)
        try:
            self.hold(step)
        finally:
            for host in hosts:
                self.network.plug(host)

    def _drop(self, host, step, **which):
        self.network.drop(step, host, **which)
        try:
            self.hold(step)
        finally:
            self.network.pass_again(step, host)

    def _shape(self, hosts, step, *words):
        try:
            for host in hosts:
                self.network.shape(host, *words)
            self.hold(step)
        finally:
            for host in hosts:
                self.network.unshape(host)

    # MARK: Storage nodes

    def KillStorage(self, step):
        self._kill(step.storage, step)
        self._wait_up(step.storage)

    def StopStorage(self, step):
        self._stop(step.storage, step)
        self._wait_up(step.storage)

    def UnplugStorage(self, step):
        self._unplug(step.storage, step)
        self._wait_up(step.storage)

    def DeafStorage(self, step):
        """It hears nobody, and its own words arrive."""
        self._drop(step.storage[0], step)
        self._wait_up(step.storage)

    def MuteStorage(self, step):
        """It hears everybody, and nobody hears it."""
        self._drop(step.storage[0], step, arriving=False, leaving=True)
        self._wait_up(step.storage)

    def LossyStorage(self, step):
        self._drop(step.storage[0], step, leaving=True, percent=3 + int(step.chance * 20))
        self._wait_up(step.storage)

    def SlowStorage(self, step):
        self._shape(step.storage, step, "tbf", "rate", "%dmbit" % (2 + step.chance * 10), "burst", "64kb", "latency", "400ms")
        self._wait_up(step.storage)

    def DelayedStorage(self, step):
        delay = 5 + int(step.chance * 200)
        self._shape(step.storage, step, "netem", "delay", "%dms" % delay, "%dms" % (delay // 3), "loss", "1%")
        self._wait_up(step.storage)

    def ThreeDown(self, step):
        self._kill(step.storage, step)
        self._wait_up(step.storage)

    def FourDown(self, step):
        with self._excused("stores", step):
            self._kill(step.storage, step)
            self._wait_up(step.storage)

    # MARK: Ingest nodes

    def KillIngest(self, step):
        self._away(self._kill, step)

    def StopIngest(self, step):
        self._away(self._stop, step)

    def UnplugIngest(self, step):
        self._away(self._unplug, step)

    def LossyIngest(self, step):
        with self._excused(step.ingest, step):
            self._drop(step.ingest, step, leaving=True, percent=2 + int(step.chance * 8))
            self.world.wait_ready(step.ingest, BACK_SECONDS)

    def _away(self, hurt, step):
        with self._excused(step.ingest, step):
            hurt([step.ingest], step)
            self.world.wait_ready(step.ingest, BACK_SECONDS)

    def IngestWithoutStorage(self, step):
        """Both ways, or one of them."""
        ways = [(True, True), (True, False), (False, True)][int(step.chance * 3)]
        self._drop(step.ingest, step, others=step.storage, arriving=ways[0], leaving=ways[1])

    def IngestWithoutCatalog(self, step):
        with self._uncatalogued(step):
            self._drop(step.ingest, step, others=POSTGRES, leaving=True)

    # MARK: Coordinators

    def _leader(self):
        leader = self.world.leader()
        if leader not in COORDINATORS:
            raise PassedOver("nobody leads")
        return leader

    def KillLeader(self, step):
        leader = self._leader()
        begin = time.monotonic()
        process = self.world.processes[leader]
        process.kill()
        try:
            with contextlib.suppress(ClusterError):
                self.world.wait("another leader", lambda: self.world.sees_leader(leader), 30)
                self.takeovers.append(time.monotonic() - begin)
            self.hold(step)
        finally:
            process.start()

    def StopLeader(self, step):
        self._stop([self._leader()], step)

    def KillStandbyCoordinator(self, step):
        leader = self._leader()
        self._kill([host for host in COORDINATORS if host != leader], step)

    def UnplugLeader(self, step):
        self._unplug([self._leader()], step)

    def LeaderWithoutStorage(self, step):
        """One half of the storage nodes, or all of them."""
        others = step.others if step.chance < 0.5 else step.others[: len(STORAGE) // 2]
        self._drop(self._leader(), step, others=others, leaving=True)

    def LeaderWithoutCatalog(self, step):
        self._drop(self._leader(), step, others=POSTGRES, arriving=step.chance < 0.7, leaving=step.chance > 0.3)

    # MARK: Postgres

    @contextlib.contextmanager
    def _uncatalogued(self, step):
        """Until the journals are empty again."""
        with self._excused("catalog", step):
            yield
            self.world.wait_journals(BACK_SECONDS)

    def FailOver(self, step):
        with self._uncatalogued(step):
            self.world.catalog.fail_over()
            self.hold(step)
            self.world.catalog.join()

    def KillStandby(self, step):
        catalog = self.world.catalog
        with self._uncatalogued(step):
            self._kill([catalog.standby], step)
            catalog.wait("a synchronous standby", catalog.is_synchronous)

    def StopPrimary(self, step):
        self._primary(self._stop, step)

    def UnplugPrimary(self, step):
        self._primary(self._unplug, step)

    def _primary(self, hurt, step):
        catalog = self.world.catalog
        with self._uncatalogued(step):
            hurt([catalog.primary], step)
            catalog.wait("a synchronous standby", catalog.is_synchronous)

    # MARK: What operators do

    def _order(self, *words, seconds=60):
        """Until it is taken; ClusterError with the last refusal."""
        said = []

        def is_taken():
            done = self.world.run("node", *words)
            said[:] = [(done.stderr or done.stdout).strip()[-300:]]
            return done.returncode == 0

        try:
            self.world.wait("varve node " + " ".join(words[:2]), is_taken, seconds)
        except ClusterError as error:
            raise ClusterError("%s: %s" % (error, said)) from None

    def _drain(self, node):
        """False where it is refused, as it has to be while others are away."""
        try:
            return self.world.run("node", "drain", node, "--reason", "torture").returncode == 0
        except ClusterError as error:
            raise PassedOver(str(error)) from None

    def _wait_empty(self, node):
        """Until nothing that has a copy on it needs that."""
        def is_empty():
            rows = self.world.nodes(node)
            return bool(rows) and rows[0].get("leaving", {}).get("instances", 1) == 0

        self.world.wait("nothing left on %s" % node, is_empty, DRAIN_SECONDS)

    def Drain(self, step):
        (node,) = step.storage
        if not self._drain(node):
            raise PassedOver("refused")
        try:
            if step.chance < 0.5:
                self.hold(step)
            else:
                self._wait_empty(node)
        finally:
            self._order("undrain", node)
        self._wait_up([node])

    def Replace(self, step):
        """Drained, removed, and an empty one in its place, under load."""
        (node,) = step.storage
        if not self._drain(node):
            raise PassedOver("refused")
        self._wait_empty(node)
        self._exchange(node, step, seconds=DRAIN_SECONDS)

    def Lose(self, step):
        """It burns with all it has; when it is out and all is whole without it, an empty one takes its place."""
        (node,) = step.storage
        self.world.processes[node].kill()
        self.world.wipe(node)
        try:
            self.world.wait("%s out" % node, lambda: self.world.state(node) == "out", 60)
        except ClusterError:
            # Much of the cluster was away at the same time, so nobody is declared out: an operator knows better.
            self._order("drain", node, "--reason", "burnt", seconds=DRAIN_SECONDS)
        self._exchange(node, step, seconds=DRAIN_SECONDS)

    def _exchange(self, node, step, seconds):
        (row,) = self.world.nodes(node)[:1]
        identity = row["node"]["id"]
        self._order("remove", identity, seconds=seconds)
        process = self.world.processes[node]
        process.kill()
        with contextlib.suppress(FileNotFoundError):
            self.world.wipe(node)
        self.hold(step)
        process.start()

        def is_new():
            rows = self.world.nodes(node)
            return bool(rows) and rows[0]["node"]["id"] != identity and rows[0]["node"]["state"] == "up"

        self.world.wait("a new %s" % node, is_new, BACK_SECONDS)

    # MARK: The end

    def heal_all(self):
        """Whatever a fault has left, for the rest of the test."""
        for host in [*self.world.processes]:
            self.network.plug(host)
            self.network.unshape(host)
            self.network.at(host, "nft", "flush", "ruleset", check=False)
        for host in STORAGE + INGEST + COORDINATORS:
            self.world.processes[host].send(signal.SIGCONT)
            self.world.processes[host].start()
        for host in POSTGRES:
            self.world.processes[host].send(signal.SIGCONT)
        catalog = self.world.catalog
        catalog.processes[catalog.primary].start()
        with contextlib.suppress(NetworkError):
            catalog.wait("a synchronous standby", catalog.is_synchronous, 20)
            return
        catalog.join()
