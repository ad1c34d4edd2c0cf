"""A model hub on loopback with a few repositories, as far as `huggingface_hub` needs one to download files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What every branch of every repository points at."""


class FakeHub:
    """Serves repositories while the context is open.

    Args:
        repositories: name -> file name -> bytes.
        gated: repositories that it hands to nobody.
    """

    def __init__(
        self, repositories: Mapping[str, Mapping[str, bytes]], gated: frozenset[str] = frozenset()
    ) -> None:
        self.sent: Counter[str] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                path = self.path.partition("?")[0]
                repository = next((name for name in repositories if f"/{name}" in path), "")
                files = repositories.get(repository, {})
                name = path.rpartition("/")[2]
                if repository in gated:
                    self._send(403, b"{}", body=body, headers={"X-Error-Code": "GatedRepo"})
                elif path.startswith("/api/models/") and repository:
                    told = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}
                    self._send(200, json.dumps(told).encode(), body=body)
                elif f"/resolve/{COMMIT}/" in path and name in files:
                    data = files[name]
                    if body:
                        hub.sent[name] += 1
                    etag = hashlib.sha256(data).hexdigest()
                    self._send(200, data, body=body, headers={"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
                else:
                    self._send(404, b"{}", body=body, headers={"X-Error-Code": "RepoNotFound"})

            def _send(
                self, status: int, data: bytes, *, body: bool, headers: Mapping[str, str] | None = None
            ) -> None:
                self.send_response(status)
                for key, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
