"""Every backend of the table, made for the contract test, with questions it answers and questions it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.records.errors import Reason
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings
from tasks.roles.backend import LocalBackend
from tasks.roles.backends import BACKENDS, BackendChoice, choose
from tasks.roles.picture import Picture
from tasks.roles.questions import Question
from tests.tasks.backends.contract.served_makers import MODEL, served
from tests.tasks.roles import role_questions as ask
from tests.tasks.roles.contract import Bad, Subject

Maker = Callable[[Path], Subject]


def choice_of(role: str, name: str, options: dict[str, Any] | None = None) -> BackendChoice:
    """The backend with these options, not loaded; a served one with a server's model."""
    return choose(role, RoleSettings(backend=name, options=options or {}), role, MODEL)


def local(
    role: str, name: str, questions: tuple[Question, ...], *bad: Bad, options: dict[str, Any] | None = None
) -> Subject:
    """A local backend, loaded."""
    choice = choice_of(role, name, options)
    backend = choice.load()
    assert isinstance(backend, LocalBackend)
    return Subject(choice=choice, ask=backend.answer, questions=questions, bad=bad)


def _bad(question: Question, reason: Reason | None) -> Bad:
    return Bad(question=question, reason=reason)


def _closed(question: Any) -> Bad:
    """The same question about a picture that cannot be opened."""
    return _bad(replace(question, picture=ask.damaged()), Reason.SOURCE_CHANGED)


def _tagger(folder: Path) -> Subject:
    questions = ask.tag_questions()
    return local("tagger", "efficientnet-lite3", questions, _closed(questions[0]))


def _ram(name: str) -> Maker:
    """A tiny random model; thresholds are low, so that there are tags at all."""

    def make(folder: Path) -> Subject:
        pytest.importorskip("torch")
        from tests.tasks.backends.torch.ram.tiny_ram import TINY, TINY_RAM, write_model  # noqa: PLC0415

        questions = ask.tag_questions()
        options = write_model(folder, TINY if name == "ram-plus" else TINY_RAM) | {"threshold_scale": 0.01}
        return local("tagger", name, questions, _closed(questions[0]), options=options)

    return make


def _detector(folder: Path) -> Subject:
    questions = ask.detect_questions()
    return local("detector", "coco-pair", questions, _closed(questions[0]))


def _segmenter(folder: Path) -> Subject:
    questions = ask.segment_questions()
    return local("segmenter", "sam2-tiny", questions, _closed(questions[0]))


def _target_judge(folder: Path) -> Subject:
    questions = ask.target_questions()
    empty = replace(questions[0], mask=np.zeros_like(questions[0].mask))
    return local("target_judge", "rules", questions, _closed(questions[0]), _bad(empty, None))


def _instructor(folder: Path) -> Subject:
    return local(
        "instructor",
        "scene-facts",
        ask.instruct_questions(),
        _bad(ask.instruct_question((0, 2)), Reason.NO_UNIQUE_REFERENCE),
        _bad(ask.instruct_question((1,), EditType.REPLACE, "plate"), Reason.BACKEND_ERROR),
    )


def _rewriter(folder: Path) -> Subject:
    questions = ask.rewrite_questions()
    return local(
        "rewriter",
        "paraphrase",
        questions,
        _bad(replace(questions[0], instruction=" "), Reason.BACKEND_ERROR),
    )


def _referrer(folder: Path) -> Subject:
    nobody = ask.refer_question("Remove the zeppelin.")
    return local("referrer", "grammar", ask.refer_questions(), _bad(nobody, None))


def _editor_bads() -> tuple[Bad, ...]:
    nothing = np.zeros((90, 120), bool)
    return (
        _bad(ask.edit_question(mask=nothing), Reason.BACKEND_ERROR),
        _bad(ask.edit_question(EditType.REMOVE, "none"), Reason.BACKEND_ERROR),
        _closed(ask.edit_question()),
    )


def _classical(folder: Path) -> Subject:
    return local("editor", "classical", ask.edit_questions(), *_editor_bads())


def _bagel(folder: Path) -> Subject:
    """A tiny random model in place of the published one."""
    torch = pytest.importorskip("torch")
    from intercog_model.checkpoint import save_folder  # noqa: PLC0415
    from intercog_model.training.build import random_debug_models  # noqa: PLC0415
    from tasks.backends.torch.bagel_editor import WEIGHTS  # noqa: PLC0415
    from tasks.backends.weights import write_lock  # noqa: PLC0415

    torch.manual_seed(0)
    bagel, vae = random_debug_models()
    torch.nn.init.normal_(bagel.llm2vae.weight, std=0.1)  # at zero no question would change the picture
    save_folder(bagel.state_dict(), bagel.config, vae, folder / "tiny")
    (folder / "tiny" / "intercog.json").write_text('{"flavor": "debug"}', encoding="utf-8")
    write_lock(folder / "tiny", "random", WEIGHTS)
    options = {"weights": str(folder / "tiny"), "device": "cpu", "dtype": "float32", "points": 3}
    return local("editor", "bagel", ask.edit_questions()[:2], *_editor_bads(), options=options)


def _inpainter(name: str) -> Maker:
    def make(folder: Path) -> Subject:
        questions = ask.inpaint_questions()[: 2 if name == "migan" else 3]
        bad = [_closed(questions[0])]
        if name != "migan":  # a network fills anything
            whole = ask.inpaint_question(Picture.of_pixels(ask.grain(1)), ~ask.block(0, 0, 120, 2))
            bad.append(_bad(whole, Reason.REGION_TOO_LARGE))
        return local("inpainter", name, questions, *bad)

    return make


def _edit_judge(folder: Path) -> Subject:
    questions = (
        ask.judge_question(EditType.COLOR, asked_color_share=0.9, change_inside_delta_e=40, seam_share=0.01),
        ask.judge_question(EditType.REMOVE, found_after_score=0.3, new_object_score=0.0),
    )
    return local("edit_judge", "rules", questions, _bad(ask.judge_question(EditType.ADD), None))


MAKERS: dict[tuple[str, str], Maker] = {
    ("tagger", "efficientnet-lite3"): _tagger,
    ("tagger", "ram"): _ram("ram"),
    ("tagger", "ram-plus"): _ram("ram-plus"),
    ("detector", "coco-pair"): _detector,
    ("segmenter", "sam2-tiny"): _segmenter,
    ("target_judge", "rules"): _target_judge,
    ("instructor", "scene-facts"): _instructor,
    ("rewriter", "paraphrase"): _rewriter,
    ("referrer", "grammar"): _referrer,
    ("editor", "classical"): _classical,
    ("editor", "bagel"): _bagel,
    ("inpainter", "patchmatch"): _inpainter("patchmatch"),
    ("inpainter", "migan"): _inpainter("migan"),
    ("inpainter", "best-of-two"): _inpainter("best-of-two"),
    ("edit_judge", "rules"): _edit_judge,
    **{(role, "chat"): served(role) for role, names in BACKENDS.items() if "chat" in names},
}
"""(role, backend) -> how it is made; the folder is for files the backend needs."""

RAM_LISTS = {
    name: str(Path(__file__).parents[3] / "data" / "ram" / f"{name}.txt") for name in ("tags", "thresholds")
}

WITHOUT_MODEL: dict[tuple[str, str], dict[str, Any]] = {
    **{
        ("tagger", name): {"weights": "nowhere/ram.pth", "digest": "0" * 64, **RAM_LISTS}
        for name in ("ram", "ram-plus")
    },
    ("editor", "bagel"): {"weights": "nowhere/BAGEL-7B-MoT", "digest": "0" * 64},
}
"""Options with which a backend is named although its model is not there; the others need none."""
