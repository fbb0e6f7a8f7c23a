# SPDX-License-Identifier: Apache-2.0
"""The tiers that packs are built in: a directory, or a bucket of a server that speaks S3.

Each knows when a pack is begun and when it is durable, and how a program that is not ours puts the same bytes there.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import machine
from repair import wait

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test-id",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "varve-benchmark"


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("1")


class DirectoryTier:
    reference = "cp with sync"

    def __init__(self, work):
        self.work = work
        self.directory = os.path.join(work, "store")
        os.makedirs(self.directory)
        self.place = "file://" + self.directory
        self.packs = "{directory: %s}" % self.directory
        self._uploads = os.path.join(self.directory, ".varve-uploads")

    def prepare(self, cluster):
        cluster.varve("pack", "init", self.directory)

    def wait_begun(self):
        while not os.listdir(self._uploads):
            time.sleep(0.001)

    def wait_built(self, cluster, uid):
        while os.listdir(self._uploads):
            time.sleep(0.001)

    def copy(self, key, number):
        """Seconds of `cp` with a sync, into a file that stays: blocks that have just been freed would be quicker."""
        drop_caches()
        target = os.path.join(self.work, "copy-%d" % number)
        begin = time.monotonic()
        subprocess.run(["cp", os.path.join(self.directory, key), target], check=True)
        subprocess.run(["sync", target], check=True)
        return time.monotonic() - begin

    def stop(self):
        pass


class BucketTier:
    reference = "aws s3 cp"

    def __init__(self, work, endpoint):
        """At `endpoint`; None: at moto's server, which is started."""
        import boto3

        self.work = work
        os.environ.update(CREDENTIALS)
        version = subprocess.run(["aws", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        self._server = None
        if endpoint is None:
            endpoint = self._start_moto()
        self.endpoint = endpoint.rstrip("/")
        self._client = boto3.client(
            "s3", endpoint_url=self.endpoint, config=boto3.session.Config(s3={"addressing_style": "path"})
        )
        self.place = "s3+%s/%s" % (self.endpoint, BUCKET)
        self.packs = "{s3: {endpoint: '%s', bucket: %s, region: us-east-1, path-style: yes}}" % (self.endpoint, BUCKET)
        print("%s: %s, against %s" % (self.reference, version, "moto's server" if self._server else self.endpoint))

    def _start_moto(self):
        url = "http://127.0.0.1:%d" % machine.free_port()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": url, "TMPDIR": self.work},
        )

        def answers():
            try:
                return urllib.request.urlopen(url + "/moto-api/data.json", timeout=5).status == 200
            except OSError:
                if self._server.poll() is not None:
                    raise RuntimeError("moto's server ended") from None
                return False

        wait("moto's server", answers, 60, 0.1)
        return url

    def prepare(self, cluster):
        self._empty()
        self._client.create_bucket(Bucket=BUCKET)

    def _empty(self):
        if BUCKET not in {one["Name"] for one in self._client.list_buckets()["Buckets"]}:
            return
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for one in page.get("Contents", []):
                self._client.delete_object(Bucket=BUCKET, Key=one["Key"])
        for one in self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self._client.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])
        self._client.delete_bucket(Bucket=BUCKET)

    def wait_begun(self):
        while not self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads"):
            time.sleep(0.02)

    def wait_built(self, cluster, uid):
        """By the catalog: a server that is asked all the time would be slower."""

        def is_built():
            return any(pack["state"] != "planned" for pack in cluster.json("/api/v1/studies/" + uid).get("packs", []))

        wait("the pack of " + uid, is_built, 600, 0.01)

    def copy(self, key, number):
        """Seconds of `aws s3 cp` of the pack, from a file that is not in memory, to an object that stays."""
        file = os.path.join(self.work, "pack")
        self._client.download_file(BUCKET, key, file)
        subprocess.run(["sync", file], check=True)
        drop_caches()
        words = ["aws", "s3", "cp", "--only-show-errors", "--endpoint-url", self.endpoint, file]
        begin = time.monotonic()
        subprocess.run([*words, "s3://%s/copies/%d" % (BUCKET, number)], check=True)
        seconds = time.monotonic() - begin
        os.remove(file)
        return seconds

    def range_request(self, key, byte_count):
        """Seconds of one GET of a range in the midst of an object, over a connection that is open."""
        import http.client

        parts = urllib.parse.urlsplit(self.endpoint)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=60)
        connection.connect()
        signed = self._client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        begin = time.monotonic()
        connection.request("GET", signed[len(self.endpoint) :], headers={"Range": "bytes=1000000-%d" % (999999 + byte_count)})
        answer = connection.getresponse()
        if answer.status != 206 or len(answer.read()) != byte_count:
            raise RuntimeError("a range was answered %d" % answer.status)
        seconds = time.monotonic() - begin
        connection.close()
        return seconds

    def stop(self):
        if self._server is None:
            self._empty()
        else:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(30)
