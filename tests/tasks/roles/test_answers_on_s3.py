"""Kept answers on an S3 server: one listing, create-only, and a replay that copies from there."""

from __future__ import annotations

import asyncio

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.roles.answers import KeptAnswers
from tasks.storage.objects.store import open_store

SID, ROLE, KEY = "ab" + "c" * 24, "rewriter", "0" * 64


@pytest.fixture
def bucket(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="drawn")
    yield "s3://drawn/some/prefix"
    server.stop()


def test_the_second_of_two_builds_uses_what_the_first_stored(bucket, tmp_path):
    async def two_builds(first, second):
        assert await first.find(SID, ROLE, KEY) is None
        assert await second.find(SID, ROLE, KEY) is None
        given = await asyncio.gather(
            *(build.put(SID, ROLE, KEY, f"words {n}") for n, build in enumerate((first, second)))
        )
        return {kept.unwrap() for kept in given}

    async def again(build):
        return (await build.find(SID, ROLE, KEY)).unwrap()

    store = open_store(bucket)
    with KeptAnswers(store) as first, KeptAnswers(store) as second:
        (used,) = asyncio.run(two_builds(first, second))
    local = open_store(str(tmp_path))
    with KeptAnswers(local, replay=True, origin=store) as replay:
        assert asyncio.run(again(replay)) == used
    with KeptAnswers(local, replay=True) as replay:
        assert asyncio.run(again(replay)) == used
