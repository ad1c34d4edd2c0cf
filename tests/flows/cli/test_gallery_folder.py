"""Where the gallery may go: never among a user's files, and invalid folders are reported at once."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pytest

from flows.cli.gallery_folder import gallery_folder
from flows.cli.main import main
from tasks.gallery.pages import GalleryContent, write_gallery
from tasks.publishing.release_context import ReleaseContext, SampleContext
from tasks.records.errors import ConfigurationError
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "data"))


def lay_out_gallery(store: Store, folder: Path) -> None:
    """The smallest valid gallery."""
    folder.mkdir()
    sample = SampleContext(seed=0, stages=(), min_accuracy=1.0, min_seamlessness=1.0)
    context = ReleaseContext(name="none", profile="embedded", sample=sample)
    content = GalleryContent(accepted=(), rejected=(), accepted_totals={}, rejected_totals={})

    def sink(name: str, data: bytes) -> None:
        (folder / name).write_bytes(data)

    write_gallery(content, context, lambda: StorePixels(store), sink)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refuse(tmp_path: Path, to: str, *parts: str) -> None:
    """Runs the command: exit code 2, one line, and all files and folders unchanged."""
    before = {p: p.read_bytes() if p.is_file() else None for p in tmp_path.rglob("*")}
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["gallery", "data", "--to", to])
    assert (code, out.getvalue()) == (2, "")
    (line,) = err.getvalue().splitlines()
    for part in (f"--to={to!r}", *parts):
        assert part in line
    assert {p: p.read_bytes() if p.is_file() else None for p in tmp_path.rglob("*")} == before


def test_a_folder_of_photographs_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.jpg").write_bytes(b"\xff\xd8")
    refuse(tmp_path, "photographs", "not a gallery")


def test_a_page_of_someone_else_is_not_a_gallery(store: Store, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>How we ended here</h1>")
    (tmp_path / "site" / "style.css").write_text("")
    refuse(tmp_path, "site", "not a gallery")


@pytest.mark.parametrize("to", ["data", "data/gallery", "data/../data/x/y", "link/gallery"])
def test_the_dataset_holds_no_other_gallery_than_its_releases_own(
    store: Store, tmp_path: Path, to: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    refuse(tmp_path, to, "dataset")


@pytest.mark.parametrize("to", ["s3://bucket/gallery", "https://example.org/gallery"])
def test_a_gallery_is_local(store: Store, tmp_path: Path, to: str) -> None:
    refuse(tmp_path, to, "local folder")


@pytest.mark.parametrize("to", ["file", "file/below/it"])
def test_a_file_is_not_a_place_for_a_gallery(store: Store, tmp_path: Path, to: str) -> None:
    (tmp_path / "file").write_text("a file")
    refuse(tmp_path, to, f"{tmp_path / 'file'} is a file")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that refuses even a superuser")
def test_a_place_that_takes_no_files_is_named(store: Store, tmp_path: Path) -> None:
    refuse(tmp_path, "/proc/gallery", "cannot be written to")


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write everywhere")
def test_a_folder_without_permission_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refuse(tmp_path, "closed/gallery", "cannot be written to", "Permission denied")


def test_a_gallery_of_before_an_empty_folder_and_none_at_all_are_fine(store: Store, tmp_path: Path) -> None:
    lay_out_gallery(store, tmp_path / "before")
    (tmp_path / "empty").mkdir()
    known = everything(tmp_path)
    for name in ("before", "empty", "new/below"):
        assert gallery_folder(store, store.uri, str(tmp_path / name)) == tmp_path / name
    assert gallery_folder(store, store.uri, (tmp_path / "new").as_uri()) == tmp_path / "new"
    assert everything(tmp_path) == known
    assert not (tmp_path / "new").exists()


def test_without_a_wish_it_goes_beside_the_dataset_under_the_same_rules(store: Store, tmp_path: Path) -> None:
    assert gallery_folder(store, store.uri, "") == tmp_path / "data-gallery"
    (tmp_path / "data-gallery").mkdir()
    (tmp_path / "data-gallery" / "a.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ConfigurationError, match=r"--to='.*/data-gallery'.*not a gallery"):
        gallery_folder(store, store.uri, "")
