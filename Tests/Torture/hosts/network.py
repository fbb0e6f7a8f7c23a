# SPDX-License-Identifier: Apache-2.0
"""The network: a namespace for each host, a bridge between them, and what can be done to the links.

This process is in a network namespace of its own already, which has the bridge, and in which the clients are.
"""

import collections
import subprocess
import threading

SUBNET = "10.231.0."
BRIDGE = "varve-bridge"
PREFIX = "varve-"
TABLE = """flush ruleset
table inet varve {
  chain arriving { type filter hook input priority 0; policy accept; iifname "lo" accept; %s }
  chain leaving { type filter hook output priority 0; policy accept; oifname "lo" accept; %s }
}
"""


class NetworkError(RuntimeError):
    pass


def run(*words, check=True, text=None):
    done = subprocess.run(words, capture_output=True, text=True, input=text)
    if check and done.returncode:
        raise NetworkError("%s: %s" % (" ".join(words), (done.stderr or done.stdout).strip()))
    return done


class Network:
    """Makes hosts, and hurts what is between them. Hurts have a key each, by which they are taken away again."""

    def __init__(self):
        self.addresses = {}
        self._rules = collections.defaultdict(dict)
        self._lock = threading.Lock()
        run("mount", "-t", "tmpfs", "varve-netns", "/run/netns")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", SUBNET + "1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    def add(self, host):
        number = len(self.addresses) + 11
        self.addresses[host] = SUBNET + str(number)
        run("ip", "netns", "add", PREFIX + host)
        # Names of interfaces have 15 characters at most.
        run("ip", "link", "add", self._port(host), "type", "veth", "peer", "name", "eth0", "netns", PREFIX + host)
        run("ip", "link", "set", self._port(host), "master", BRIDGE, "up")
        self.at(host, "ip", "link", "set", "lo", "up")
        self.at(host, "ip", "address", "add", self.addresses[host] + "/24", "dev", "eth0")
        self.at(host, "ip", "link", "set", "eth0", "up")
        return self.addresses[host]

    @staticmethod
    def _port(host):
        return "v-" + host

    @staticmethod
    def command(host, *words):
        """The words that run a command at a host; the process that runs them becomes that command."""
        return ["nsenter", "--net=/run/netns/" + PREFIX + host, "--", *words]

    def at(self, host, *words, check=True, text=None):
        return run(*self.command(host, *words), check=check, text=text)

    # MARK: What can be done to links

    def unplug(self, host):
        run("ip", "link", "set", self._port(host), "down")

    def plug(self, host):
        run("ip", "link", "set", self._port(host), "up")

    def drop(self, key, host, others=(), arriving=True, leaving=False, percent=100):
        """Packets at `host`, from or to the other hosts (all when none are named), are dropped without a word."""
        chance = "" if percent >= 100 else "numgen random mod 100 < %d " % percent
        rules = {"arriving": "", "leaving": ""}
        for chain, is_wanted, side in (("arriving", arriving, "saddr"), ("leaving", leaving, "daddr")):
            if is_wanted:
                places = ["ip %s %s " % (side, self.addresses[other]) for other in others] or [""]
                rules[chain] = "".join("%s%sdrop; " % (place, chance) for place in places)
        with self._lock:
            self._rules[host][key] = rules
            self._load(host)

    def pass_again(self, key, host):
        with self._lock:
            self._rules[host].pop(key, None)
            self._load(host)

    def _load(self, host):
        rules = self._rules[host].values()
        text = TABLE % tuple("".join(one[chain] for one in rules) for chain in ("arriving", "leaving"))
        self.at(host, "nft", "-f", "-", text=text)

    def shape(self, host, *words):
        """Both directions of the host's link have a queue of this kind (tc)."""
        self.at(host, "tc", "qdisc", "replace", "dev", "eth0", "root", *words)
        run("tc", "qdisc", "replace", "dev", self._port(host), "root", *words)

    def unshape(self, host):
        self.at(host, "tc", "qdisc", "del", "dev", "eth0", "root", check=False)
        run("tc", "qdisc", "del", "dev", self._port(host), "root", check=False)

    # MARK: What this machine can do

    @staticmethod
    def why_no_queue(*words):
        """Nothing where a queue of this kind can be made, else the reason."""
        done = run("tc", "qdisc", "add", "dev", "lo", "root", *words, check=False)
        run("tc", "qdisc", "del", "dev", "lo", "root", check=False)
        return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[0]

    @staticmethod
    def why_no_rules():
        done = run("nft", "-f", "-", text=TABLE % ("numgen random mod 100 < 5 drop;", ""), check=False)
        run("nft", "flush", "ruleset", check=False)
        return "" if done.returncode == 0 else done.stderr.strip().splitlines()[0]
