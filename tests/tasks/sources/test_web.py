"""Photographs at web addresses: servers as they are, and a reason for each way to fail."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
from collections import Counter
from typing import ClassVar

import httpx
import pytest

from tasks.records.errors import ConfigurationError, Reason, SampleError
from tasks.sources import web
from tasks.sources.web import read_web, user_agent

DATA = bytes(range(256)) * 40


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[Counter[str]] = Counter()
    headers_of: ClassVar[dict[str, dict[str, str]]] = {}

    def do_GET(self):
        name = self.path.partition("?")[0].strip("/")
        self.asked[name] += 1
        self.headers_of[name] = dict(self.headers)
        getattr(self, name.partition(".")[0].replace("-", "_"), self.number)(name)

    def do_HEAD(self):
        self.send(405)

    def send(self, status=200, data=b"", length=True, **headers):
        self.send_response(status)
        if length:
            self.send_header("Content-Length", str(len(data)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def number(self, name):
        self.send(int(name), b"no")

    def plain(self, name):
        self.send(data=DATA)

    def chunked(self, name):
        self.send(length=False, Transfer_Encoding="chunked")
        for start in range(0, len(DATA), 1000):
            part = DATA[start : start + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def closed(self, name):
        self.send(data=DATA, length=False, Connection="close")
        self.close_connection = True

    def odd_dates(self, name):
        self.send(data=DATA, Last_Modified="yesterday, 25 o'clock", Expires="-1", ETag="no quotes")

    def zipped(self, name):
        self.send(data=gzip.compress(DATA), Content_Encoding="gzip")

    def falsely_zipped(self, name):
        self.send(data=DATA, Content_Encoding="gzip")

    def cut(self, name):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[:100])
        self.close_connection = True

    def moved(self, name):
        self.send(302, Location="/plain", Set_Cookie="seen=1")

    def circle(self, name):
        self.send(301, Location="/circle")

    def astray(self, name):
        self.send(302, Location="ftp://127.0.0.1/a.jpg")

    def cookie(self, name):
        self.send(data=DATA, Set_Cookie="seen=1")

    def endless(self, name):
        self.send(length=False, Transfer_Encoding="chunked")
        try:
            while True:
                self.wfile.write(b"3e8\r\n" + bytes(1000) + b"\r\n")
        except OSError:
            self.close_connection = True

    def silent(self, name):
        threading.Event().wait(1.0)
        self.close_connection = True

    def busy_once(self, name):
        if self.asked[name] == 1:
            self.send(429, Retry_After="0")
        else:
            self.plain(name)

    def broken_once(self, name):
        if self.asked[name] == 1:
            self.cut(name)
        else:
            self.plain(name)

    def later(self, name):
        self.send(503, Retry_After="3600")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    Handler.asked.clear()
    monkeypatch.setattr(web, "PAUSE_S", 0.0)
    web._client.cache_clear()
    yield
    web._client.cache_clear()


def refusal(url: str, max_bytes: int = 10**6) -> tuple[Reason, str]:
    with pytest.raises(SampleError) as caught:
        read_web(url, max_bytes)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "chunked",
        "closed",
        "odd-dates",
        "zipped",
        "moved",
        "busy-once",
        "broken-once",
        "plain?a=b%2F",
    ],
)
def test_any_way_to_send_the_bytes_will_do(address, name):
    assert read_web(f"http://{address}/{name}", len(DATA)) == DATA


@pytest.mark.parametrize(
    ("name", "reason", "detail", "times"),
    [
        ("401", Reason.ACCESS_DENIED, "HTTP 401", 1),
        ("403", Reason.ACCESS_DENIED, "HTTP 403", 1),
        ("451", Reason.ACCESS_DENIED, "HTTP 451", 1),
        ("404", Reason.SOURCE_MISSING, "HTTP 404", 1),
        ("410", Reason.SOURCE_MISSING, "HTTP 410", 1),
        ("400", Reason.SERVER_ERROR, "HTTP 400", 1),
        ("204", Reason.SERVER_ERROR, "HTTP 204", 1),
        ("304", Reason.SERVER_ERROR, "HTTP 304", 1),
        ("429", Reason.SERVER_ERROR, "HTTP 429", 3),
        ("500", Reason.SERVER_ERROR, "HTTP 500", 3),
        ("503", Reason.SERVER_ERROR, "HTTP 503", 3),
        ("later", Reason.SERVER_ERROR, "HTTP 503", 1),
        ("circle", Reason.SERVER_ERROR, "more than 10 redirects", 11),
        ("astray", Reason.BAD_NAME, "no valid web address, or a redirect to none", 1),
        ("falsely-zipped", Reason.SERVER_ERROR, "its content encoding is broken", 1),
        ("cut", Reason.SERVER_UNREACHABLE, "the answer broke off or is none of HTTP", 3),
    ],
)
def test_each_answer_has_its_reason_and_what_may_pass_is_asked_again(address, name, reason, detail, times):
    assert refusal(f"http://{address}/{name}") == (reason, detail)
    assert Handler.asked[name] == times


def test_no_answer_tells_why(address, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    unreachable = Reason.SERVER_UNREACHABLE
    assert refusal(f"http://127.0.0.1:{nobody}/a.jpg") == (unreachable, "connection refused")
    reason, detail = refusal(f"https://{address}/plain")
    assert (reason, detail[:5]) == (unreachable, "TLS: ")
    monkeypatch.setattr(web, "TIMEOUTS", httpx.Timeout(0.2))
    web._client.cache_clear()
    assert refusal(f"http://{address}/silent") == (unreachable, "no answer after 30 s")
    for number, words in (
        (socket.EAI_NONAME, "no such host"),
        (socket.EAI_AGAIN, "its name cannot be looked up at the moment"),
    ):

        def fails(*args, number=number, **kwargs):
            raise socket.gaierror(number, "said by the system")

        monkeypatch.setattr(socket, "getaddrinfo", fails)
        assert refusal("http://nowhere.invalid/a.jpg") == (unreachable, words)


def test_no_more_bytes_are_taken_than_allowed(address):
    assert refusal(f"http://{address}/plain", 100) == (
        Reason.TOO_MANY_BYTES,
        f"{len(DATA)} bytes, at most 100",
    )
    for name in ("endless", "zipped", "chunked"):
        assert refusal(f"http://{address}/{name}", 5000) == (Reason.TOO_MANY_BYTES, "more than 5000 bytes")


def test_the_server_knows_who_asks_and_is_not_told_what_it_said_before(address):
    for name in ("cookie", "plain"):
        read_web(f"http://user:word@{address}/{name}", 10**6)
    headers = Handler.headers_of["plain"]
    assert headers["User-Agent"] == user_agent()
    assert headers["User-Agent"].startswith("groundedit/")
    assert headers["Authorization"].startswith("Basic ")
    assert "Cookie" not in headers


@pytest.mark.parametrize(
    "url", ["http://ho st/a", "http://xn--/a", "http://a..b/x", "http://%zz/a", "http://host:99999/a"]
)
def test_an_address_that_cannot_be_one_is_a_bad_name(url, monkeypatch):
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *a, **k: (_ for _ in ()).throw(socket.gaierror(-2, "x"))
    )
    assert refusal(url)[0] in (Reason.BAD_NAME, Reason.SERVER_UNREACHABLE)


def test_this_machine_is_not_asked_through_a_proxy(address, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert read_web(f"http://{address}/plain", 10**6) == DATA


@pytest.mark.parametrize("proxy", ["gopher://x", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_an_error_of_the_settings(proxy, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="ALL_PROXY"):
        read_web("http://host.invalid/a", 10)
