"""Folders of tars and of lists are read as one source."""

import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.records.errors import ConfigurationError, Reason
from tasks.sources.listing import list_sources
from tasks.sources.settings import SourceSettings

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 999\n"


def write_tar(path, mode="w", **members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_list(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def reasons(outcomes):
    return {location.removeprefix("s/"): outcome.reason for location, outcome in outcomes.items()}


def test_a_folder_of_tars_gives_the_members_of_all(tmp_path, pictures, ingest):
    photos = [pictures.save(pictures.draw(300 + number, 288)) for number in range(3)]
    write_tar(tmp_path / "a.tar", x__jpg=photos[0], y__txt=b"text")
    write_tar(tmp_path / "deep/b 1.TAR", x__jpg=photos[1])
    (tmp_path / "beside.jpg").write_bytes(photos[2])
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert reasons(outcomes) == {
        "a.tar/x.jpg": None,
        "a.tar/y.txt": Reason.NOT_AN_IMAGE,
        "beside.jpg": None,
        "deep/b 1.TAR/x.jpg": None,
    }


def test_a_bad_tar_among_tars_is_a_row_that_says_why(tmp_path, pictures, ingest):
    photo = pictures.save(pictures.draw())
    write_tar(tmp_path / "good.tar", x__jpg=photo)
    write_tar(tmp_path / "packed.tar.gz", "w:gz", x__jpg=photo)
    (tmp_path / "text.tar").write_bytes(b"this is no archive" * 100)
    (tmp_path / "zero.tar").write_bytes(b"")
    (tmp_path / "lfs.tar").write_bytes(POINTER)
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert reasons(outcomes) == {
        "good.tar/x.jpg": None,
        "lfs.tar": Reason.POINTER_FILE,
        "packed.tar.gz": Reason.BAD_ARCHIVE_MEMBER,
        "text.tar": Reason.BAD_ARCHIVE_MEMBER,
        "zero.tar": Reason.BAD_ARCHIVE_MEMBER,
    }
    assert outcomes["s/packed.tar.gz"].detail.startswith("a tar that is compressed; unpack it")
    assert outcomes["s/lfs.tar"].detail.startswith("a tar that is a pointer of Git LFS; `git lfs pull`")
    assert not any(str(tmp_path) in outcome.detail for outcome in outcomes.values())


def test_a_folder_of_parquet_parts_is_one_list(tmp_path, pictures, ingest):
    folder = tmp_path / "parts"
    (tmp_path / "photos").mkdir()
    for name, width in (("a", 300), ("b", 310), ("c", 320)):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(pictures.save(pictures.draw(width, 288)))
    write_list(folder / "part-0.parquet", uri=["../photos/a.jpg", "../photos/b.jpg"], License=["CC0", ""])
    write_list(folder / "year=2024/part-1.parquet", uri=["../../photos/c.jpg", None], caption=["x", "y"])
    (folder / "_SUCCESS").write_bytes(b"")
    source = SourceSettings(uri=str(folder), name="s", license="ODbL")
    outcomes = ingest(source)
    assert reasons(outcomes) == {
        "_SUCCESS": Reason.EMPTY_FILE,
        "part-0.parquet/%2E%2E/photos/a.jpg": None,
        "part-0.parquet/%2E%2E/photos/b.jpg": None,
        "year=2024/part-1.parquet/%2E%2E/%2E%2E/photos/c.jpg": None,
        "year=2024/part-1.parquet/row-2": Reason.BAD_NAME,
    }
    kept = [o.children[0].record for o in outcomes.values() if o.children]
    assert [record.license for record in kept] == ["CC0", "ODbL", "ODbL"]
    assert list_sources([source]).notes == (
        "sources.0: columns of year=2024/part-1.parquet that are not read: 'caption'",
    )


def test_equal_rows_of_two_parts_stay_apart(tmp_path, pictures, ingest):
    data = pictures.save(pictures.draw())
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(data)
    for part in ("1", "2"):
        (tmp_path / "lists").mkdir(exist_ok=True)
        (tmp_path / f"lists/{part}.csv").write_text("uri\n../photos/a.jpg\n")
    outcomes = ingest(SourceSettings(uri=str(tmp_path / "lists"), name="s"))
    assert list(reasons(outcomes).values()) == [None, None]


def test_a_list_beside_photographs_is_their_table_and_no_source(tmp_path, pictures, ingest):
    (tmp_path / "a.jpg").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "facts.csv").write_text("uri,Licenses\na.jpg,CC0\n")
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert reasons(outcomes) == {"a.jpg": None, "facts.csv": Reason.NOT_AN_IMAGE}


def test_a_folder_whose_lists_name_no_photographs_says_so(tmp_path):
    write_list(tmp_path / "part-0.parquet", image=["a.jpg"])
    with pytest.raises(ConfigurationError, match="no pictures, and none of its lists has a column 'uri'"):
        list_sources([SourceSettings(uri=str(tmp_path))])


def test_a_broken_part_stops_the_build_before_work_and_is_named(tmp_path):
    write_list(tmp_path / "part-0.parquet", uri=["a.jpg"])
    (tmp_path / "part-1.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ConfigurationError, match=r"sources\.0\.uri.*part-1\.parquet"):
        list_sources([SourceSettings(uri=str(tmp_path))])


def test_photographs_that_git_lfs_did_not_fetch_say_so(tmp_path, pictures, ingest):
    (tmp_path / "a.jpg").write_bytes(POINTER)
    (tmp_path / "b.png").write_bytes(b"/annex/objects/SHA256E-s99--0123.png\n")
    (tmp_path / "c.jpg").write_bytes(pictures.save(pictures.draw()))
    (tmp_path / "d.jpg").write_bytes(b"version 2 of a text")
    outcomes = ingest(SourceSettings(uri=str(tmp_path), name="s"))
    assert reasons(outcomes) == {
        "a.jpg": Reason.POINTER_FILE,
        "b.png": Reason.POINTER_FILE,
        "c.jpg": None,
        "d.jpg": Reason.NOT_AN_IMAGE,
    }
    assert "`git lfs pull`" in outcomes["s/a.jpg"].detail
    assert "`git annex get`" in outcomes["s/b.png"].detail
