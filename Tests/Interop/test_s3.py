# SPDX-License-Identifier: Apache-2.0
"""Packs in a bucket: `varve pack` against moto's server, with boto3 as the other client.

Or against the server at `VARVE_S3_ENDPOINT`, which has a user `test-id` with `test-secret`, and whose buckets `archive` and `locked`
are emptied (`docs/testing.md`).
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from support import packs
from support.cluster import free_ports
from support.phantom import instance

boto3 = pytest.importorskip("boto3", reason="no boto3: run deploy/lib/install.sh's install_python")
pytest.importorskip("moto", reason="no moto: run deploy/lib/install.sh's install_python")

BUCKET, LOCKED = "archive", "locked"
OUTSIDE = os.environ.get("VARVE_S3_ENDPOINT", "")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test-id",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def server():
    """The URL of an S3 server."""
    if OUTSIDE:
        yield OUTSIDE
        return
    (port,) = free_ports(1)
    url = "http://127.0.0.1:%d" % port
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": url},
    )
    try:
        for _ in range(300):
            try:
                requests.get(url + "/moto-api/data.json", timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None, "moto's server ended"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def bucket(server):
    """An empty bucket, as boto3 sees it."""
    client = boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="test-id",
        aws_secret_access_key="test-secret",
        config=boto3.session.Config(s3={"addressing_style": "path"}),
    )
    if OUTSIDE:
        remove_buckets(client)
    else:
        requests.post(server + "/moto-api/reset", timeout=30)
    client.create_bucket(Bucket=BUCKET)
    return client


def remove_buckets(client):
    for name in (BUCKET, LOCKED):
        if name not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
            continue
        for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", []):
            client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                # The lock is lifted by this only where it is one of governance.
                bypass = {"BypassGovernanceRetention": True} if name == LOCKED else {}
                client.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"], **bypass)
        client.delete_bucket(Bucket=name)


def varve(server, command, *arguments, environment=None):
    return packs.varve(
        command, "--endpoint", server, "--path-style", *arguments, environment={**CREDENTIALS, **(environment or {})}
    )


def create(server, study, *arguments, url="s3://%s/packs" % BUCKET):
    done = varve(server, "create", "--store", url, "--json", *arguments, str(study.folder))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return packs.write_study(tmp_path_factory.mktemp("s3") / "small", [instance("s3", index) for index in range(3)])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A study of several parts of an upload."""
    study = packs.write_study(tmp_path_factory.mktemp("s3") / "large", [instance("s3-large", index) for index in range(3)])
    for path in sorted(study.folder.glob("*.dcm")):
        with open(path, "ab") as file:
            # Behind the data set, where it is kept like everything else.
            file.write(os.urandom(9 << 20))
    return study


def test_a_small_pack(server, bucket, small):
    report = create(server, small, "--storage-class", "STANDARD_IA")
    key = report["place"][len("s3://%s/" % BUCKET) :]
    assert key.startswith("packs/%s/%s/" % (hashlib.sha256(small.uid.encode()).hexdigest()[:3], small.uid))
    stored = bucket.get_object(Bucket=BUCKET, Key=key)
    assert stored["StorageClass"] == "STANDARD_IA"
    contents = stored["Body"].read()
    assert len(contents) == report["byteCount"]
    assert hashlib.sha256(contents).hexdigest() == report["sha256"]
    listed = varve(server, "list", "s3://%s/packs/" % BUCKET, "--json")
    assert [json.loads(line)["key"] for line in listed.stdout.splitlines()] == [key[len("packs/") :]]
    shown = json.loads(varve(server, "list", report["place"], "--json").stdout)
    assert {one["path"] for one in shown["instances"]} == set(small.files)
    checked = varve(server, "check", report["place"])
    assert checked.returncode == 0 and report["sha256"] in checked.stdout, checked.stdout


@pytest.fixture
def locking(server, bucket):
    """A bucket that locks objects."""
    bucket.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
    return bucket


@pytest.mark.parametrize("which", ["small", "large"])
def test_a_pack_is_locked_where_the_bucket_can(server, locking, which, request):
    study = request.getfixturevalue(which)
    began = time.time()
    report = create(server, study, "--object-lock", "governance:30", url="s3://%s/packs" % LOCKED)
    key = report["place"][len("s3://%s/" % LOCKED) :]
    head = locking.head_object(Bucket=LOCKED, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert began - 60 < head["ObjectLockRetainUntilDate"].timestamp() - 30 * 86400 < time.time() + 60
    assert varve(server, "check", report["place"]).returncode == 0


def test_a_bucket_without_locks_is_not_written_to(server, bucket, small):
    done = varve(server, "create", "--store", "s3://%s/packs" % BUCKET, "--object-lock", "compliance:30", str(small.folder))
    assert done.returncode == 1 and "object lock" in done.stderr and BUCKET in done.stderr, done.stderr
    assert "Contents" not in bucket.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize("lock", ["governance", "forever:3", "governance:0", "governance:36501", "governance:-1"])
def test_what_is_no_lock_is_refused(server, bucket, small, lock):
    done = varve(server, "create", "--store", "s3://%s/packs" % BUCKET, "--object-lock", lock, str(small.folder))
    assert done.returncode == 2 and lock in done.stderr, done.stderr


def test_a_large_pack_goes_in_parts(server, bucket, large):
    report = create(server, large)
    key = report["place"][len("s3://%s/" % BUCKET) :]
    head = bucket.head_object(Bucket=BUCKET, Key=key)
    assert head["ETag"].strip('"').endswith("-4")  # 27 MiB in parts of 8
    assert hashlib.sha256(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() == report["sha256"]
    assert "Uploads" not in bucket.list_multipart_uploads(Bucket=BUCKET)
    checked = varve(server, "check", report["place"])
    assert checked.returncode == 0 and report["sha256"] in checked.stdout, checked.stdout


def test_damage_is_named(server, bucket, small):
    report = create(server, small)
    key = report["place"][len("s3://%s/" % BUCKET) :]
    contents = bytearray(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    hit = json.loads(varve(server, "list", report["place"], "--json").stdout)["instances"][1]
    contents[hit["offset"] + 10] ^= 1
    bucket.put_object(Bucket=BUCKET, Key=key, Body=bytes(contents))
    checked = varve(server, "check", report["place"])
    assert checked.returncode == 1 and hit["path"] in checked.stdout


def test_lists_go_on_behind_a_page(server, bucket):
    names = sorted("abc/1.2.%d/p.zip" % number for number in range(1205))
    for name in names:
        bucket.put_object(Bucket=BUCKET, Key="many/" + name, Body=b"x")
    bucket.put_object(Bucket=BUCKET, Key="many/other ü file", Body=b"x")
    bucket.put_object(Bucket=BUCKET, Key="elsewhere/p.zip", Body=b"x")
    listed = varve(server, "list", "s3://%s/many/" % BUCKET, "--json")
    assert listed.returncode == 0, listed.stderr
    assert [json.loads(line)["key"] for line in listed.stdout.splitlines()] == names


def test_what_is_not_there(server, bucket, small):
    missing = varve(server, "list", "s3://%s/packs/none.zip" % BUCKET)
    assert missing.returncode == 1 and "there is no" in missing.stderr
    bucketless = varve(server, "list", "s3://nothing-here/packs/none.zip")
    assert bucketless.returncode == 1 and "no bucket" in bucketless.stderr
    stored = varve(server, "create", "--store", "s3://nothing-here", str(small.folder))
    assert stored.returncode == 1 and "no bucket" in stored.stderr
    anonymous = {name: "" for name in CREDENTIALS}
    keyless = varve(server, "list", "s3://%s/" % BUCKET, "--credentials", "/nowhere", environment=anonymous)
    assert keyless.returncode == 1 and "AWS_ACCESS_KEY_ID" in keyless.stderr


def test_credentials_from_a_file(server, bucket, small, tmp_path):
    file = tmp_path / "credentials"
    file.write_text("[default]\n[archive]\naws_access_key_id = test-id\naws_secret_access_key = test-secret\n")
    listed = varve(
        server, "list", "s3://%s/" % BUCKET, "--credentials", str(file), "--profile", "archive",
        environment={name: "" for name in CREDENTIALS},
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr


class Moody(BaseHTTPRequestHandler):
    """Passes requests on to moto, and fails some of them first, each kind in its own way."""

    protocol_version = "HTTP/1.1"
    target = ""
    seen = {}
    refused = ""
    lock = threading.Lock()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = self.path.partition("?")[2]
        kind = self.command + " " + ("part" if "partNumber" in query else query.partition("=")[0])
        with self.lock:
            count = self.seen[kind] = self.seen.get(kind, 0) + 1
        if kind == self.refused:
            return self.send(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        if count == 1:
            return self.send(503, {}, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
        if count == 2:
            return self.send(500, {}, b"")
        answered, contents = self.forward(body)
        # The third time it is done and the answer is lost: of what makes the object seen, too.
        if count == 3:
            self.close_connection = True
            return None
        return self.send(answered.status_code, answered.headers, contents)

    def forward(self, body):
        answered = requests.request(
            self.command, self.target + self.path, data=body, headers=dict(self.headers), timeout=60, stream=True
        )
        return answered, answered.raw.read()

    def send(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def moody(server, bucket):
    """A server in front of moto that has bad days."""
    handler = type("Handler", (Moody,), {"target": server, "seen": {}})
    front = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    yield handler, "http://127.0.0.1:%d" % front.server_address[1]
    front.shutdown()


@pytest.mark.parametrize("size", ["small", "large"])
def test_failures_that_pass_are_passed_over(moody, bucket, request, size):
    """Every kind of request fails three times, the third time after it was done."""
    handler, url = moody
    study = request.getfixturevalue(size)
    report = create(url, study)
    key = report["place"][len("s3://%s/" % BUCKET) :]
    assert hashlib.sha256(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() == report["sha256"]
    assert [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]] == [key]
    checked = varve(url, "check", report["place"])
    assert checked.returncode == 0, checked.stdout
    assert all(count > 3 for count in handler.seen.values()), handler.seen


def test_an_upload_that_fails_is_aborted(moody, bucket, large):
    handler, url = moody
    handler.refused = "POST uploadId"  # what puts the parts together
    failed = varve(url, "create", "--store", "s3://%s" % BUCKET, str(large.folder))
    assert failed.returncode == 1 and "AccessDenied" in failed.stderr, failed.stderr
    # One is left: that whose answer was lost, which nobody knows the name of.
    assert len(bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])) == 1
    assert "Contents" not in bucket.list_objects_v2(Bucket=BUCKET)
