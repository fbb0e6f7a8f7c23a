# SPDX-License-Identifier: Apache-2.0
"""WADO-RS retrieval that keeps every byte: multipart bodies are split by hand."""

import re

import part10

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class WadoError(RuntimeError):
    def __init__(self, status, body):
        super().__init__("HTTP %s: %s" % (status, body[:2000]))
        self.status = status


def parts(body, content_type):
    """[(headers, bytes)] of a multipart/related body."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise WadoError("200 without a boundary", content_type.encode())
    mark = b"--" + found.group(1).encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if not pieces[-1].startswith(b"--"):
        raise WadoError("200 without a closing boundary", body[-100:])
    result = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        headers = {}
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode()] = value.strip().decode()
        result.append((headers, content))
    return result


def retrieve(cluster, path, accept=None, timeout=120):
    """[(headers, Part 10 bytes)] of GET /dicom-web/PATH."""
    status, body, headers = cluster.get("/dicom-web/" + path, accept=accept, timeout=timeout)
    if status != 200:
        raise WadoError(status, body)
    return parts(body, headers["Content-Type"])


def instance_path(study, series, instance):
    return "studies/%s/series/%s/instances/%s" % (study, series, instance)


def data_set(cluster, study, series, instance, accept=None):
    """(transfer syntax UID, data set bytes) of one instance."""
    found = retrieve(cluster, instance_path(study, series, instance), accept)
    if len(found) != 1:
        raise WadoError("200 with %d parts" % len(found), b"")
    headers, contents = found[0]
    meta, data = part10.split(contents)
    syntax = part10.transfer_syntax(meta)
    if syntax != part10.EXPLICIT_LITTLE_ENDIAN and syntax not in headers.get("content-type", ""):
        raise WadoError("200 whose part does not name its transfer syntax " + syntax, str(headers).encode())
    return syntax, data
