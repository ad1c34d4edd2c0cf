"""URIs told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.storage.objects.uris import in_object_store, local_folder, split_object


@pytest.mark.parametrize(
    ("uri", "remote", "folder"),
    [
        ("s3://bucket/a", True, None),
        ("S3://bucket/a", True, None),
        ("ftp://host/a", False, None),
        ("file:///a%20b", False, Path("/a b")),
        ("a/b", False, Path("a/b").absolute()),
    ],
)
def test_folders_and_object_stores_are_reported_apart(uri: str, remote: bool, folder: Path | None) -> None:
    assert in_object_store(uri) is remote
    assert local_folder(uri) == folder


def test_an_object_has_a_bucket_and_a_key() -> None:
    assert split_object("s3://bucket/a%20b/c#1") == ("s3://bucket", "a%20b/c#1")
