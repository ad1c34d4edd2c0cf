"""A small build of drawn photographs, with the real planning, rows and commits up to editing."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from tasks.gallery.pictures import mark
from tasks.gallery.release_gallery import release_gallery
from tasks.imaging.geometry import to_rle
from tasks.imaging.pixels import encode_jpeg, encode_png, fingerprint
from tasks.publishing.find_release import Release
from tasks.publishing.finish_release import finish_release
from tasks.publishing.plan_release import read_fingerprints, shard_grouping, sid_of
from tasks.publishing.release_context import Attribution, ReleaseContext, SampleContext
from tasks.publishing.sample_libraries import libraries_of_samples
from tasks.publishing.settings import PublishSettings
from tasks.records.errors import Reason
from tasks.records.measuring import measure
from tasks.records.outcomes import Blob, Child, Outcome, PixelReader, SourceEntry, StageInput
from tasks.records.records import (
    Box,
    EditedSample,
    EditPlan,
    EditType,
    GroundedTarget,
    Measurement,
    ModelIdentity,
    Reasoning,
    Scene,
    SceneObject,
    SourceImage,
)
from tasks.stages.publish.stage import publish as publish_sample
from tasks.stages.sample_stage import Workbench
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import entry_inputs
from tasks.storage.protocol.stage_end import close_stage, kept_children
from tasks.storage.protocol.units import Plan
from tests.tasks.storage.drawn_stages import stored_plan, worker

ODD = 'shots/Zoë & <b>co</b> | "50%" \U0001f33c/{{ 7*7 }}.jpg'
CONFIG8 = {
    "ingest": "aaaaaaa1",
    "grounding": "aaaaaaa2",
    "instruction": "aaaaaaa3",
    "editing": "aaaaaaa4",
    "publish": "aaaaaaa5",
}
CONTEXT = SampleContext(
    seed=7,
    stages=tuple(CONFIG8.items()),
    min_accuracy=4.0,
    min_seamlessness=3.5,
)
LIBRARIES = (("numpy", "2.4.6"), ("pillow", "13.0.0"))
RELEASE = ReleaseContext(
    name="drawn",
    profile="embedded",
    sample=CONTEXT,
    attributions=(
        Attribution(
            kind="model", name="A | detector", version="1.0", license="Apache-2.0", credit="its <authors>"
        ),
    ),
)


def sid(location: str) -> str:
    """A valid id derived from the location."""
    digest = hashlib.sha256(location.encode()).digest()
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[byte % 32] for byte in digest[:26])


def picture(location: str) -> np.ndarray:
    """A smooth ground with four discs of plain colors, 240 x 320."""
    rng = np.random.default_rng(list(hashlib.sha256(location.encode()).digest()))
    small = rng.integers(90, 220, (6, 8, 3)).astype(np.uint8)
    ground = cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC)
    for i in range(4):
        color = tuple(int(c) for c in rng.integers(0, 255, 3))
        cv2.circle(ground, (50 + 70 * i, int(rng.integers(60, 180))), 26, color, -1)
    return ground


def model(role: str) -> ModelIdentity:
    return ModelIdentity(role=role, backend="drawn", model=f"Drawn {role}", revision="1", digest="ab" * 32)


def source_image(location: str, **changes: object) -> SourceImage:
    data = encode_jpeg(picture(location))
    sha = hashlib.sha256(data).hexdigest()
    image = SourceImage(
        sid=sid(location),
        location=location,
        sha256=sha,
        working_sha256=sha,
        width=320,
        height=240,
        original_format="JPEG",
        actions=(),
        license="unstated (drawn, 1)",
        hints=(),
        fingerprint=fingerprint(picture(location)),
    )
    return replace(image, **changes)


def disc(x: int, y: int) -> np.ndarray:
    mask = np.zeros((240, 320), np.uint8)
    cv2.circle(mask, (x, y), 26, 1, -1)
    return mask.astype(bool)


def scene_object(index: int, not_a_target: str = "", part_of: int | None = None) -> SceneObject:
    x, y = 50 + 70 * index, 120
    mask = disc(x, y)
    return SceneObject(
        index=index,
        label="disc",
        box=Box(x0=x - 26, y0=y - 26, x1=x + 27, y1=y + 27),
        mask=to_rle(mask),
        score=0.9,
        mask_score=0.8,
        mask_method="drawn",
        area=int(mask.sum()),
        color="blue",
        color_share=0.9,
        lab=(30.0, 10.0, -40.0),
        checks=(Measurement(name="fill_ratio", value=0.78, low=0.2),),
        not_a_target=not_a_target,
        part_of=part_of,
    )


def target(source: SourceImage) -> GroundedTarget:
    objects = tuple(
        scene_object(i, "" if i == 1 else "touches another", part_of=3 if i == 2 else None) for i in range(4)
    )
    scene = Scene(source=source, tags=(), objects=objects, distractors=(), models=(model("detector"),))
    return GroundedTarget(
        target_id=f"{source.sid}-t0",
        scene=scene,
        indices=(1,),
        mask=objects[1].mask,
        judgement=(Measurement(name="hard", value=0.6, low=0.5),),
        models=(model("target_judge"),),
    )


def edit_plan(grounded: GroundedTarget, kind: EditType) -> EditPlan:
    """Recoloring has one more gate and a prompt; removal neither argument nor prompt: as different as records get."""
    color = kind is EditType.COLOR
    return EditPlan(
        plan_id=f"{grounded.target_id}-p0",
        target=grounded,
        edit_type=kind,
        argument="red" if color else "",
        instruction="Make the second disc <i>red</i>."
        if color
        else "Take away the second disc from the left.",
        instruction_before_rewriting="Change the second disc.",
        reasoning=Reasoning(
            scene_description="Four discs lie side by side.",
            target_localization="The second disc from the left, blue, left of the middle.",
            editing_description="It changes and nothing else does.",
            post_edit_description="Three discs are as they were.",
        ),
        seed=5,
        gates=(Measurement(name="unique", value=1.0, low=1, high=1),) if color else (),
        models=(model("instructor"), model("rewriter")),
        prompts=(("instructor", "cd" * 32),) if color else (),
    )


def edited_sample(plan: EditPlan) -> EditedSample:
    return EditedSample(
        plan=plan,
        crop=Box(x0=70, y0=70, x1=170, y1=170),
        allowed=to_rle(disc(120, 120)),
        method="blend",
        gates=(Measurement(name="changed", value=0.97, low=0.1),),
        accuracy=4.5,
        seamlessness=4.0,
        models=(model("editor"), model("edit_judge")),
    )


def edited_picture(source: np.ndarray) -> np.ndarray:
    result = source.copy()
    result[disc(120, 120)] = 255 - result[disc(120, 120)]
    return result


@dataclass(frozen=True, slots=True)
class DrawnStage:
    """A stage made of one function, which acts by the location: "…bad…" is rejected and so on."""

    one: Callable[[StageInput, PixelReader], Outcome]

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        return await bench.cpu(self.one, item, bench.pixels)  # type: ignore[attr-defined]


def _ingest(item: StageInput, pixels: PixelReader) -> Outcome:
    entry = item.record
    assert isinstance(entry, SourceEntry)
    if "bad" in entry.location:
        return Outcome(input_id=item.id, reason=Reason.NOT_AN_IMAGE, detail="starts like a letter")
    image = source_image(entry.location)
    twin = entry.location.partition("~")[0]
    if twin != entry.location:
        image = replace(image, fingerprint=source_image(twin).fingerprint)
    blob = Blob(name="source.jpg", data=encode_jpeg(picture(entry.location)))
    return Outcome(input_id=item.id, children=(Child(id=image.sid, record=image, blobs=(blob,)),))


def _grounding(item: StageInput, pixels: PixelReader) -> Outcome:
    assert isinstance(item.record, SourceImage)
    if "empty" in item.record.location:
        return Outcome(
            input_id=item.id, reason=Reason.TOO_FEW_ENTITIES, measured=(measure("entities", 1, low=2),)
        )
    grounded = target(item.record)
    mask = disc(120, 120)
    red = mark(pixels.rgb(item.blobs["source.jpg"]), mask, [grounded.objects[0].box])
    blobs = (Blob(name="mask.png", data=encode_png(mask)), Blob(name="grounded.jpg", data=encode_jpeg(red)))
    return Outcome(input_id=item.id, children=(Child(id=grounded.target_id, record=grounded, blobs=blobs),))


def _instruction(item: StageInput, pixels: PixelReader) -> Outcome:
    assert isinstance(item.record, GroundedTarget)
    kind = EditType.COLOR if item.id < "n" else EditType.REMOVE
    plan = edit_plan(item.record, kind)
    return Outcome(input_id=item.id, children=(Child(id=plan.plan_id, record=plan),))


def _editing(item: StageInput, pixels: PixelReader) -> Outcome:
    assert isinstance(item.record, EditPlan)
    sample = edited_sample(item.record)
    result = edited_picture(pixels.rgb(item.blobs["source.jpg"]))
    blobs = (
        Blob(name="edited.png", data=encode_png(result)),
        Blob(name="patch.png", data=encode_png(result[70:170, 70:170])),
    )
    if "dull" in item.record.target.scene.source.location:
        gate = Measurement(name="changed", value=0.01, low=0.1)
        refused = replace(sample, gates=(gate,))
        child = Child(
            id=item.id, record=refused, reason=Reason.NOT_CHANGED, measured=(gate,), blobs=blobs[1:]
        )
    else:
        child = Child(id=item.id, record=sample, blobs=blobs)
    return Outcome(input_id=item.id, children=(child,))


DRAWN = {"ingest": _ingest, "grounding": _grounding, "instruction": _instruction, "editing": _editing}


def entry(location: str, version: str = "1") -> SourceEntry:
    return SourceEntry(
        location=location,
        source="shots",
        path=location,
        member="",
        offset=0,
        length=-1,
        version=version,
        problem="",
    )


def build_up_to_editing(
    store: Store, locations: Sequence[str], unit_size: int = 3, version: str = "1"
) -> list[Plan]:
    """Plans of the first four stages, closed."""
    inputs = entry_inputs(entry(location, version) for location in locations)
    plans: list[Plan] = []
    for stage, function in DRAWN.items():
        key = StageKey(stage=stage, config8=CONFIG8[stage])
        upstream = plans[-1].reference if plans else ""
        plans.append(stored_plan(store, key, inputs, unit_size=unit_size, upstream=upstream))
        with worker(store, key, DrawnStage(function)) as at_work:
            for unit in plans[-1].units:
                at_work.run(unit)
        close_stage(store, plans[-1])
        inputs = list(kept_children(store, plans[-1]))
    return plans


def publish(store: Store, plans: Sequence[Plan], settings: PublishSettings) -> list[Plan]:
    """All five plans, the last one published and closed."""
    key = StageKey(stage="publish", config8=CONFIG8["publish"])
    inputs = list(kept_children(store, plans[-1]))
    prints = read_fingerprints(store, plans[0], {sid_of(item.id) for item in inputs})
    plan = stored_plan(
        store,
        key,
        inputs,
        unit_size=settings.samples_per_shard,
        upstream=plans[-1].reference,
        grouping=shard_grouping(
            key,
            prints,
            settings,
            seed=CONTEXT.seed,
            libraries=lambda: libraries_of_samples(store, plans),
        ),
    )
    run_publish(store, plan, settings)
    return [*plans, plan]


def run_publish(store: Store, plan: Plan, settings: PublishSettings) -> None:
    """Runs the open units of a publish plan and closes it."""
    stage = partial(publish_sample, settings=settings, context=CONTEXT)
    with worker(store, plan.key, stage) as at_work:
        for unit in plan.units:
            at_work.run(unit)
    close_stage(store, plan)


def finish(store: Store, plans: Sequence[Plan], build: str = "build-1") -> Release:
    """The release of five closed plans, with its gallery."""
    gallery = release_gallery(store, plans, SETTINGS)
    return finish_release(store, plans, RELEASE, SETTINGS, build=build, write_gallery=gallery)


LOCATIONS = [
    *(f"shots/photo {n}.jpg" for n in range(10)),
    ODD,
    "shots/bad <script>alert(1)</script>.jpg",
    "shots/empty room.jpg",
    "shots/dull day.jpg",
]
SETTINGS = PublishSettings(samples_per_shard=4, validation_share=0.3, near_duplicate_bits=2)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Plan]]:
    """A store with the drawn photographs published (not yet released), and its five plans."""
    store = open_store(str(tmp_path_factory.mktemp("dataset")))
    return store, publish(store, build_up_to_editing(store, LOCATIONS), SETTINGS)


@pytest.fixture(scope="session")
def released(built: tuple[Store, list[Plan]]) -> tuple[Path, dict]:
    """The folder of the finished release, and its manifest."""
    store, plans = built
    release = finish(store, plans)
    assert store.folder is not None
    return store.folder / release.folder, release.manifest


@pytest.fixture(scope="session")
def drawn() -> ModuleType:
    """This file's functions and values."""
    return sys.modules[__name__]
