"""Members of a tar, including damaged ones."""

import io
import tarfile

import pytest

from tasks.records.errors import ConfigurationError, Reason, SampleError
from tasks.sources.listing import list_sources
from tasks.sources.reading import SourceReader
from tasks.sources.settings import SourceSettings


def write_tar(path, members, mode="w", format=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return SourceSettings(uri=str(path), name="s")


def problems(source):
    return {e.location.removeprefix("s/x.tar/"): e.problem for e in list_sources([source]).entries}


def details(source):
    return {
        e.location.removeprefix("s/x.tar/"): e.detail for e in list_sources([source]).entries if e.problem
    }


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_where_they_lie(tmp_path, pictures, ingest, format):
    photo = pictures.save(pictures.draw())
    source = write_tar(tmp_path / "x.tar", [("./a/b.jpg", photo), ("c.txt", b"text")], format=format)
    outcomes = ingest(source)
    assert list(outcomes) == ["s/x.tar/a/b.jpg", "s/x.tar/c.txt"]
    assert outcomes["s/x.tar/a/b.jpg"].reason is None
    assert outcomes["s/x.tar/c.txt"].reason == Reason.NOT_AN_IMAGE


def test_the_name_is_the_archives_stem_by_default(tmp_path):
    source = write_tar(tmp_path / "sa_000020.tar", [("a.jpg", b"a")]).model_copy(update={"name": ""})
    assert [e.location for e in list_sources([source]).entries] == ["sa_000020/sa_000020.tar/a.jpg"]


def test_names_that_climb_or_are_absolute_are_bad(tmp_path):
    members = [("../../up.jpg", b"1"), ("/etc/root.jpg", b"2"), ("fine.jpg", b"3"), ("a/../b.jpg", b"4")]
    source = write_tar(tmp_path / "x.tar", members)
    assert details(source)["%2E%2E/%2E%2E/up.jpg"] == "a path that climbs"
    assert details(source)["etc/root.jpg"] == "an absolute path"
    assert problems(source) == {
        "%2E%2E/%2E%2E/up.jpg": "bad_name",
        "a/%2E%2E/b.jpg": "bad_name",
        "etc/root.jpg": "bad_name",
        "fine.jpg": "",
    }


def test_odd_and_repeated_and_very_long_names_stay_apart(tmp_path, pictures, ingest):
    photo = pictures.save(pictures.draw())
    long = "n" * 3000 + ".jpg"
    members = [
        ("a.jpg", photo),
        ("a.jpg", b"second"),
        ("new\nline \udcff\N{BEAR FACE}.jpg", photo),
        (long, photo),
    ]
    outcomes = ingest(write_tar(tmp_path / "x.tar", members, format=tarfile.GNU_FORMAT))
    reasons = {location: outcome.reason for location, outcome in outcomes.items()}
    (cut,) = [location for location in reasons if "nnnn" in location]
    assert len(cut) <= 1024
    assert reasons.pop(cut) == Reason.BAD_NAME
    assert reasons == {
        "s/x.tar/a.jpg": None,
        "s/x.tar/a.jpg#2": Reason.NOT_AN_IMAGE,
        "s/x.tar/new%0Aline %FF\N{BEAR FACE}.jpg": None,
    }


def test_links_and_devices_in_an_archive_are_bad_members(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (
            ("l.jpg", tarfile.SYMTYPE),
            ("h.jpg", tarfile.LNKTYPE),
            ("f.jpg", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    source = SourceSettings(uri=str(path), name="s")
    assert details(source) == {"f.jpg": "a named pipe", "h.jpg": "a hard link", "l.jpg": "a symbolic link"}
    assert problems(source) == dict.fromkeys(("f.jpg", "h.jpg", "l.jpg"), "bad_archive_member")


@pytest.mark.parametrize("blow", ["letters", "zeros"])
def test_a_damaged_header_is_a_row_and_listing_continues(tmp_path, blow):
    members = [(f"{number}.jpg", b"d" * 700) for number in range(5)]
    source = write_tar(tmp_path / "x.tar", members, format=tarfile.USTAR_FORMAT)
    data = bytearray((tmp_path / "x.tar").read_bytes())
    start = 2 * (512 + 1024)
    data[start : start + 512] = (b"\0" if blow == "zeros" else b"#") * 512
    (tmp_path / "x.tar").write_bytes(data)
    offset = start
    assert problems(source) == {
        "0.jpg": "",
        "1.jpg": "",
        "3.jpg": "",
        "4.jpg": "",
        f"@{offset}": "bad_archive_member",
    }


def test_a_damaged_first_header_is_a_row_too(tmp_path):
    members = [(f"{number}.jpg", b"d" * 700) for number in range(3)]
    source = write_tar(tmp_path / "x.tar", members, format=tarfile.USTAR_FORMAT)
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[0:512] = b"#" * 512
    (tmp_path / "x.tar").write_bytes(data)
    assert problems(source) == {"1.jpg": "", "2.jpg": "", "@0": "bad_archive_member"}


def with_checksum(data):
    """The archive with the right checksum in its first header."""
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


@pytest.mark.parametrize("field", [(100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345)])
@pytest.mark.parametrize("text", [b"nobody", b"-1 2 x", b"\xff\xfe\xfd"])
def test_a_header_may_hold_anything_where_nobody_reads(tmp_path, field, text):
    source = write_tar(
        tmp_path / "x.tar", [("a.jpg", b"d" * 700), ("b.jpg", b"d")], format=tarfile.USTAR_FORMAT
    )
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[field[0] : field[1]] = text.ljust(field[1] - field[0], b"?")
    (tmp_path / "x.tar").write_bytes(with_checksum(data))
    assert problems(source) == {"a.jpg": "", "b.jpg": ""}


def test_a_header_with_a_wrong_checksum_or_size_stays_damaged(tmp_path):
    source = write_tar(
        tmp_path / "x.tar", [("a.jpg", b"d" * 700), ("b.jpg", b"d")], format=tarfile.USTAR_FORMAT
    )
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[108:116] = b"nobody!!"
    (tmp_path / "x.tar").write_bytes(data)
    assert problems(source) == {"@0": "bad_archive_member", "b.jpg": ""}
    data[124:136] = b"many bytes!!"
    (tmp_path / "x.tar").write_bytes(with_checksum(data))
    assert problems(source) == {"@0": "bad_archive_member", "b.jpg": ""}


@pytest.mark.parametrize(
    ("comment", "broken", "found"),
    [
        (b"comment=abc", b"comment=\xff\xfe\xfd", {"a.jpg": "", "b.jpg": ""}),
        (b"15 comment=abc\n", b"zz comment=abc\n", {"a.jpg": "", "b.jpg": ""}),
        (b"15 comment=abc\n", b"00 comment=abc\n", {"@0": "bad_archive_member", "a.jpg": "", "b.jpg": ""}),
    ],
)
def test_broken_records_of_an_extended_header_end_and_cost_no_member(tmp_path, comment, broken, found):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.jpg", "b.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 5, {"comment": "abc"} if name == "a.jpg" else {}
            tar.addfile(info, io.BytesIO(b"hello"))
    data = (tmp_path / "x.tar").read_bytes()
    assert data.count(comment) == 1
    (tmp_path / "x.tar").write_bytes(data.replace(comment, broken))
    assert problems(SourceSettings(uri=str(tmp_path / "x.tar"), name="s")) == found


def test_a_comment_of_any_size_is_no_matter(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.pax_headers = {"comment": "x" * 2_000_000}
        tar.addfile(info, io.BytesIO())
    assert problems(SourceSettings(uri=str(tmp_path / "x.tar"), name="s")) == {"a.jpg": ""}


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (1536 + 512 + 100, "the archive ends before it does"),
        (1536 + 100, "bytes that no valid header begins"),
    ],
)
def test_an_archive_that_breaks_off_says_where_and_how(tmp_path, keep, why):
    members = [(f"{number}.jpg", b"d" * 700) for number in range(5)]
    source = write_tar(tmp_path / "x.tar", members, format=tarfile.USTAR_FORMAT)
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes()[:keep])
    assert set(details(source).values()) == {why}
    found = problems(source)
    assert found.pop("0.jpg") == ""
    assert set(found.values()) == {"bad_archive_member"}


def test_unusable_archives_are_refused_before_work(tmp_path):
    write_tar(tmp_path / "z.tar.gz", [("a.jpg", b"a")], "w:gz")
    write_tar(tmp_path / "renamed.tar", [("a.jpg", b"a")], "w:gz")
    write_tar(tmp_path / "empty.tar", [])
    (tmp_path / "nothing.tar").write_bytes(b"")
    (tmp_path / "text.tar").write_bytes(b"this is no archive" * 100)
    for name, why in (
        ("z.tar.gz", "compressed"),
        ("renamed.tar", "compressed"),
        ("empty.tar", "no members"),
        ("nothing.tar", "no members"),
        ("text.tar", "not a tar"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            list_sources([SourceSettings(uri=str(tmp_path / name))])


def test_a_changed_archive_is_noticed(tmp_path, pictures):
    source = write_tar(tmp_path / "x.tar", [("a.jpg", b"a" * 100)])
    (entry,) = list_sources([source]).entries
    assert SourceReader([source]).data(entry, 1000) == b"a" * 100
    write_tar(tmp_path / "x.tar", [("b.jpg", b"b"), ("a.jpg", b"a" * 20000)])
    with pytest.raises(SampleError) as caught:
        SourceReader([source]).data(entry, 1000)
    assert caught.value.reason == Reason.SOURCE_CHANGED
