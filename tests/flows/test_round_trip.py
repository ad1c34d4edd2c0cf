"""The pictures that each served role is shown, and the round trip by numbers or by boxes in a model's own frame."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.imaging.arrays import Image
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.commits import commit_from
from tests.flows.drawn.builds import profile, run, stored_answers, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import SCENES, DrawnScript
from tests.serving.chat_server import ChatServer
from tests.serving.scene_eyes import framed, recognized
from tests.serving.scripts import Answer, Asked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 3
MARKS: dict[str, Any] = {}
PIXELS = {"by": "boxes", "frame": "pixels", "max_pixels": 60_000}
THOUSANDTHS = {"by": "boxes", "frame": "thousandths", "max_pixels": 60_000}


def outcomes(out: Path) -> Counter[str]:
    """Rows of the instruction stage by reason."""
    store, found = open_store(str(out)), Counter[str]()
    for item in store.list("stages"):
        if "/instruction-" in item.path and "/commits/" in item.path:
            found.update(commit_from(store.get(item.path), item.path).counts["reasons"])
    return found


def built(folder: Path, options: dict[str, Any], script: Any) -> tuple[Counter[str], int, ChatServer]:
    """Rows of the instruction stage, edits that were judged, and the server."""
    folder.mkdir()
    lay_out(folder / "photographs", COUNT)
    with ChatServer(script) as server:
        tree = profile(server.url)
        tree["instruction"]["referrer"] = {"backend": "chat", "run": "words", "options": options}
        tree["publish"] = {"gallery_samples": 0, "gallery_rejected": 0}
        run(written(folder, tree), folder / "photographs", folder / "out")
    return outcomes(folder / "out"), stored_answers(folder / "out").get("edit_judge", 0), server


def is_tinted(picture: Image) -> bool:
    """Whether the thing that is framed in red is covered by the red mask as well."""
    scene = recognized(picture, SCENES)
    index = framed(picture, scene)
    assert index is not None, "no red box"
    (x, y), (width, height) = scene.objects[index].box.center, scene.size
    across, down = picture.shape[1] / width, picture.shape[0] / height
    seen = picture[int(y * down), int(x * across)].astype(int)
    plain = scene.image[int(y), int(x)].astype(int)
    half_red = (plain + np.array([255, 0, 0])) / 2
    return bool(np.abs(seen - half_red).max() < np.abs(seen - plain).max())


def test_each_role_is_shown_its_own_picture(tmp_path: Path) -> None:
    """Paper Figures 19 and 20: mask and box to the target judge, the box alone to those who write and judge edits."""
    _, edits, server = built(tmp_path / "marks", MARKS, DrawnScript())
    shown = {
        role: [Asked(role=role, number=0, body=body).pictures for each, body in server.bodies if each == role]
        for role in ("target_judge", "instructor", "edit_judge", "rewriter")
    }
    assert edits == len(shown["edit_judge"]) > 0
    assert all(is_tinted(picture) for (picture,) in shown["target_judge"])
    assert not any(is_tinted(picture) for (picture,) in shown["instructor"])
    assert not any(is_tinted(before) for before, _ in shown["edit_judge"])
    assert all(framed(after, recognized(after, SCENES)) is not None for _, after in shown["edit_judge"])
    assert not any(shown["rewriter"])


def test_boxes_in_either_frame_lead_where_numbers_lead(tmp_path: Path) -> None:
    rows, edits, _ = built(tmp_path / "marks", MARKS, DrawnScript())
    assert edits > 0
    for name, options in (("pixels", PIXELS), ("thousandths", THOUSANDTHS)):
        found, judged, server = built(tmp_path / name, options, DrawnScript())
        assert (found, judged) == (rows, edits)
        told = [body for role, body in server.bodies if role == "referrer"]
        sizes = {picture.shape for body in told for picture in Asked(role="", number=0, body=body).pictures}
        assert all(height * width <= 60_000 for height, width, _ in sizes)
        if name == "pixels":
            assert all(height % 28 == width % 28 == 0 for height, width, _ in sizes)


def test_a_model_that_counts_in_another_frame_points_at_no_target(tmp_path: Path) -> None:
    """As Qwen3-VL would under a profile written for Qwen2.5-VL: no sample is kept for the wrong thing."""

    def thousandths(asked: Asked, answer: Answer) -> Answer:
        height, width = asked.pictures[0].shape[:2]
        found = [box["bbox_2d"] for box in json.loads(answer.text)["boxes"]]
        sides = (1000 / width, 1000 / height) * 2
        scaled = [[round(c * side) for c, side in zip(box, sides, strict=True)] for box in found]
        return Answer(text=json.dumps({"boxes": [{"bbox_2d": box} for box in scaled]}))

    script = DrawnScript()
    script.instead["referrer"] = thousandths
    rows, edits, _ = built(tmp_path / "wrong", PIXELS, script)
    assert edits == 0
    assert set(rows) <= {"child:ambiguous_reference", "child:bad_reply"}
    assert sum(rows.values()) > 0
