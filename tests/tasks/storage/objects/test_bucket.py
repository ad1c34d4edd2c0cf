"""S3 by exact keys: each object once, whoever may read it, and clear words where nobody may."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.records.errors import ConfigurationError, DataFault, StorageFault
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.s3_client import ObjectRefused
from tasks.storage.objects.store import open_store
from tests.serving.tiny_s3 import TinyS3, tiny_s3

ODD_KEYS = [
    *(
        "a/",
        "a//b.jpg",
        "a.jpg",
        "a.jpg/",
        "/lead.jpg",
        "x/../y.jpg",
        "./z.jpg",
        "//",
        "sp ace.jpg",
        "end .jpg ",
    ),
    *("100%41.jpg", "100%25.jpg", "plus+.jpg", "q?x#y.jpg", "back\\slash.jpg", "tab\t.jpg", "del\x7f.jpg"),
    *("u\u0308.jpg", "\u00fc.jpg", "😀.jpg", "quote\"<>&'.jpg", f"{'é' * 500}.jpg", "x#1", "~", "$HOME"),
]


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without any settings of AWS, and the home folder it has."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".aws").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def server(no_aws: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyS3]:
    with tiny_s3() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        server.objects = {"p/a.jpg": b"a", "p//b.jpg": b"bb"}
        yield server


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def odd(moto: str, no_aws: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {"ENDPOINT_URL": moto, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="odd")
    for key in ODD_KEYS:
        client.put_object(Bucket="odd", Key=f"in/{key}", Body=key.encode())
    yield "s3://odd/in"
    for key in ODD_KEYS:
        client.delete_object(Bucket="odd", Key=f"in/{key}")
    client.delete_bucket(Bucket="odd")


def test_each_object_is_listed_once_and_read_by_its_key(odd: str) -> None:
    for uri in (odd, f"{odd}/", odd.replace("s3", "S3")):
        assert sorted(item.path for item in Bucket(uri).list()) == sorted(ODD_KEYS)
    bucket = Bucket(odd)
    for item in bucket.list():
        data = item.path.encode()
        assert (bucket.find(item.path), item.size) == (data, len(data))
        assert bucket.get_range(item.path, 1, 2) == data[1:3]
        head = bucket.head(item.path)
        assert head is not None
        assert (head.size, head.etag) == (item.size, item.etag)
    assert bucket.find("gone") is None
    assert bucket.head("gone") is None
    with pytest.raises(DataFault, match="gone"):
        bucket.get_range("gone", 0, 1)
    assert bucket.get_range("a.jpg", 50, 2) == b""


def test_a_dataset_beside_odd_keys_is_listed_too(odd: str) -> None:
    store = open_store(odd)
    store.put("stages/x/1", b"1")
    assert sorted(o.path for o in store.list()) == sorted([*ODD_KEYS, "stages/x/1"])
    objects, folders = store.top()
    assert {"stages", "a", "a.jpg", ""} <= set(folders)
    assert "a.jpg" in {o.path for o in objects}
    store.delete("stages/x/1")


def test_the_keys_may_be_in_a_file_of_the_home_folder(server: TinyS3, no_aws: Path, monkeypatch) -> None:
    server.readers = {"ID1", "ID2"}
    (no_aws / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id=ID1\naws_secret_access_key=x\n"
        "[other]\naws_access_key_id=ID2\naws_secret_access_key=x\n"
    )
    assert sorted(item.path for item in Bucket("s3://bucket/p").list()) == ["/b.jpg", "a.jpg"]
    assert open_store("s3://bucket/p").get("a.jpg") == b"a"
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert Bucket("s3://bucket/p").find("/b.jpg") == b"bb"
    assert open_store("s3://bucket/p").get("a.jpg") == b"a"
    assert [who for who, _, _ in server.asked] == ["ID1", "ID1", "ID2", "ID2"]


def test_endpoint_and_region_may_be_in_a_file_as_well(server: TinyS3, no_aws: Path, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    server.readers = {"ID3"}
    (no_aws / ".aws" / "config").write_text(
        f"[profile lab]\nregion=eu-west-7\nendpoint_url={server.endpoint}\n"
        "aws_access_key_id=ID3\naws_secret_access_key=x\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert Bucket("s3://bucket/p").find("a.jpg") == b"a"
    assert open_store("s3://bucket/p").get("a.jpg") == b"a"


def test_a_profile_that_does_not_exist_is_named(no_aws: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="nobody"):
        Bucket("s3://bucket/p")


def test_a_public_bucket_needs_no_credentials(server: TinyS3) -> None:
    server.readers = {""}
    assert len(list(Bucket("s3://bucket/p").list())) == 2
    assert open_store("s3://bucket/p").get("a.jpg") == b"a"


def test_a_public_bucket_is_read_though_the_credentials_are_not_good_for_it(
    server: TinyS3, monkeypatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STRANGER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server.readers = {""}
    bucket = Bucket("s3://bucket/p")
    assert bucket.find("a.jpg") == b"a"
    assert bucket.find("/b.jpg") == b"bb"
    assert [who for who, _, _ in server.asked] == ["STRANGER", "", ""]


def test_without_credentials_the_message_names_what_was_tried(server: TinyS3, no_aws: Path) -> None:
    with pytest.raises(StorageFault) as caught:
        list(Bucket("s3://bucket/p").list())
    for part in (
        "s3://bucket/p",
        "AWS_ACCESS_KEY_ID",
        "'default'",
        ".aws/credentials",
        ".aws/config",
        "AWS_PROFILE",
    ):
        assert part in str(caught.value)
    with pytest.raises(StorageFault, match="no credentials were found"):
        open_store("s3://bucket/p", StoreOptions(retries=0)).put("x", b"")


def test_no_credentials_are_used_where_that_is_asked_for(server: TinyS3, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ID1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    server.readers = {""}
    assert Bucket("s3://bucket/p").find("a.jpg") == b"a"
    assert [who for who, _, _ in server.asked] == [""]


def test_one_refused_object_is_a_refusal_of_that_one(server: TinyS3, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ID1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server.readers = {"ID1"}
    server.refused = {"p/a.jpg": (403, "InvalidObjectState"), "p/c": (400, "KeyTooLongError")}
    bucket = Bucket("s3://bucket/p")
    for path, code in (("a.jpg", "InvalidObjectState"), ("c", "KeyTooLongError")):
        with pytest.raises(ObjectRefused) as caught:
            bucket.find(path)
        assert pickle.loads(pickle.dumps(caught.value)).code == code
    assert bucket.find("/b.jpg") == b"bb"
    server.refused = {"p/a.jpg": (403, "ExpiredToken"), "p/c": (503, "SlowDown")}
    for path in ("a.jpg", "c"):
        with pytest.raises(StorageFault) as caught:
            Bucket("s3://bucket/p", StoreOptions(retries=0)).find(path)
        assert not isinstance(caught.value, ObjectRefused)


def test_a_bucket_that_is_not_there_is_said(server: TinyS3) -> None:
    with pytest.raises(StorageFault, match="no such bucket"):
        list(Bucket("s3://nowhere/p").list())


def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(no_aws: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example:9000")
    with pytest.raises(ConfigurationError, match="AWS_ALLOW_HTTP"):
        Bucket("s3://bucket/p")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    Bucket("s3://bucket/p")


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_an_endpoint_that_is_gone_or_silent_is_a_fault_of_the_store(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        if kind == "closed":
            server.close()
        for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": endpoint}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        store = open_store("s3://bucket/prefix", StoreOptions(timeout_s=0.5, retries=0))
        for ask in (lambda: list(store.list()), lambda: store.find("a"), lambda: store.put("a", b"a")):
            with pytest.raises(StorageFault, match=r"^s3://bucket/prefix"):
                ask()
