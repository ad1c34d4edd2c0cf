"""Lists of URIs: local paths, web addresses, licenses; nothing private leaves the list."""

import csv
import functools
import http.server
import os
import socket
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.records.errors import ConfigurationError, Reason, StorageFault
from tasks.sources import reading, web
from tasks.sources.listing import list_sources
from tasks.sources.reading import source_id
from tasks.sources.settings import SourceSettings
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import StoreOptions
from tests.serving.tiny_s3 import tiny_s3


@pytest.fixture
def photo(tmp_path, pictures):
    (tmp_path / "lists" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    data = pictures.save(pictures.draw())
    for place in ("lists/a.jpg", "lists/sub/b ü.jpg", "elsewhere/c.jpg"):
        (tmp_path / place).write_bytes(data)
    return data


def test_csv_with_relative_absolute_and_file_paths(tmp_path, photo, ingest):
    path = tmp_path / "lists" / "all.csv"
    absolute, filed = tmp_path / "elsewhere" / "c.jpg", (tmp_path / "lists" / "a.jpg").as_uri()
    rows = [
        "uri,licence",
        "a.jpg,CC0",
        "sub/b ü.jpg,",
        f"{absolute},CC-BY-4.0",
        f"{filed},",
        "gone.jpg,",
        ",",
        "gopher://x/y,",
    ]
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    outcomes = ingest(SourceSettings(uri=str(path), name="s", license="ODbL"))
    (elsewhere,) = [location for location in outcomes if location.endswith("/c.jpg")]
    assert elsewhere.count("/") == 2
    assert {location: o.reason for location, o in outcomes.items()} == {
        "s/a.jpg": None,
        "s/a.jpg#2": None,
        "s/sub/b ü.jpg": None,
        elsewhere: None,
        "s/gone.jpg": Reason.SOURCE_MISSING,
        "s/row-6": Reason.BAD_NAME,
        "s/row-7": Reason.BAD_NAME,
    }
    licenses = {location: o.children[0].record.license for location, o in outcomes.items() if o.children}
    assert licenses == {
        "s/a.jpg": "CC0",
        "s/a.jpg#2": "ODbL",
        "s/sub/b ü.jpg": "ODbL",
        elsewhere: "CC-BY-4.0",
    }
    entries = list_sources([SourceSettings(uri=str(path), name="s")]).entries
    assert not any(str(tmp_path) in repr(entry) for entry in entries)


def test_parquet(tmp_path, photo, ingest):
    path = tmp_path / "lists" / "all.parquet"
    pq.write_table(pa.table({"uri": ["a.jpg", None, "../elsewhere/c.jpg"], "width": [1, 2, 3]}), path)
    outcomes = ingest(SourceSettings(uri=str(path)))
    assert {location: o.reason for location, o in outcomes.items()} == {
        "all/%2E%2E/elsewhere/c.jpg": None,
        "all/a.jpg": None,
        "all/row-2": Reason.BAD_NAME,
    }


def test_unusable_lists_are_refused_before_work(tmp_path):
    cases = {
        "no-column.csv": (b"path,x\na.jpg,1\n", "'uri'"),
        "empty.csv": (b"", "no rows"),
        "head.csv": (b"uri\n", "no rows"),
        "binary.csv": (b"\xff\xfe\x00\x01", "list"),
        "text.parquet": (b"no parquet", "list"),
        "quote.csv": (b'uri\na.jpg\n"b.jpg\nc.jpg\n', "line 3: unexpected end of data"),
        "after.csv": (b'uri\na.jpg\n"b"x.jpg\nc.jpg\n', "line 3: ',' expected after '\"'"),
        "headless-one.csv": (
            b"a.jpg\n",
            "not with a header line; expected the columns 'uri' and optionally 'license'",
        ),
        "headless.csv": (b"s3://b/a,CC0\nb.jpg,CC0\n", "not with a header line; expected the columns 'uri'"),
        "other.csv": (b"path\na.jpg\n", "no column 'uri', only 'path'; expected the columns 'uri'"),
    }
    for name, (data, why) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigurationError, match=why) as caught:
            list_sources([SourceSettings(uri=str(tmp_path / name))])
        assert "sources.0.uri" in str(caught.value)


def test_blank_lines_and_short_rows_of_a_csv_are_read_as_they_are(tmp_path):
    (tmp_path / "all.csv").write_bytes(b"licence,uri\r\n\r\nCC0,a.jpg\r\nCC0\r\n,b.jpg,more\r\n")
    entries = list_sources([SourceSettings(uri=str(tmp_path / "all.csv"), name="s", license="ODbL")]).entries
    assert [(e.location, e.license) for e in entries] == [
        ("s/a.jpg", "CC0"),
        ("s/b.jpg", "ODbL"),
        ("s/row-2", "CC0"),
    ]


def test_a_row_of_a_list_says_what_stands_there_instead_of_a_photograph(tmp_path, ingest):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "gone.jpg").symlink_to("nothing")
    (tmp_path / "all.csv").write_text("uri\npipe.jpg\nfolder.jpg\ngone.jpg\n", encoding="utf-8")
    outcomes = ingest(SourceSettings(uri=str(tmp_path / "all.csv"), name="s"))
    assert {k: (o.reason, o.detail) for k, o in outcomes.items()} == {
        "s/folder.jpg": (Reason.UNREADABLE, "Is a directory"),
        "s/gone.jpg": (Reason.SOURCE_MISSING, "a link that leads nowhere"),
        "s/pipe.jpg": (Reason.UNREADABLE, "a named pipe"),
    }


def test_a_store_that_is_out_of_reach_is_named_when_it_stops_the_work(tmp_path, ingest, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody}")
    monkeypatch.setattr(reading, "Bucket", lambda uri: Bucket(uri, StoreOptions(retries=0)))
    reading._bucket.cache_clear()
    path = tmp_path / "all.csv"
    path.write_text("uri\ns3://far-bucket/in/a.jpg\n", encoding="utf-8")
    with pytest.raises(StorageFault, match=r"s3://far-bucket/in/a\.jpg: Could not connect"):
        ingest(SourceSettings(uri=str(path), name="s"))
    reading._bucket.cache_clear()


SPELLINGS = {
    "{here}/a.jpg": None,
    "file://{here}/a.jpg": None,
    "FILE://{here}/a.jpg": None,
    "file://localhost{here}/a.jpg": None,
    "file:{here}/a.jpg": None,
    "file://{here}/sub/b%20%C3%BC.jpg": None,
    "sub/b ü.jpg": None,
    "./sub/../a.jpg": None,
    "./~x.jpg": None,
    "~x.jpg": None,
    "s3://bucket/p//a.jpg": None,
    "S3://bucket/p/a.jpg": None,
    "s3://bucket/p/a.jpg/": None,
    "s3://bucket/../p/a.jpg": Reason.SOURCE_MISSING,
    "s3://nowhere/a.jpg": Reason.SOURCE_MISSING,
    "s3://bucket/denied.jpg": Reason.ACCESS_DENIED,
    "s3://bucket/" + "k" * 2000: Reason.BAD_NAME,
    "s3://bucket": Reason.BAD_NAME,
    "s3://bucket/": Reason.BAD_NAME,
    "s3://user:secret@bucket/a.jpg": Reason.BAD_NAME,
    "s3:/bucket/a.jpg": Reason.BAD_NAME,
    "gs://bucket/a.jpg": Reason.BAD_NAME,
    "FTP://host/a.jpg": Reason.BAD_NAME,
    "data:image/png;base64,AAAA": Reason.SOURCE_MISSING,
    "file://elsewhere/a.jpg": Reason.BAD_NAME,
    "http://": Reason.BAD_NAME,
    "HTTP://host:port/a.jpg": Reason.BAD_NAME,
    "https:/host/a.jpg": Reason.BAD_NAME,
    "C:\\photos\\a.jpg": Reason.SOURCE_MISSING,
    "~/a.jpg": Reason.SOURCE_MISSING,
    "$HOME/a.jpg": Reason.SOURCE_MISSING,
    "x" * 300 + ".jpg": Reason.BAD_NAME,
    "a.jpg/b.jpg": Reason.SOURCE_MISSING,
}


def test_each_spelling_of_a_place_is_read_or_has_its_reason(tmp_path, photo, ingest, monkeypatch):
    here = tmp_path / "lists"
    for name in ("~x.jpg", "a.jpg"):
        (here / name).write_bytes(photo)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with tiny_s3() as server:
        for name, value in {
            "ENDPOINT_URL": server.endpoint,
            "ACCESS_KEY_ID": "k",
            "SECRET_ACCESS_KEY": "s",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        reading._bucket.cache_clear()
        server.readers = {"k"}
        server.objects = dict.fromkeys(("p//a.jpg", "p/a.jpg", "p/a.jpg/"), photo)
        server.refused = {"denied.jpg": (403, "AccessDenied"), "k" * 2000: (400, "KeyTooLongError")}
        for row, reason in SPELLINGS.items():
            pq.write_table(pa.table({"uri": [row.format(here=here)]}), here / "all.parquet")
            (outcome,) = ingest(SourceSettings(uri=str(here / "all.parquet"), name="s")).values()
            assert (outcome.reason, row) == (reason, row)
            assert outcome.detail or reason is None, row
    reading._bucket.cache_clear()


def test_web_addresses_are_read_with_their_query_and_listed_without(tmp_path, photo, ingest, monkeypatch):
    monkeypatch.setattr(web, "PAUSE_S", 0.0)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        path = tmp_path / "web.csv"
        path.write_text(
            "uri\n"
            f"http://user:word@{address}/elsewhere/c.jpg?signature=secret\n"
            f"http://{address}/lists/sub/b%20%C3%BC.jpg\n"
            f"http://{address}/gone.jpg\n"
            "http://127.0.0.1:9/refused.jpg\n",
            encoding="utf-8",
        )
        source = SourceSettings(uri=str(path), name="s")
        outcomes = ingest(source)
        server.shutdown()
    assert {location: o.reason for location, o in outcomes.items()} == {
        "s/127.0.0.1/elsewhere/c.jpg": None,
        "s/127.0.0.1/lists/sub/b ü.jpg": None,
        "s/127.0.0.1/gone.jpg": Reason.SOURCE_MISSING,
        "s/127.0.0.1/refused.jpg": Reason.SERVER_UNREACHABLE,
    }
    assert "/elsewhere/c.jpg?signature=secret" in asked
    for text in (repr(list_sources([source]).entries), repr(outcomes)):
        assert "secret" not in text
        assert "word" not in text


HUGE = 140_000


def licenses(path, **settings):
    entries = list_sources([SourceSettings(uri=str(path), name="s", **settings)]).entries
    return {entry.location.removeprefix("s/"): entry.license for entry in entries}


def test_a_cell_that_nobody_reads_may_be_of_any_size(tmp_path):
    (tmp_path / "all.csv").write_text(f"uri,caption,license\na.jpg,{'x' * HUGE},CC0\n{'b' * 200}.jpg,,\n")
    assert licenses(tmp_path / "all.csv")["a.jpg"] == "CC0"
    captions = pa.array(["x" * HUGE] * 30)
    metadata = {b"notes": b"x" * 3_000_000}
    table = pa.table({"uri": [f"{n}.jpg" for n in range(30)], "caption": captions, "license": ["CC0"] * 30})
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "all.parquet")
    assert set(licenses(tmp_path / "all.parquet").values()) == {"CC0"}


def test_a_cell_that_is_read_may_be_of_any_size_too(tmp_path):
    (tmp_path / "all.csv").write_text(f"uri,license\na.jpg,{'x' * HUGE}\n")
    assert len(licenses(tmp_path / "all.csv")["a.jpg"]) == HUGE


def test_columns_that_nobody_reads_may_hold_anything(tmp_path):
    rows = b"uri,caption\na.jpg,Zo\xeb\nb.jpg,nul \x00 nul\n"
    (tmp_path / "all.csv").write_bytes(rows)
    assert set(licenses(tmp_path / "all.csv")) == {"a.jpg", "b.jpg"}
    table = pa.table(
        {
            "uri": ["a.jpg"],
            "image": pa.array([{"bytes": b"\xff" * 99, "path": None}]),
            "embedding": pa.array([[0.5] * 768]),
            "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "all.parquet")
    assert set(licenses(tmp_path / "all.parquet")) == {"a.jpg"}


@pytest.mark.parametrize(
    "header",
    [
        "uri,License",
        "URI,LICENSE",
        "uri,licence",
        "Uri,Licence",
        "uri, license ",
        "uri,license\u00a0",
        "uri,\ufefflicense",
        '"uri","license"',
        "\ufeffuri,license",
        "\ufeff\ufeffuri,license",
        "caption,uri,\tlicense",
    ],
)
def test_columns_are_found_in_any_case_and_with_blanks_around(tmp_path, header):
    row = "x,a.jpg,CC0" if header.startswith("caption") else "a.jpg,CC0"
    (tmp_path / "all.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    assert licenses(tmp_path / "all.csv", license="ODbL") == {"a.jpg": "CC0"}
    names = next(csv.reader([header.removeprefix("\ufeff")]))
    pq.write_table(
        pa.table(dict(zip(names, [[cell] for cell in row.split(",")], strict=True))), tmp_path / "all.parquet"
    )
    assert licenses(tmp_path / "all.parquet", license="ODbL") == {"a.jpg": "CC0"}


@pytest.mark.parametrize(
    "column",
    ["Licenses", "licens", "lisence", "liscense", "lincense", "license_name", "License URL", "Lizenz"],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_misspelt_license_stops_the_build_before_it_loses_rights(tmp_path, column, kind):
    path = tmp_path / f"all.{kind}"
    table = pa.table({"uri": ["a.jpg"], "caption": ["x"], column: ["CC0"]})
    if kind == "csv":
        path.write_text(f"uri,caption,{column}\na.jpg,x,CC0\n")
    else:
        pq.write_table(table, path)
    with pytest.raises(ConfigurationError) as caught:
        list_sources([SourceSettings(uri=str(path))])
    assert f"has the column {column!r}" in str(caught.value)
    assert "name it 'license'" in str(caught.value)


def test_other_columns_are_named_once_as_not_read(tmp_path):
    (tmp_path / "all.csv").write_text("uri,caption,license,license_url,,width\na.jpg,x,CC0,http://x,,1\n")
    listing = list_sources([SourceSettings(uri=str(tmp_path / "all.csv"))])
    assert listing.notes == (
        "sources.0: columns of all.csv that are not read: 'caption', 'license_url', 'width'",
    )
    (tmp_path / "plain.csv").write_text("uri,license\na.jpg,CC0\n")
    assert list_sources([SourceSettings(uri=str(tmp_path / "plain.csv"))]).notes == ()
    many = ",".join(f"c{n}" for n in range(30))
    (tmp_path / "many.csv").write_text(f"uri,{many}\na.jpg\n")
    (note,) = list_sources([SourceSettings(uri=str(tmp_path / "many.csv"))]).notes
    assert note.endswith("'c9' and 20 more")


@pytest.mark.parametrize("header", ["uri,URI", "uri,license,Licence", "uri,license,LICENSE ", "uri, uri"])
def test_two_spellings_of_one_column_are_refused(tmp_path, header):
    (tmp_path / "all.csv").write_text(f"{header}\na.jpg,b,c\n")
    with pytest.raises(ConfigurationError, match="more than once"):
        list_sources([SourceSettings(uri=str(tmp_path / "all.csv"))])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_list_that_git_lfs_did_not_fetch_says_so(tmp_path, kind):
    path = tmp_path / f"all.{kind}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 999\n")
    with pytest.raises(ConfigurationError, match=r"a pointer of Git LFS; `git lfs pull`"):
        list_sources([SourceSettings(uri=str(path))])


@pytest.mark.parametrize("column", ["uri", "licence"])
def test_a_duplicate_column_is_refused_as_ambiguous(tmp_path, column):
    path = tmp_path / "list.csv"
    path.write_text(f"uri,licence,{column}\na.jpg,b,c\n")
    with pytest.raises(ConfigurationError, match=f"has the column '{column}' more than once"):
        list_sources([SourceSettings(uri=str(path))])


def test_a_csv_list_in_another_encoding_is_reported_with_its_line(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes("uri\na.jpg\nZoë.jpg\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"line 3: not UTF-8"):
        list_sources([SourceSettings(uri=str(path))])


@pytest.mark.parametrize("kind", [pa.int64(), pa.binary(), pa.list_(pa.string())])
def test_a_column_that_holds_no_text_is_named_with_its_type(kind, tmp_path):
    values = {pa.int64(): [1], pa.binary(): [b"a.jpg"]}.get(kind, [["a.jpg"]])
    pq.write_table(pa.table({"uri": pa.array(values, kind)}), tmp_path / "all.parquet")
    with pytest.raises(ConfigurationError, match=r"column 'uri' of (int64|binary|list<.*>), where"):
        list_sources([SourceSettings(uri=str(tmp_path / "all.parquet"))])


def test_rows_that_name_nothing_say_why(tmp_path):
    rows = {
        "gopher://x/a.jpg": "neither a path nor an address that can be read (gopher://)",
        "file://elsewhere/a.jpg": "a file of another machine; expected file:///PATH",
        "": "no uri in this row",
    }
    text = "".join(f'"{uri}",CC0\n' for uri in rows)
    (tmp_path / "all.csv").write_text(f"uri,licence\n{text}{'y' * 6000},CC0\n")
    entries = list_sources([SourceSettings(uri=str(tmp_path / "all.csv"), name="s")]).entries
    assert {entry.problem for entry in entries} == {"bad_name"}
    assert {entry.detail for entry in entries} == {*rows.values(), ""}


def test_a_row_that_is_spelled_like_a_repeated_one_keeps_its_own_file(tmp_path, photo, ingest, pictures):
    other = pictures.save(pictures.draw(300, 290))
    (tmp_path / "lists" / "a.jpg#2").write_bytes(other)
    path = tmp_path / "lists" / "all.csv"
    path.write_text("uri\na.jpg\na.jpg\na.jpg#2\na.jpg#2\n", encoding="utf-8")
    outcomes = ingest(SourceSettings(uri=str(path), name="s"))
    kept = {location: o.children[0].record.sid for location, o in outcomes.items()}
    assert kept == {
        "s/a.jpg": source_id(photo),
        "s/a.jpg#2": source_id(photo),
        "s/a.jpg#2#2": source_id(other),
        "s/a.jpg#2#3": source_id(other),
    }
