"""One parser for all places: what each spelling names, and why the others name nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.records.user_path import user_path
from tasks.storage.objects.uris import BadLocation, in_object_store, local_folder, parse_location


@pytest.mark.parametrize(
    ("uri", "remote", "folder"),
    [
        ("s3://bucket/a", True, None),
        ("S3://bucket/a", True, None),
        ("ftp://host/a", False, None),
        ("file:///a%20b", False, Path("/a b")),
        ("FILE:///a", False, Path("/a")),
        ("file://localhost/a", False, Path("/a")),
        ("File://LOCALHOST/a", False, Path("/a")),
        ("file:/a", False, Path("/a")),
        ("file://other/a", False, None),
        ("file://a", False, None),
        ("file:a", False, None),
        ("a/b", False, Path("a/b").absolute()),
        ("my photos/x://y", False, Path("my photos/x://y").absolute()),
    ],
)
def test_folders_and_object_stores_are_reported_apart(uri: str, remote: bool, folder: Path | None) -> None:
    assert in_object_store(uri) is remote
    assert local_folder(uri) == folder


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://bucket/a%20b/c#1", "bucket", "a%20b/c#1"),
        ("S3://bucket/x//a.jpg", "bucket", "x//a.jpg"),
        ("s3://bucket//a.jpg", "bucket", "/a.jpg"),
        ("s3://bucket/a/../b.jpg?x=1", "bucket", "a/../b.jpg?x=1"),
        ("s3://bucket/a.jpg/", "bucket", "a.jpg/"),
        ("s3://My_Bucket.x/u\u0308.jpg", "My_Bucket.x", "u\u0308.jpg"),
        ("s3://bucket", "bucket", ""),
    ],
)
def test_a_key_is_what_stands_there(uri: str, bucket: str, key: str) -> None:
    location = parse_location(uri)
    assert (location.kind, location.bucket, location.key) == ("object", bucket, key)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("http://host/a.jpg", "host"),
        ("HTTPS://Host.Example:443/a%20b.jpg", "host.example"),
        ("https://user:word@host:8443/a.jpg?q=1", "host"),
        ("http://[::1]:80/a.jpg", "::1"),
        ("https://host/?id=7", "host"),
    ],
)
def test_a_web_address_is_kept_as_written(uri: str, host: str) -> None:
    location = parse_location(uri)
    assert (location.kind, location.url, location.host) == ("web", uri, host)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "  ",
            "a\x00b",
            "gs://b/a",
            "s3a://b/a",
            "s3://",
            "s3:///a",
            "s3://key:secret@bucket/a",
            "s3:/b/a",
        ),
        *(
            "http://",
            "http:///a.jpg",
            "http:host/a",
            "http://host:port/a",
            "http://[::1/a",
            "http://ho\nst/a",
        ),
        *("file://elsewhere/a", "file://", "file://a.jpg", "file:a.jpg", "file:///a%00b", "HTTPS:x"),
    ],
)
def test_what_names_nothing_says_why_and_repeats_no_secret(uri: str) -> None:
    with pytest.raises(BadLocation) as caught:
        parse_location(uri)
    assert str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_tilde_is_a_home_only_where_a_shell_has_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("X", "y")
    assert user_path("~") == Path("/home/me")
    assert user_path("~/a") == Path("/home/me/a")
    for text in (
        "./~x",
        "./~",
        "a/~",
        "~no-such-user-here",
        "~no-such-user-here/a",
        "$X/a",
        "${HOME}",
        "%X%",
    ):
        assert user_path(text) == Path(text), text
    assert local_folder("./~x") == Path.cwd() / "~x"
    assert local_folder("file:///~x") == Path("/~x")
    assert parse_location("~/a", typed=False).path == Path("~/a")
