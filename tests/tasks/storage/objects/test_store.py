"""The store layer keeps its promises on a local folder and on an S3 server."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.records.errors import ConfigurationError, DataFault, StorageFault
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.stage_end import close_stage
from tasks.storage.reports.auditing import verify
from tasks.storage.reports.ledger import Ledger
from tests.tasks.storage.drawn_stages import draw_photographs, run_pipeline


@pytest.fixture(scope="module")
def s3_uri() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="drawn")
        yield "s3://drawn/some/prefix"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "out"))
    return open_store(f"{request.getfixturevalue('s3_uri')}/{tmp_path.name}")


def test_what_is_put_is_read_whole_in_part_and_in_lists(store: Store):
    store.probe()
    store.put("a/b/one", b"0123456789")
    store.put("a/b/one", b"abcdefghij")
    assert store.get("a/b/one") == b"abcdefghij"
    assert store.get_range("a/b/one", 2, 3) == b"cde"
    assert store.get_range("a/b/one", 8, 9) == b"ij"
    assert [(o.path, o.size) for o in store.list("a")] == [("a/b/one", 10)]
    assert list(store.list("nothing")) == []
    assert store.exists("a/b/one")
    assert not store.exists("a/b")
    store.copy("a/b/one", "a/c")
    store.delete("a/b/one")
    store.delete("a/b/one")
    assert [o.path for o in store.list()] == ["a/c"]


def test_what_is_missing_is_a_fault_of_the_data(store: Store):
    assert store.find("gone") is None
    assert store.head("gone") is None
    for read in (
        lambda: store.get("gone"),
        lambda: store.get_range("gone", 0, 1),
        lambda: store.copy("gone", "x"),
    ):
        with pytest.raises(DataFault, match="gone"):
            read()


def test_of_sixteen_racers_exactly_one_wins(store: Store):
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: store.put_if_absent("race", b"%d" % n * 9000), range(16)))
    assert won.count(True) == 1
    assert store.get("race") == b"%d" % won.index(True) * 9000


def test_a_store_travels_to_another_process(store: Store):
    store.put("here", b"1")
    assert pickle.loads(pickle.dumps(store)).get("here") == b"1"


def test_a_store_that_overwrites_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = open_store(str(tmp_path))

    def careless(path: str, data: bytes) -> bool:
        store.put(path, data)
        return True

    monkeypatch.setattr(store, "put_if_absent", careless)
    with pytest.raises(ConfigurationError, match="conditional put"):
        store.probe()
    assert list(store.list()) == []


def test_too_little_space_is_said_before_work(tmp_path: Path):
    store = open_store(str(tmp_path), StoreOptions(min_free_bytes=2**62))
    with pytest.raises(StorageFault, match="min_free_bytes"):
        store.probe()


def test_a_file_or_a_strange_uri_is_not_a_place_for_a_dataset(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    for uri in (str(tmp_path / "file"), "ftp://host/x", "s3://"):
        with pytest.raises(ConfigurationError, match="out="):
            open_store(uri)


def test_a_server_that_is_away_is_an_environment_fault(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = StoreOptions(retries=0, timeout_s=2.0)
    with pytest.raises(StorageFault, match="s3://drawn"):
        open_store("s3://drawn/x", options).get("a")


def test_a_build_on_s3_has_the_digests_of_a_local_one(s3_uri: str, tmp_path: Path):
    draw_photographs(tmp_path / "in", 5)
    ends = []
    for uri in (str(tmp_path / "out"), f"{s3_uri}/build"):
        store = open_store(uri)
        plans = run_pipeline(store, tmp_path / "in")
        ends.append([close_stage(store, plan).digest for plan in plans])
        if store.folder is None:
            client = boto3.client("s3", region_name="us-east-1")
            for key in ("stages//a", "a/../b", "x/", "builds/nl\t.json", "releases/r//MANIFEST.json"):
                client.put_object(Bucket="drawn", Key=f"some/prefix/build/{key}", Body=b"foreign")
        assert verify(store, deep=True).faults == []
        assert len(verify(store, deep=False).notes) == (5 if store.folder is None else 0)
        assert Ledger(store, plans).funnel()[0].inputs == 5
    assert ends[0] == ends[1]


def test_folders_are_named_without_listing_them(store: Store) -> None:
    for path in ("answers/ab/x/1", "answers/ab/y/2", "answers/cd/x/3", "answers/top", "stages/a/4", "note"):
        store.put(path, b"")
    assert store.folders("answers") == ("answers/ab", "answers/cd")
    assert store.folders() == ("answers", "stages")
    assert store.folders("nowhere") == ()


def test_what_lies_at_the_top_is_told_without_listing_the_rest(store: Store) -> None:
    for path in ("answers/ab/x/1", "stages/a/4", "stages/b", "note"):
        store.put(path, b"1")
    objects, folders = store.top()
    assert [(item.path, item.size) for item in objects] == [("note", 1)]
    assert folders == ("answers", "stages")
    assert [item.path for item in store.top("stages")[0]] == ["stages/b"]


@pytest.mark.parametrize("prefix", ["/x", "x//y", "x/../y", "./x"])
def test_a_dataset_has_no_prefix_that_is_no_path(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"out='s3://drawn/.*part of the prefix"):
        open_store(f"s3://drawn/{prefix}")
