# SPDX-License-Identifier: Apache-2.0
"""Who gets to speak to a storage node, and what an operator has to do for it."""

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest
from conftest import send_all
from support.cluster import Cluster, binary, free_ports
from support.phantom import instance

CLUSTER = "6f1e0000-0000-4000-8000-000000000001"
SECONDS = 20


def varve(*arguments, environment=None):
    return subprocess.run(
        [binary(), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def issue(ca, role, name, out, *options):
    """Files of a new certificate, as `tls` wants them."""
    done = varve("certificate", "issue", "--ca", ca, "--role", role, "--name", name, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    files = {"ca": out + "/ca.pem", "certificate": "%s/%s.pem" % (out, name), "key": "%s/%s.key" % (out, name)}
    for key, path in files.items():
        assert "%s: %s" % (key, path) in done.stdout
    return files


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The authority of an operator's cluster."""
    path = str(tmp_path_factory.mktemp("authority") / "ca")
    done = varve("certificate", "ca", "--out", path, "--cluster", CLUSTER)
    assert done.returncode == 0, done.stderr
    return path


def write(path, **values):
    """A configuration file of plain keys and one level below."""
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [key + ":"] + ["  %s: %s" % pair for pair in value.items()]
        else:
            lines.append("%s: %s" % (key, value))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def role_configuration(role, folder, **more):
    """A whole configuration of `role` but for `tls`."""
    if role == "storage":
        own = {"data": folder / "data", "listen": {"host": "127.0.0.1", "port": free_ports(1)[0]}}
    elif role == "coordinator":
        own = {"catalog": "host=127.0.0.1", "storage-nodes": "storage-1=127.0.0.1:1"}
    else:
        own = {"catalog": "host=127.0.0.1", "spool": folder / "spool"}
    return write(folder / (role + ".yaml"), name=role + "-1", cluster=CLUSTER, **own, **more)


def open_tls(port, files):
    """A connection with the files' authority and, when it has one, certificate; closed by the caller."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files["ca"])
    if "certificate" in files:
        context.load_cert_chain(files["certificate"], files["key"])
    raw = socket.create_connection(("127.0.0.1", port), SECONDS)
    try:
        return context.wrap_socket(raw)
    except BaseException:
        raw.close()
        raise


def says(port, files):
    """What a storage node answers to bytes that are no VRP: an ERROR of VRP, or nothing but the end."""
    with open_tls(port, files) as peer:
        assert peer.version() == "TLSv1.3"
        peer.sendall(bytes(32))
        return peer.recv(4096)


def storage_port(cluster, number=1):
    with open(os.path.join(cluster.data, "config", "storage-%d.yaml" % number)) as file:
        return int(next(line.split(":")[1] for line in file if "port:" in line))


def is_let_in(port, files):
    try:
        answer = says(port, files)
    except (ssl.SSLError, ConnectionError):
        return False
    # The first two bytes of every message.
    assert answer[:2] in (b"VR", b"")
    return answer[:2] == b"VR"


def test_who_is_let_in(cluster, authority, study, tmp_path):
    """`cluster` works, as all other tests show; nobody else speaks to its nodes."""
    port = storage_port(cluster)
    ours = issue(cluster.data + "/tls", "tool", "probe", str(tmp_path / "ours"))
    assert is_let_in(port, ours)
    assert not is_let_in(port, {"ca": ours["ca"]}), "without a certificate"
    theirs = issue(authority, "tool", "probe", str(tmp_path / "theirs"))
    assert not is_let_in(port, {**theirs, "ca": ours["ca"]}), "with a certificate of another authority"
    with pytest.raises(ssl.SSLCertVerificationError):
        says(port, theirs)
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        # A HELLO's header: what a client without TLS begins with.
        plain.sendall(b"VR" + bytes(30))
        assert not plain.recv(4096).startswith(b"VR")
    # Nothing of that was a loss to the others.
    assert cluster.study(study[0].study, verify=True)["instances"]


def test_what_up_keeps(cluster):
    folder = os.path.join(cluster.data, "tls")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    names = set(os.listdir(folder))
    processes = ["ca", "coordinator-1", "ingest-1", "storage-1", "storage-2", "storage-3"]
    assert names == {name + end for name in processes for end in (".pem", ".key")}
    for name in processes:
        assert stat.S_IMODE(os.stat(os.path.join(folder, name + ".key")).st_mode) == 0o600
    done = varve("certificate", "show", "--json", os.path.join(folder, "storage-2.pem"))
    (shown,) = json.loads(done.stdout)
    (name,) = shown["names"]
    assert name.startswith("varve://cluster/") and name.endswith("/storage/storage-2")
    assert shown["from"] < shown["until"]


def test_a_directory_without_tls_gets_it_and_certificates_are_renewed():
    cluster = Cluster(storage_nodes=2, options=[])
    folder = os.path.join(cluster.data, "tls")
    try:
        cluster.start()
        stored = [instance("tls-upgrade", index) for index in range(3)]
        assert set(send_all(cluster.port, stored).values()) == {0}
        assert not os.path.exists(folder)
        cluster.stop()

        cluster.options = ["--tls"]
        cluster.start()
        cluster.wait_ready()
        assert len(cluster.study(stored[0].study, verify=True)["instances"]) == 3
        probe = issue(folder, "tool", "probe", os.path.join(cluster.directory, "probe"))
        assert is_let_in(storage_port(cluster), probe)
        assert not is_let_in(storage_port(cluster), {"ca": probe["ca"]})
        cluster.stop()

        # One that ends tomorrow is replaced at the next start, the others and the authority are kept.
        def read(name):
            with open(os.path.join(folder, name)) as file:
                return file.read()

        issue(folder, "storage", "storage-1", folder, "--days", "1")
        before = {name: read(name) for name in os.listdir(folder)}
        cluster.start()
        cluster.wait_ready()
        changed = {name for name in before if read(name) != before[name]}
        assert changed == {"storage-1.pem", "storage-1.key"}
        assert len(cluster.study(stored[0].study, verify=True)["instances"]) == 3
        done = varve("certificate", "show", "--json", folder + "/storage-1.pem")
        assert json.loads(done.stdout)[0]["until"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 300 * 86400))
    finally:
        cluster.stop()
        shutil.rmtree(cluster.directory, ignore_errors=True)


@pytest.mark.parametrize("role", ["storage", "ingest", "coordinator"])
def test_no_role_starts_without_tls_unawares(role, tmp_path):
    path = role_configuration(role, tmp_path)
    for arguments in ([], ["--check-config"]):
        done = varve(role, "--config", path, *arguments)
        assert done.returncode == 1
        for word in ("tls.ca", "tls.certificate", "tls.key", "varve certificate issue", "tls: off"):
            assert word in done.stderr, done.stderr
    assert varve(role, "--config", path, "--check-config", environment={"VARVE_TLS": "off"}).returncode == 0
    done = varve(role, "--config", path, "--check-config", environment={"VARVE_TLS": "no"})
    assert done.returncode == 1 and "'tls' is 'no'" in done.stderr


@pytest.mark.parametrize("role", ["storage", "ingest", "coordinator"])
def test_check_config_reads_the_files(role, authority, tmp_path):
    good = issue(authority, role, role + "-1", str(tmp_path / "good"))
    other_role = issue(authority, "tool", role + "-1", str(tmp_path / "role"))
    other_name = issue(authority, role, role + "-2", str(tmp_path / "name"))
    assert varve("certificate", "ca", "--out", str(tmp_path / "b"), "--cluster", CLUSTER).returncode == 0
    other_authority = issue(str(tmp_path / "b"), role, role + "-1", str(tmp_path / "authority"))
    elsewhere = CLUSTER[:-1] + "2"
    assert varve("certificate", "ca", "--out", str(tmp_path / "c"), "--cluster", elsewhere).returncode == 0
    other_cluster = issue(str(tmp_path / "c"), role, role + "-1", str(tmp_path / "cluster"))

    def check(files, said):
        path = role_configuration(role, tmp_path, tls=files)
        done = varve(role, "--config", path, "--check-config")
        assert done.returncode == (1 if said else 0), done.stderr
        assert (said or "the configuration is valid") in (done.stderr if said else done.stdout)

    check(good, None)
    check({"ca": good["ca"], "certificate": good["certificate"]}, "'tls.key' missing")
    check({**good, "key": "/nonexistent"}, "cannot read /nonexistent")
    check({**good, "key": other_name["key"]}, "is not the key of")
    check({**good, "ca": other_authority["ca"]}, "is not from an authority in")
    check(other_role, "/tool/%s-1" % role)
    check(other_name, "/%s/%s-2" % (role, role))
    check(other_cluster, elsewhere)


def test_a_configuration_says_one_thing(authority, tmp_path):
    files = issue(authority, "storage", "storage-1", str(tmp_path / "good"))
    path = role_configuration("storage", tmp_path, tls="off")
    done = varve("storage", "--config", path, "--check-config", environment={"VARVE_TLS_CA": files["ca"]})
    assert done.returncode == 1 and "'tls' is off, but files" in done.stderr


def test_one_authority_and_no_nonsense(authority, tmp_path):
    before = open(authority + "/ca.pem").read()
    done = varve("certificate", "ca", "--out", authority, "--cluster", CLUSTER)
    assert done.returncode == 1 and authority in done.stderr
    assert open(authority + "/ca.pem").read() == before
    assert stat.S_IMODE(os.stat(authority + "/ca.key").st_mode) == 0o600
    out = str(tmp_path / "out")
    for options in (
        ["--role", "king", "--name", "a"], ["--role", "tool", "--name", "../a"], ["--role", "tool", "--name", "ca"],
        ["--role", "tool", "--name", "a", "--days", "0"],
    ):  # fmt: skip
        assert varve("certificate", "issue", "--ca", authority, "--out", out, *options).returncode == 2
    done = varve("certificate", "issue", "--ca", out, "--out", out, "--role", "tool", "--name", "a")
    assert done.returncode == 1 and out in done.stderr
    assert not os.path.exists(out)


def test_certificates_of_other_tools_will_do(authority, tmp_path):
    """An authority and certificate made with openssl as docs/replication-protocol.md says."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=tmp_path, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=authority")
    openssl("req", "-new", *key, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node")
    (tmp_path / "node.ext").write_text(
        "subjectAltName=URI:varve://cluster/%s/storage/storage-1\nextendedKeyUsage=serverAuth,clientAuth\n" % CLUSTER
    )
    openssl(
        "x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "node.ext", "-out", "node.pem",
    )  # fmt: skip
    files = {"ca": tmp_path / "ca.pem", "certificate": tmp_path / "node.pem", "key": tmp_path / "node.key"}
    path = role_configuration("storage", tmp_path, tls=files)
    done = varve("storage", "--config", path, "--check-config")
    assert done.returncode == 0, done.stderr
    # For one end only.
    (tmp_path / "node.ext").write_text(
        "subjectAltName=URI:varve://cluster/%s/storage/storage-1\nextendedKeyUsage=serverAuth\n" % CLUSTER
    )
    openssl(
        "x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "node.ext", "-out", "node.pem",
    )  # fmt: skip
    done = varve("storage", "--config", path, "--check-config")
    assert done.returncode == 1 and "clientAuth" in done.stderr


def test_renewed_certificates_are_taken_at_the_next_start(authority, tmp_path):
    """A storage node of an operator's own, asked what certificate it shows."""
    out = str(tmp_path / "node")
    files = issue(authority, "storage", "storage-1", out, "--days", "10")
    probe = issue(authority, "tool", "probe", str(tmp_path / "probe"))
    path = role_configuration("storage", tmp_path, tls=files)
    port = int(next(line.split(":")[1] for line in open(path) if "port:" in line))

    def shown():
        with open_tls(port, probe) as peer:
            return peer.getpeercert(binary_form=True)

    def start():
        log = open(tmp_path / "node.log", "wb")
        with log:
            process = subprocess.Popen(
                [binary(), "storage", "--config", path], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + SECONDS
        while b"serving records" not in (tmp_path / "node.log").read_bytes():
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "node.log").read_text()
            time.sleep(0.05)
        return process

    process = start()
    try:
        assert "the certificate ends soon" in (tmp_path / "node.log").read_text()
        first = shown()
        issue(authority, "storage", "storage-1", out)
        assert shown() == first
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        process = start()
        assert "the certificate ends soon" not in (tmp_path / "node.log").read_text()
        assert shown() != first
    finally:
        process.kill()
        process.wait(SECONDS)
