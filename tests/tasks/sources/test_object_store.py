"""The same photographs from an S3 server: prefix, archive and list."""

import hashlib
import io
import tarfile

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.records.canonical import seal
from tasks.records.errors import ConfigurationError, Reason, SampleError, StorageFault
from tasks.sources.listing import list_sources
from tasks.sources.reading import SourceReader, source_id
from tasks.sources.settings import SourceSettings
from tasks.storage.protocol.out_folder import check_out

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch, request):
    for key, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    name = "b-" + request.node.name.replace("_", "-").lower()[:50].strip("-")
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    return client, name


def put(bucket, **objects):
    client, name = bucket
    for key, data in objects.items():
        client.put_object(Bucket=name, Key=key, Body=data)


def test_a_prefix_gives_what_the_folder_gives(tmp_path, pictures, ingest, bucket):
    files = {
        "a.jpg": pictures.save(pictures.draw()),
        "deep/ü b.png": pictures.save(pictures.draw(), "PNG"),
        "100%41.jpg": pictures.save(pictures.draw(300, 290)),
        "zero.jpg": b"",
        "notes.txt": b"text",
    }
    (tmp_path / "deep").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    put(bucket, **{f"photos/{name}": data for name, data in files.items()}, **{"other/x.jpg": b"x"})
    remote = ingest(SourceSettings(uri=f"s3://{bucket[1]}/photos", name="s"))
    assert remote == ingest(SourceSettings(uri=str(tmp_path), name="s"))


def test_folder_markers_and_odd_keys_are_one_row_each(pictures, ingest, bucket):
    photos = [pictures.save(pictures.draw(300 + n, 290)) for n in range(7)]
    keys = ["a.jpg", "a.jpg/", "a//b.jpg", "x/../y.jpg", "/lead.jpg", "sp ace%20.jpg", "u\u0308.jpg"]
    put(bucket, **{f"p/{key}": photo for key, photo in zip(keys, photos, strict=True)})
    put(bucket, **{"p/": b"", "p/empty/": b"", "p/a//": b"", "p/zero.jpg": b""})
    outcomes = ingest(SourceSettings(uri=f"s3://{bucket[1]}/p", name="s"))
    assert {location: (o.reason, o.detail) for location, o in outcomes.items() if o.reason} == {
        "s/": (Reason.NOT_AN_IMAGE, "an empty object that stands for a folder"),
        "s/empty/": (Reason.NOT_AN_IMAGE, "an empty object that stands for a folder"),
        "s/a//": (Reason.NOT_AN_IMAGE, "an empty object that stands for a folder"),
        "s/zero.jpg": (Reason.EMPTY_FILE, "0 bytes"),
    }
    kept = [o.children[0].id for o in outcomes.values() if o.children]
    assert len(outcomes) == 11
    assert sorted(kept) == sorted(map(source_id, photos))


def test_a_limit_looks_at_objects_too(bucket):
    put(
        bucket,
        **{
            "p/": b"",
            "p/._a.jpg": b"\x00\x05\x16\x07",
            "p/a.jpg": b"\xff\xd8\xff\xe0",
            "p/b.jpg": b"\xff\xd8\xff",
        },
    )
    entries = list_sources([SourceSettings(uri=f"s3://{bucket[1]}/p", name="s")], limit=1).entries
    assert [e.location for e in entries] == ["s/", "s/._a.jpg", "s/a.jpg"]


def test_tars_and_lists_may_have_odd_keys(pictures, ingest, bucket):
    photo = pictures.save(pictures.draw())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("x.jpg")
        info.size = len(photo)
        tar.addfile(info, io.BytesIO(photo))
    put(bucket, **{"p//a.tar": packed.getvalue(), "p//l.csv": b"uri\nb.jpg\n../c.jpg\n", "p//b.jpg": photo})
    root = f"s3://{bucket[1]}"
    kept = {
        f"{root}/p": ["/a.tar/x.jpg", "/b.jpg"],
        f"{root}/p/": ["/a.tar/x.jpg", "/b.jpg"],
        f"{root}/p//": ["a.tar/x.jpg", "b.jpg"],
        f"{root}/p//a.tar": ["a.tar/x.jpg"],
        f"S3{root[2:]}/p//l.csv": ["b.jpg"],
    }
    for uri, locations in kept.items():
        outcomes = ingest(SourceSettings(uri=uri, name="s"))
        assert sorted(k for k, o in outcomes.items() if o.children) == [f"s/{path}" for path in locations], (
            uri
        )


def test_a_single_object_is_no_source(bucket):
    put(bucket, **{"p/a.jpg": b"a", "b.jpg": b"b"})
    for path in ("p/a.jpg", "b.jpg"):
        with pytest.raises(ConfigurationError, match="is a single object"):
            list_sources([SourceSettings(uri=f"s3://{bucket[1]}/{path}")])


def test_the_output_may_not_be_the_source_however_it_is_spelled(bucket):
    put(bucket, **{"p/a.jpg": b"a"})
    with pytest.raises(ConfigurationError, match="is the output"):
        list_sources([SourceSettings(uri=f"s3://{bucket[1]}/p")], out=f"S3://{bucket[1]}/p/")


def test_other_objects_are_no_place_for_a_dataset(bucket):
    put(
        bucket, **{"p/a.jpg": b"a", "q/stages/ingest-0123abcd/config.json": b"{}", "q/b.jpg": b"b", "r/": b""}
    )
    with pytest.raises(ConfigurationError, match=r"holds other files \('a.jpg'\)"):
        check_out(f"s3://{bucket[1]}/p")
    with pytest.raises(ConfigurationError, match=r"holds other files \('p/', 'q/', 'r/'\)"):
        check_out(f"s3://{bucket[1]}")
    for free in ("q", "r", "new"):
        check_out(f"s3://{bucket[1]}/{free}")


def test_an_archive_gives_what_the_local_one_gives(tmp_path, pictures, ingest, bucket):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(4):
            data = pictures.save(pictures.draw(300 + number, 290))
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    put(bucket, **{"in/x.tar": path.read_bytes()})
    remote = ingest(SourceSettings(uri=f"s3://{bucket[1]}/in/x.tar"))
    assert remote == ingest(SourceSettings(uri=str(path)))
    assert len(remote) == 4


def test_lists_may_lie_in_the_store_and_point_into_it(tmp_path, pictures, ingest, bucket):
    name = bucket[1]
    put(
        bucket,
        **{
            "in/sub/a.jpg": pictures.save(pictures.draw()),
            "in/list.csv": f"uri\nsub/a.jpg\ns3://{name}/in/sub/a.jpg\ns3://{name}/gone.jpg\n/etc/hostname\n".encode(),
        },
    )
    outcomes = ingest(SourceSettings(uri=f"s3://{name}/in/list.csv", name="s"))
    assert {location: o.reason for location, o in outcomes.items()} == {
        "s/sub/a.jpg": None,
        f"s/{name}/in/sub/a.jpg": None,
        f"s/{name}/gone.jpg": Reason.SOURCE_MISSING,
        "s/row-4": Reason.BAD_NAME,
    }


def test_missing_things_are_said_before_work(bucket):
    put(bucket, **{"texts/a.txt": b"text"})
    for uri in ("nothing-here", "texts", "no.tar", "no.csv"):
        with pytest.raises(ConfigurationError, match=r"sources\.0\.uri"):
            list_sources([SourceSettings(uri=f"s3://{bucket[1]}/{uri}")])
    with pytest.raises(StorageFault):
        list_sources([SourceSettings(uri="s3://no-such-bucket-here/x")])


def test_an_object_that_goes_or_changes_fails_alone(pictures, bucket):
    client, name = bucket
    put(bucket, **{"a.jpg": pictures.save(pictures.draw()), "b.jpg": b"b"})
    sources = [SourceSettings(uri=f"s3://{name}")]
    a, b = list_sources(sources).entries
    client.delete_object(Bucket=name, Key="a.jpg")
    put(bucket, **{"b.jpg": b"longer"})
    reader = SourceReader(sources)
    for entry, reason in ((a, Reason.SOURCE_MISSING), (b, Reason.SOURCE_CHANGED)):
        with pytest.raises(SampleError) as caught:
            reader.data(entry, 10**6)
        assert caught.value.reason == reason


def test_the_output_in_the_same_bucket_is_not_a_source(bucket):
    put(bucket, **{"p/a.jpg": b"a", "p/out/releases/x.jpg": b"x", "p/outside.jpg": b"y"})
    entries = list_sources(
        [SourceSettings(uri=f"s3://{bucket[1]}/p", name="s")], out=f"s3://{bucket[1]}/p/out"
    ).entries
    assert [e.location for e in entries] == ["s/a.jpg", "s/outside.jpg"]


def test_what_another_build_wrote_is_one_row_as_in_a_folder(tmp_path, pictures, ingest, bucket):
    photo = pictures.save(pictures.draw())
    record = {"config": {}, "chain": [], "first_plan": "0" * 12, "build": "ab" * 6, "run": {}}
    files = {
        "x.jpg": photo,
        "by-stage/picture.jpg": photo,
        "by-stage/stages/ingest-0123abcd/config.json": b"{}",
        "deep/by-record/releases/r/y.jpg": photo,
        f"deep/by-record/builds/{'ab' * 6}.json": seal(record),
        "release/MANIFEST.json": seal({"shards": [], "chain": []}),
        "release/gallery/y.jpg": photo,
        "holiday/stages/ingest-2019/x.txt": b"text",
        "holiday/MANIFEST.json": b"{}",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    put(bucket, **{f"photos/{name}": data for name, data in files.items()})
    remote = ingest(SourceSettings(uri=f"s3://{bucket[1]}/photos", name="s"))
    assert remote == ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert {location for location, o in remote.items() if "left out as a whole" in o.detail} == {
        "s/by-stage",
        "s/deep/by-record",
        "s/release",
    }


def test_a_prefix_of_tars_and_one_of_lists_are_read_as_one_source(pictures, ingest, bucket):
    photos = [pictures.save(pictures.draw(300 + number, 290)) for number in range(2)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("x.jpg")
        info.size = len(photos[0])
        tar.addfile(info, io.BytesIO(photos[0]))
    put(
        bucket,
        **{"tars/deep/a.tar": packed.getvalue(), "tars/text.tar": b"no tar", "photos/b.jpg": photos[1]},
    )
    rows = f"uri\ns3://{bucket[1]}/photos/b.jpg\nbeside.jpg\n"
    put(bucket, **{"lists/part/1.csv": rows.encode(), "lists/part/beside.bin": b"", "lists/_SUCCESS": b""})
    tars = ingest(SourceSettings(uri=f"s3://{bucket[1]}/tars", name="s"))
    assert {location: o.reason for location, o in tars.items()} == {
        "s/deep/a.tar/x.jpg": None,
        "s/text.tar": Reason.BAD_ARCHIVE_MEMBER,
    }
    lists = ingest(SourceSettings(uri=f"s3://{bucket[1]}/lists", name="s"))
    assert {location: o.reason for location, o in lists.items()} == {
        "s/_SUCCESS": Reason.EMPTY_FILE,
        f"s/part/1.csv/{bucket[1]}/photos/b.jpg": None,
        "s/part/1.csv/beside.jpg": Reason.SOURCE_MISSING,
        "s/part/beside.bin": Reason.EMPTY_FILE,
    }


def test_an_object_whose_time_stays_is_known_by_its_etag(bucket):
    put(bucket, **{"in/a.jpg": b"first"})
    source = SourceSettings(uri=f"s3://{bucket[1]}/in", name="s")
    (entry,) = list_sources([source]).entries
    assert entry.version == f"5-{hashlib.md5(b'first').hexdigest()}"
    put(bucket, **{"in/a.jpg": b"first"})
    assert list_sources([source]).entries == [entry]
    assert SourceReader([source]).data(entry, 100) == b"first"
    put(bucket, **{"in/a.jpg": b"other"})
    assert list_sources([source]).entries != [entry]
    with pytest.raises(SampleError) as caught:
        SourceReader([source]).data(entry, 100)
    assert caught.value.reason == Reason.SOURCE_CHANGED
