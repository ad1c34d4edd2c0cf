"""Shards are read from an object store as from a folder."""

import pytest

pytest.importorskip("torch")
boto3 = pytest.importorskip("boto3")
pytest.importorskip("obstore")
server = pytest.importorskip("moto.server")

from intercog_model.data.mixture import Mixture, SourceConfig  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402


@pytest.fixture
def bucket(monkeypatch):
    threaded = server.ThreadedMotoServer(port=0, verbose=False)
    threaded.start()
    host, port = threaded.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="shards")
    yield client
    threaded.stop()


@pytest.mark.slow
def test_a_release_and_general_shards_in_s3_equal_those_on_disk(bucket, tmp_path):
    folder = release.write_release(
        tmp_path / "release", [toys.example(f"k{i}") for i in range(6)], per_shard=2
    )
    for path in folder.iterdir():
        bucket.upload_file(str(path), "shards", f"a/b/{path.name}")
    keys = []
    for uri in (str(folder), "s3://shards/a/b"):
        mixture = Mixture([SourceConfig(name="g", kind="grounding", uri=uri)], seed=0)
        keys.append([mixture.take().key for _ in range(9)])
    assert keys[0] == keys[1]
    picture = release.png(toys.example().source)
    release.write_tar(tmp_path / "x.tar", {"c": {"image.png": picture, "json": b'{"caption": "A box."}'}})
    bucket.upload_file(str(tmp_path / "x.tar"), "shards", "captions/x.tar")
    source = SourceConfig(name="t", kind="text_to_image", uri="s3://shards/captions")
    assert Mixture([source], seed=0).take().key == "c"
