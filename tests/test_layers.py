"""The layers of the project, read from its imports: who may import whom."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.build.plans import open_build
from flows.build.stage_runner import stage_job
from tasks.records.outcomes import STAGES
from tasks.stages.config import load_config
from tasks.stages.registry import SPECS, StageSpec

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "tasks", "prompts", "intercog_model")

MODEL_MAY_IMPORT = ("tasks.publishing.shard_format", "tasks.records.records", "tasks.records.errors")
"""What the model package takes from the pipeline: the format of its input."""


ROOMS = (
    "records",
    "imaging",
    "roles",
    "stages",
    "worker",
    "sources",
    "storage",
    "serving",
    "backends",
    "publishing",
    "gallery",
)
"""The rooms of ``tasks``; which of them may know which is up to them, but never in a circle."""

ABOVE_THE_STORE = ("backends", "sources", "stages", "publishing", "gallery", "roles", "serving", "worker")


@dataclass(frozen=True)
class Import:
    """``module`` imports ``name``, somewhere; ``lazy`` when inside a function."""

    module: str
    name: str
    lazy: bool

    def is_of(self, *packages: str) -> bool:
        return any(self.name == package or self.name.startswith(f"{package}.") for package in packages)


def imports_of(package: str) -> Iterator[Import]:
    for path in sorted((ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (Import(module, name, id(node) not in top) for name in names)


ALL = {package: tuple(imports_of(package)) for package in PACKAGES}


def wrong(package: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{i.module} imports {i.name}"
        for i in ALL[package]
        if i.is_of(*forbidden) and not (allowed and i.is_of(*allowed))
    ]


def test_there_are_imports_to_look_at() -> None:
    assert any(i.is_of("prefect") for i in ALL["flows"])
    assert any(i.is_of("ray") for i in ALL["flows"])
    assert any(i.is_of("tasks.records.records") for i in ALL["tasks"])


@pytest.mark.parametrize("package", ["tasks", "prompts", "intercog_model"])
def test_only_flows_imports_prefect_or_ray(package: str) -> None:
    assert wrong(package, ("prefect", "prefect_ray", "ray")) == []


@pytest.mark.parametrize("package", ["tasks", "prompts", "intercog_model"])
def test_nothing_below_imports_flows(package: str) -> None:
    assert wrong(package, ("flows",)) == []


def test_the_pipeline_imports_the_model_in_one_place_and_lazily() -> None:
    found = [
        i for package in ("flows", "tasks", "prompts") for i in ALL[package] if i.is_of("intercog_model")
    ]
    assert found
    assert [i for i in found if i.module != "tasks.backends.torch.bagel_editor" or not i.lazy] == []


def test_the_model_takes_from_the_pipeline_only_the_shard_format_and_records() -> None:
    assert wrong("intercog_model", ("tasks", "prompts"), MODEL_MAY_IMPORT) == []


def test_backends_are_imported_by_the_table_of_roles_alone() -> None:
    found = [
        i
        for package in ("flows", "tasks")
        for i in ALL[package]
        if i.is_of("tasks.backends.embedded", "tasks.backends.torch", "tasks.backends.served")
        and not i.module.startswith("tasks.backends")
    ]
    allowed = ("tasks.roles.backends",)
    assert [f"{i.module} imports {i.name}" for i in found if i.module not in allowed] == []


def test_backends_know_no_stage_and_no_store() -> None:
    found = [
        f"{i.module} imports {i.name}"
        for i in ALL["tasks"]
        if i.module.startswith("tasks.backends.") and i.is_of("tasks.stages", "tasks.storage", "tasks.worker")
    ]
    assert found == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_nothing_of_another_stage(stage: str) -> None:
    others = [f"tasks.stages.{other}" for other in STAGES if other != stage]
    found = [i for i in ALL["tasks"] if i.module.startswith(f"tasks.stages.{stage}.") and i.is_of(*others)]
    assert [f"{i.module} imports {i.name}" for i in found] == []


def rooms_known() -> dict[str, set[str]]:
    """Room -> rooms that it imports."""
    known: dict[str, set[str]] = {room: set() for room in ROOMS}
    for i in ALL["tasks"]:
        parts, own = i.name.split("."), i.module.split(".")
        if parts[0] != "tasks" or len(parts) < 3 or len(own) < 3:
            continue
        if parts[1] != own[1]:
            known[own[1]].add(parts[1])
    return known


def test_every_folder_of_tasks_is_a_room_that_is_looked_at() -> None:
    folders = {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_no_room_knows_itself_through_others() -> None:
    known = rooms_known()
    order: list[str] = []
    while left := [room for room in ROOMS if room not in order]:
        free = [room for room in left if known[room] <= set(order)]
        assert free, f"a circle among {', '.join(left)}: " + str(
            {room: known[room] - set(order) for room in left}
        )
        order += free


def test_the_records_know_no_other_room() -> None:
    assert rooms_known()["records"] == set()


def test_the_store_knows_no_stage_and_no_backend() -> None:
    found = [
        f"{i.module} imports {i.name}"
        for i in ALL["tasks"]
        if i.module.startswith("tasks.storage.") and i.is_of(*(f"tasks.{other}" for other in ABOVE_THE_STORE))
    ]
    assert found == []


def test_no_torch_in_the_embedded_pipeline() -> None:
    found = [
        f"{i.module} imports {i.name}"
        for package in ("flows", "tasks", "prompts")
        for i in ALL[package]
        if i.is_of("torch", "transformers", "torchvision") and not i.module.startswith("tasks.backends.torch")
    ]
    assert found == []


def test_the_command_can_say_what_it_does_without_prefect_ray_or_a_model() -> None:
    code = (
        "import sys, flows.cli.main; flows.cli.main.parser();"
        "print([m for m in ('prefect', 'ray', 'cv2', 'numpy', 'pydantic') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


MADE_BY_A_WORKER = """
import os, pickle, sys
make = pickle.load(sys.stdin.buffer)
from tasks.worker.engine import Engine
make(Engine(), None)
print(*sorted(sys.modules), flush=True)
os._exit(0)
"""


def modules_of_a_worker(stage: str, folder: Path) -> set[str]:
    """What a process has imported that made the stage of the embedded profile, its models loaded."""
    (folder / "photographs").mkdir()
    arguments = {"sources": [{"uri": str(folder / "photographs")}], "out": str(folder / "out")}
    job = stage_job(open_build(load_config("embedded", (), arguments)), stage)
    result = subprocess.run(
        [sys.executable, "-c", MADE_BY_A_WORKER], cwd=ROOT, input=pickle.dumps(job.make_worker),
        capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()
    return set(result.stdout.decode().split())


def rooms_of_backends(stage: str) -> set[str]:
    """Rooms of the backends that the embedded profile gives the stage; instruction asks two more for their offers."""
    config = load_config("embedded")
    asked: list[tuple[StageSpec, str]] = [(SPECS[stage], name) for name in SPECS[stage].role_settings(config)]
    if stage == "instruction":
        asked += [(SPECS["editing"], "editor"), (SPECS["editing"], "inpainter")]
    classes = [spec.choices(config)[name].backend for spec, name in asked]
    return {backend.__module__.rpartition(".")[0] for backend in classes}


@pytest.mark.parametrize(
    "stage",
    [
        "ingest",
        pytest.param("grounding", marks=pytest.mark.assets),
        "instruction",
        pytest.param("editing", marks=pytest.mark.assets),
        "publish",
    ],
)
def test_a_worker_imports_its_own_stage_and_backends_alone(stage: str, tmp_path: Path) -> None:
    modules = modules_of_a_worker(stage, tmp_path)
    assert {m for m in modules if m.startswith("tasks.stages.") and m.endswith(".stage")} == {
        f"tasks.stages.{stage}.stage"
    }
    rooms = {m.rpartition(".")[0] for m in modules if m.startswith("tasks.backends.")}
    # A package inside a room is a part of it.
    kinds = {
        room.removesuffix(".copies")
        for room in rooms
        if room.startswith(("tasks.backends.embedded.", "tasks.backends.torch"))
    }
    assert kinds - {"tasks.backends.embedded.runtimes"} == rooms_of_backends(stage)
    assert not modules & {"torch", "transformers", "intercog_model", "ray", "prefect"}


def test_a_worker_that_writes_instructions_needs_no_inference_library(tmp_path: Path) -> None:
    modules = modules_of_a_worker("instruction", tmp_path)
    assert not modules & {"torch", "onnxruntime", "ai_edge_litert", "transformers"}
