# SPDX-License-Identifier: Apache-2.0
"""What HTTP wants of all of DICOMweb: entity tags, gzip, HEAD, CORS, and the description of the service."""

import gzip
import socket
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
import requests

VIEWER = "https://viewer.example.org"
WADL = "{http://wadl.dev.java.net/2009/02}"
# requests would ask for gzip by itself.
PLAIN = {"Accept-Encoding": "identity"}


def get(cluster, path, method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, cluster.dicomweb + path, headers={**PLAIN, **headers}, timeout=60)


def paths(study):
    one = study[0]
    series = "/studies/%s/series/%s" % (one.study, one.series)
    return [
        "/studies/%s" % one.study, series, "/" + one.path, "/" + one.path + "/frames/1",
        "/studies/%s/metadata" % one.study, series + "/metadata", "/" + one.path + "/metadata",
    ]  # fmt: skip


def test_a_tag_spares_sending_it_again(cluster, study):
    tags = set()
    for path in paths(study):
        first = get(cluster, path)
        assert first.status_code == 200
        tag = first.headers["ETag"]
        assert tag.startswith('"') and tag.endswith('"')
        assert first.headers["Cache-Control"] == "private, no-cache"
        assert "Accept" in first.headers["Vary"]
        # Equal tags are equal bytes, the boundary between the parts included.
        again = get(cluster, path)
        assert again.headers["ETag"] == tag and again.content == first.content
        for condition in (tag, "W/" + tag, '"other", ' + tag, "*"):
            unchanged = get(cluster, path, If_None_Match=condition)
            assert (unchanged.status_code, unchanged.content) == (304, b""), (path, condition)
            assert unchanged.headers["ETag"] == tag
        assert get(cluster, path, If_None_Match='"other"').content == first.content
        tags.add(tag)
    assert len(tags) == len(paths(study))


def test_another_representation_has_another_tag(cluster, study):
    path = "/" + study[0].path
    tags = set()
    for accept in (
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        "application/dicom",
        "application/dicom; transfer-syntax=*",
    ):
        answer = get(cluster, path, Accept=accept)
        assert answer.status_code == 200
        assert answer.headers["ETag"] not in tags
        assert get(cluster, path, Accept=accept, If_None_Match=answer.headers["ETag"]).status_code == 304
        tags.add(answer.headers["ETag"])


def test_json_in_gzip(cluster, study):
    for path in (paths(study)[4], "/instances?StudyInstanceUID=%s" % study[0].study, "/nothing/there"):
        plain = get(cluster, path)
        assert "Content-Encoding" not in plain.headers
        with requests.get(cluster.dicomweb + path, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=60) as answer:
            raw = answer.raw.read(decode_content=False)
            assert "Accept-Encoding" in answer.headers["Vary"]
            if len(plain.content) < 1024:
                assert "Content-Encoding" not in answer.headers and raw == plain.content
                continue
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(raw) == plain.content
            assert len(raw) < len(plain.content) / 4
            if "ETag" in plain.headers:
                assert answer.headers["ETag"] != plain.headers["ETag"]
    tag = get(cluster, paths(study)[4], Accept_Encoding="gzip").headers["ETag"]
    assert get(cluster, paths(study)[4], Accept_Encoding="gzip", If_None_Match=tag).status_code == 304
    assert get(cluster, paths(study)[4], If_None_Match=tag).status_code == 200
    # Instances are not compressed again.
    assert "Content-Encoding" not in get(cluster, "/" + study[0].path, Accept_Encoding="gzip").headers


def test_head_is_get_without_a_body(cluster, study):
    for path in paths(study):
        whole, head = get(cluster, path), get(cluster, path, method="HEAD")
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Type", "ETag", "Vary", "Cache-Control"):
            assert head.headers[name] == whole.headers[name]
        assert head.headers.get("Content-Length") == whole.headers.get("Content-Length")
    assert get(cluster, "/studies/1.2.3.4", method="HEAD").status_code == 404


def test_nothing_follows_a_response_to_head(cluster, study):
    """Byte for byte: on one connection, GET after HEAD, also when both are sent at once."""
    streamed, known = "/studies/%s/metadata" % study[0].study, "/" + study[0].path
    with socket.create_connection(("127.0.0.1", cluster.http), timeout=30) as connection:
        for accept in (b"identity", b"gzip"):
            for path in (streamed, known, "/studies?limit=1", "/nothing/there"):
                requests_of = [
                    b"%s /dicom-web%s HTTP/1.1\r\nHost: varve\r\nAccept-Encoding: %s\r\n\r\n" % (method, path.encode(), accept)
                    for method in (b"HEAD", b"HEAD", b"OPTIONS")
                ]
                connection.sendall(b"".join(requests_of))
                answer = b""
                while answer.count(b"\r\n\r\n") < 3:
                    received = connection.recv(65536)
                    assert received, answer
                    answer += received
                heads = answer.split(b"\r\n\r\n")
                assert heads[3] == b""
                assert [head.split(b" ")[0] for head in heads[:3]] == [b"HTTP/1.1"] * 3, answer
                lengths = [line.split(b":")[1].strip() for line in heads[0].lower().split(b"\r\n") if line.startswith(b"content-length")]
                if path == streamed:
                    assert lengths == [] and b"transfer-encoding: chunked" in heads[0].lower()
                else:
                    # Compressed, the length is not known beforehand.
                    assert lengths != [b"0"]


def test_pages_of_configured_origins_may_read(cluster, study):
    asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "if-none-match,range"}
    preflight = get(cluster, paths(study)[0], method="OPTIONS", Origin=VIEWER, **asked)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == VIEWER
    assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
    assert {"If-None-Match", "Range"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    for path in (paths(study)[4], "/studies?limit=1", "/nothing/there"):
        answer = get(cluster, path, Origin=VIEWER)
        assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        for origin in ("https://elsewhere.example.org", "null"):
            other = get(cluster, path, Origin=origin)
            assert "Access-Control-Allow-Origin" not in other.headers
            assert "Origin" in other.headers["Vary"]
    refused = get(cluster, "/studies", method="OPTIONS", Origin="https://elsewhere.example.org", **asked)
    assert refused.status_code == 403 and "cors-origins" in refused.json()["message"]
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_malformed_origin_is_refused_at_the_start(cluster, tmp_path):
    done = cluster.run("up", "--data", str(tmp_path / "data"), "--cors-origin", "viewer.example.org/path")
    assert done.returncode != 0 and "--cors-origin viewer.example.org/path" in done.stderr
    settings = tmp_path / "ingest.yaml"
    settings.write_text(
        "name: i\ncluster: 6f1e0000-0000-4000-8000-000000000000\ncatalog: host=db\nspool: /tmp/x\ntls: off\n"
        "http:\n  cors-origins: [https://good.example.org, bad]\n"
    )
    done = cluster.run("ingest", "--config", str(settings), "--check-config")
    assert done.returncode != 0 and "'http.cors-origins' has 'bad'" in done.stderr
    settings.write_text(settings.read_text().replace(", bad", ""))
    assert cluster.run("ingest", "--config", str(settings), "--check-config").returncode == 0


@pytest.mark.parametrize("path", ["", "/"])
def test_the_service_describes_itself(cluster, path):
    answer = get(cluster, path, method="OPTIONS")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/vnd.sun.wadl+xml"
    (resources,) = ElementTree.fromstring(answer.content).iter(WADL + "resources")
    assert resources.get("base") == cluster.dicomweb
    found = {}

    def walk(node, above):
        for resource in node.findall(WADL + "resource"):
            place = "%s/%s" % (above, resource.get("path"))
            for method in resource.findall(WADL + "method"):
                found[method.get("id")] = (method.get("name"), place)
            walk(resource, place)

    walk(resources, "")
    assert found["SearchForStudies"] == ("GET", "/studies")
    assert found["StoreInstances"] == ("POST", "/studies")
    assert found["RetrieveFrames"][1] == (
        "/studies/{StudyInstanceUID}/series/{SeriesInstanceUID}/instances/{SOPInstanceUID}/frames/{frames}"
    )
    refused = get(cluster, path, method="OPTIONS", Accept="text/html")
    assert refused.status_code == 406


def test_other_methods_are_named(cluster):
    for method in ("PUT", "DELETE", "PATCH"):
        answer = get(cluster, "/studies/1.2.3", method=method)
        assert answer.status_code == 405 and "GET" in answer.headers["Allow"]
    assert get(cluster, "/studies", method="OPTIONS").headers["Allow"].startswith("GET")


def test_curl_keeps_what_has_not_changed(cluster, study, tmp_path):
    url, tags = cluster.dicomweb + "/" + study[0].path, str(tmp_path / "tag")
    for expected in ("200", "304"):
        command = ["curl", "-s", "-o", str(tmp_path / expected), "-w", "%{http_code}"]
        command += ["--etag-save", tags, "--etag-compare", tags, url]
        assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == expected
