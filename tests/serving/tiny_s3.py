"""A server that speaks as much of S3 as refusals need: who may read what, and the words in which it says no."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

LISTING = (
    '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{}</ListBucketResult>"
)
ITEM = (
    "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag>"
    "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
)


@dataclass
class TinyS3:
    """One bucket, ``bucket``.

    Attributes:
        objects: by key.
        readers: access key ids that may read; ``""`` for everybody without a signature.
        refused: key -> (status, code) that reading it gets.
        asked: (access key id, method, path) of each request.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    endpoint: str = ""


@contextmanager
def tiny_s3() -> Iterator[TinyS3]:
    state = TinyS3()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            who = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            state.asked.append((who, self.command, parts.path))
            if bucket != "bucket":
                self._refuse(404, "NoSuchBucket")
            elif who not in state.readers:
                self._refuse(403, "AccessDenied")
            elif not key:
                prefix = parse_qs(parts.query).get("prefix", [""])[0]
                items = [
                    ITEM.format(quote(k), len(v), f"{hash(v) & 0xFFFFFF:06x}")
                    for k, v in sorted(state.objects.items())
                    if k.startswith(prefix)
                ]
                self._answer(200, LISTING.format("".join(items)).encode(), "application/xml")
            elif key in state.refused:
                self._refuse(*state.refused[key])
            elif key not in state.objects:
                self._refuse(404, "NoSuchKey")
            else:
                self._answer(200, state.objects[key], "image/jpeg")

        def do_PUT(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._refuse(403, "AccessDenied")

        def do_HEAD(self):
            self.do_GET()

        def _refuse(self, status, code):
            self._answer(
                status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode(), "application/xml"
            )

        def _answer(self, status, data, kind):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
            self.send_header("ETag", f'"{hash(data) & 0xFFFFFF:06x}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()
