"""Whole builds of two real photographs with the embedded models: reuse, more photographs, an S3 store, other pools."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from processes import PATIENCE_S, descendants, is_gone, kill, wait_until

from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import open_store
from tests.photographs import lay_out_photographs

pytestmark = [pytest.mark.slow, pytest.mark.assets]

NAMES = (
    "cup-of-coffee-on-table-in-cafe.jpg",
    "working-in-a-restaurant-macbook-cheese-cake-and-cup-of-coffee.jpg",
)
PLAIN = (
    "execution.pool=in-process",
    "execution.prefect=false",
    "grounding.unit_size=1",
    "editing.unit_size=2",
)


def build(source: Path, out: str, *assignments: str, environment: dict[str, str] | None = None) -> str:
    """Runs the command; returns its output."""
    sets = [part for text in assignments for part in ("--set", text)]
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "build", "--source", str(source), "--out", out, *sets],
        capture_output=True, text=True, env={**os.environ, **(environment or {})}, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shards(out: Path) -> dict[str, str]:
    """Digest by shard name of the newest release."""
    manifest = max(out.glob("releases/*/MANIFEST.json"), key=lambda p: p.stat().st_mtime_ns)
    return shard_digests(json.loads(manifest.read_text()))


def shard_digests(manifest: dict) -> dict[str, str]:
    found = {f["name"]: f["sha256"] for f in manifest["files"] if f["name"].endswith(".tar")}
    assert found
    return found


def samples(out: Path) -> dict[str, bytes]:
    """Every member of every shard, by shard and name."""
    found: dict[str, bytes] = {}
    for path in sorted(out.glob("releases/*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[f"{path.name}/{member.name}"] = file.read()
    assert found
    return found


def commits(out: Path, stage: str) -> dict[str, int]:
    """Time of each commit of a stage, which must never change."""
    return {str(p): p.stat().st_mtime_ns for p in out.glob(f"stages/{stage}-*/commits/*/*.json")}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "photographs"
    everything = lay_out_photographs("demo", tmp_path_factory.mktemp("all"))
    folder.mkdir()
    for path in everything:
        if path.name in NAMES:
            shutil.copy2(path, folder)
    assert len(list(folder.iterdir())) == len(NAMES)
    return folder


@pytest.fixture(scope="module")
def finished(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    build(photographs, str(out), *PLAIN)
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished dataset with its times, for a test that continues it."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def test_a_second_run_does_nothing(photographs: Path, copied: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.is_file()}
    assert "this build is already finished" in build(photographs, str(copied), *PLAIN)
    assert {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.is_file()} == before


def test_a_changed_setting_of_instruction_leaves_ingest_and_grounding_alone(
    photographs: Path, copied: Path
) -> None:
    before = {stage: commits(copied, stage) for stage in ("ingest", "grounding", "instruction", "editing")}
    build(photographs, str(copied), *PLAIN, "instruction.plans_per_target=1")
    assert commits(copied, "ingest") == before["ingest"]
    assert commits(copied, "grounding") == before["grounding"]
    assert len(commits(copied, "instruction")) > len(before["instruction"])
    assert len(commits(copied, "editing")) > len(before["editing"])


@pytest.fixture(scope="module")
def three(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photograph more, in a folder of the same name."""
    more = Path(shutil.copytree(photographs, tmp_path_factory.mktemp("three") / "photographs"))
    everything = lay_out_photographs("demo", tmp_path_factory.mktemp("all"))
    (extra,) = (p for p in everything if p.name.startswith("home-office-laptop"))
    shutil.copy2(extra, more)
    return more


@pytest.fixture(scope="module")
def grown(finished: Path, three: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished dataset continued with the third photograph."""
    out = Path(shutil.copytree(finished, tmp_path_factory.mktemp("grown") / "out"))
    build(three, str(out), *PLAIN)
    return out


def test_one_more_photograph_redoes_no_committed_unit(finished: Path, grown: Path) -> None:
    for stage in ("ingest", "grounding", "instruction", "editing"):
        known, now = (
            {str(Path(path).relative_to(out)): time for path, time in commits(out, stage).items()}
            for out in (finished, grown)
        )
        assert known.items() <= now.items(), stage
        assert len(now) - len(known) <= 1, stage


def test_a_first_look_changes_no_byte_of_the_release(three: Path, grown: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = build(three, str(out), *PLAIN, "execution.first_look=1")
    assert "first: editing" in told
    assert "first samples after" in told
    (old,) = (
        m.parent for m in grown.glob("releases/*/MANIFEST.json") if (out / m.relative_to(grown)).exists()
    )
    new = out / old.relative_to(grown)
    names = {path.relative_to(old) for path in old.rglob("*") if path.is_file() and path.name != "RUN.json"}
    assert {p.relative_to(new) for p in new.rglob("*") if p.is_file() and p.name != "RUN.json"} == names
    assert [name for name in names if (old / name).read_bytes() != (new / name).read_bytes()] == []
    page = (out / "runs" / "preview" / "index.html").read_text()
    assert f"../../{old.relative_to(grown)}/gallery/index.html" in page


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
def test_a_ray_pool_of_one_or_two_workers_gives_the_same_shards(
    workers: int, photographs: Path, finished: Path, tmp_path: Path, ray_address: str
) -> None:
    out = tmp_path / "out"
    build(photographs, str(out), "execution.prefect=false", f"execution.workers={workers}",
          f"execution.ray_address={ray_address}")  # fmt: skip
    assert shards(out) == shards(finished)


@pytest.mark.long
def test_four_workers_of_a_ray_that_the_build_starts_give_the_same_shards(
    photographs: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build(photographs, str(out), "execution.prefect=false", "execution.workers=4")
    assert shards(out) == shards(finished)


@pytest.mark.long
def test_a_ray_cluster_from_outside_gives_the_same_shards_and_outlives_the_build(
    photographs: Path, finished: Path, tmp_path: Path, head: tuple[str, dict[str, str]]
) -> None:
    address, environment = head
    for number in (1, 2):  # the second build shows that the first one left the cluster usable
        out = tmp_path / f"out{number}"
        build(photographs, str(out), "execution.prefect=false", f"execution.ray_address={address}",
              environment=environment)  # fmt: skip
        assert shards(out) == shards(finished), number


def test_photographs_in_reverse_order_and_other_batches_give_the_same_samples(
    photographs: Path, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / photographs.name  # a location holds the folder's name
    folder.mkdir()
    names: dict[str, str] = {}
    for number, path in enumerate(sorted(photographs.iterdir(), reverse=True)):
        names[f"{number}.jpg"] = path.name
        shutil.copy2(path, folder / f"{number}.jpg")
    out = tmp_path / "out"
    build(folder, str(out), *PLAIN, "grounding.unit_size=3", "editing.unit_size=1", "ingest.unit_size=1")
    found = samples(out)
    for name, data in found.items():
        if name.endswith(".json"):
            text = data.decode()
            for new, old in names.items():
                text = text.replace(f"/{new}", f"/{old}")
            found[name] = text.encode()
    assert found == samples(finished)


def test_an_s3_store_gives_the_same_shards(photographs: Path, finished: Path, s3: dict[str, str]) -> None:
    build(photographs, "s3://release/demo", *PLAIN, environment=s3)
    os.environ.update(s3)
    store = open_store("s3://release/demo", StoreOptions())
    (path,) = (item.path for item in store.list("releases") if item.path.endswith("MANIFEST.json"))
    assert shard_digests(json.loads(store.get(path))) == shards(finished)


@pytest.fixture
def head() -> Iterator[tuple[str, dict[str, str]]]:
    """A Ray head on loopback that no build has started: its address, and the environment to join it."""
    (port,) = free_ports(1)
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # Unix sockets need a short path
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), "start", "--head", "--node-ip-address=127.0.0.1",
             f"--port={port}", "--min-worker-port=20000", "--max-worker-port=20999", "--num-cpus=2",
             "--include-dashboard=false", "--disable-usage-stats",
             f"--temp-dir={folder}", "--object-store-memory=100000000", "--block"],
            env={**os.environ, **environment, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert wait_until((Path(folder) / "session_latest/sockets/raylet").exists)
            yield f"127.0.0.1:{port}", environment
        finally:
            members = [*descendants(process.pid), process.pid]
            for pid in members:
                kill(pid)
            process.wait()
            assert wait_until(lambda: all(map(is_gone, members)))


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real S3 server (seaweedfs) on loopback with one bucket; returns the environment that reaches it."""

    ports = free_ports(4)
    keys = {"accessKey": "demo", "secretKey": "secret-of-a-test"}
    (tmp_path / "ids.json").write_text(
        json.dumps({"identities": [{"name": "demo", "credentials": [keys], "actions": ["Admin"]}]})
    )
    (tmp_path / "weed").mkdir()
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "weed"), "server", "-ip=127.0.0.1",
         "-ip.bind=127.0.0.1", f"-dir={tmp_path / 'weed'}",
         f"-master.port={ports[0]}", f"-volume.port={ports[1]}", "-filer", f"-filer.port={ports[2]}", "-s3",
         f"-s3.port={ports[3]}", f"-s3.config={tmp_path / 'ids.json'}", "-s3.port.iceberg=0", "-volume.max=20",
         "-master.volumeSizeLimitMB=64"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[3]}"
    try:
        client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="demo", aws_secret_access_key="secret-of-a-test",
            region_name="us-east-1",
        )  # fmt: skip
        deadline = time.monotonic() + 90
        while True:
            try:
                client.create_bucket(Bucket="release")
                break
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
    finally:
        server.kill()
        server.wait()


def free_ports(count: int) -> list[int]:
    """Free ports, below those to which the server adds 10000."""
    held = []
    for port in range(18100, 19900, 7):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        held.append(port)
        if len(held) == count:
            break
    return held
