"""Every backend of the table, made for the contract test, with questions it answers and questions it cannot."""

from __future__ import annotations

import os
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
from tests.tasks.backends.contract.image_makers import image_editor, image_inpainter
from tests.tasks.backends.contract.served_makers import MODEL, served
from tests.tasks.roles import role_questions as ask
from tests.tasks.roles.contract import Bad, Subject
from tests.torchvision_stub import torchvision_for_import

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
    return local("detector", "fused", questions, _closed(questions[0]))


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
        _bad(ask.instruct_question((1,), EditType.ACTION, "fall over"), Reason.BACKEND_ERROR),
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
    from intercog_model.saving import Weights, save_folder  # noqa: PLC0415
    from intercog_model.training.build import random_debug_models  # noqa: PLC0415
    from tasks.backends.weights import write_lock  # noqa: PLC0415

    torch.manual_seed(0)
    bagel, vae = random_debug_models()
    torch.nn.init.normal_(bagel.llm2vae.weight, std=0.1)  # at zero no question would change the picture
    save_folder(Weights.of(bagel.state_dict()), bagel.config, vae, folder / "tiny")
    (folder / "tiny" / "intercog.json").write_text('{"flavor": "debug"}', encoding="utf-8")
    write_lock(folder / "tiny", "random")
    options = {"weights": str(folder / "tiny"), "device": "cpu", "dtype": "float32", "points": 3}
    first, second, *_ = ask.edit_questions()
    questions = (first, replace(second, similar=1))
    return local("editor", "bagel", questions, *_editor_bads(), options=options)


def _sam3(role: str) -> Maker:
    """A tiny random model in place of the published one."""

    def make(folder: Path) -> Subject:
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
        from tests.tasks.backends.torch.tiny_sam3 import tiny_sam3  # noqa: PLC0415

        options: dict[str, Any] = {"weights": str(tiny_sam3(folder / "sam3")), "device": "cpu"}
        if role == "segmenter":
            questions: tuple[Question, ...] = ask.segment_questions()
            return local(role, "sam3", questions, _closed(questions[0]), options=options)
        questions = ask.detect_questions()
        nameless = _bad(replace(ask.detect_questions()[0], names=("cup", " ")), Reason.BACKEND_ERROR)
        options["low_score"] = 0.01
        return local(role, "sam3", questions, _closed(questions[0]), nameless, options=options)

    return make


def _grounding_dino(folder: Path) -> Subject:
    pytest.importorskip("transformers")
    from tests.tasks.backends.torch.tiny_perception import tiny_grounding_dino  # noqa: PLC0415

    questions = ask.detect_questions()
    too_long = replace(questions[0], names=("cup", "x" * 90))
    options = {"weights": str(tiny_grounding_dino(folder / "tiny")), "device": "cpu"}
    bad = (_closed(questions[0]), _bad(too_long, Reason.BACKEND_ERROR))
    return local("detector", "grounding-dino", questions, *bad, options=options)


def _groundingdino_py(folder: Path) -> Subject:
    """Only in an environment of its own: its slow test writes the files and runs this case there."""
    root = os.environ.get("GROUNDEDIT_TEST_GROUNDINGDINO")
    if root is None:
        pytest.skip(
            "runs in deploy/requirements/groundingdino.txt's environment (its test_packaged.py, slow)"
        )
    options: dict[str, Any] = {
        "weights": f"{root}/groundingdino_tiny.pth",
        "text_encoder": f"{root}/bert",
        "device": "cpu",
    }
    options |= {"short_side_px": 256, "long_side_px": 400}
    questions = ask.detect_questions()
    too_long = replace(questions[0], names=("cup", "x" * 90))
    bad = (_closed(questions[0]), _bad(too_long, Reason.BACKEND_ERROR))
    return local("detector", "groundingdino-py", questions, *bad, options=options)


def _sam(folder: Path) -> Subject:
    pytest.importorskip("transformers")
    from tests.tasks.backends.torch.tiny_perception import tiny_sam  # noqa: PLC0415

    questions = ask.segment_questions()
    options = {"weights": str(tiny_sam(folder / "tiny")), "device": "cpu"}
    return local("segmenter", "sam", questions, _closed(questions[0]), options=options)


def _segment_anything(folder: Path) -> Subject:
    pytest.importorskip("transformers")
    with torchvision_for_import():
        pytest.importorskip("segment_anything")
    from tests.tasks.backends.torch.sam.converted import packaged_file  # noqa: PLC0415
    from tests.tasks.backends.torch.tiny_perception import tiny_sam  # noqa: PLC0415

    path = packaged_file(tiny_sam(folder / "tiny"), folder / "sam_vit_tiny.pth")
    questions = ask.segment_questions()
    options = {"weights": str(path), "device": "cpu"}
    return local("segmenter", "segment-anything", questions, _closed(questions[0]), options=options)


def _inpainter(name: str) -> Maker:
    def make(folder: Path) -> Subject:
        questions = ask.inpaint_questions()[: 2 if name == "migan" else 3]
        bad = [_closed(questions[0])]
        if name != "migan":  # a network fills anything
            whole = ask.inpaint_question(Picture.of_pixels(ask.grain(1)), ~ask.block(0, 0, 120, 2))
            bad.append(_bad(whole, Reason.REGION_TOO_LARGE))
        return local("inpainter", name, questions, *bad)

    return make


def _lama(folder: Path, name: str) -> Subject:
    """A tiny random network in place of the published one; black windows make it give what is no number."""
    pytest.importorskip("torch")
    from tests.tasks.backends.torch.tiny_lama import write_tiny_lama  # noqa: PLC0415

    path = write_tiny_lama(folder / "big-lama.pt", fault="nan")
    questions = ask.inpaint_questions()
    black = Picture.of_pixels(np.zeros((90, 120, 3), np.uint8))
    bad = (_closed(questions[0]), _bad(replace(questions[0], picture=black), Reason.BACKEND_ERROR))
    options = {"weights": str(path), "device": "cpu", "max_side_px": 96}
    return local("inpainter", name, questions, *bad, options=options)


def _own_lama(folder: Path) -> Subject:
    return _lama(folder, "lama")


def _simple_lama(folder: Path) -> Subject:
    """Its package is in no shared environment; `tests.tasks.backends.torch.lama.test_simple` makes one."""
    pytest.importorskip("simple_lama_inpainting")
    return _lama(folder, "simple-lama")


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
    ("detector", "fused"): _detector,
    ("detector", "grounding-dino"): _grounding_dino,
    ("detector", "groundingdino-py"): _groundingdino_py,
    ("segmenter", "sam"): _sam,
    ("segmenter", "sam2-tiny"): _segmenter,
    ("detector", "sam3"): _sam3("detector"),
    ("segmenter", "sam3"): _sam3("segmenter"),
    ("segmenter", "segment-anything"): _segment_anything,
    ("target_judge", "rules"): _target_judge,
    ("instructor", "scene-facts"): _instructor,
    ("rewriter", "paraphrase"): _rewriter,
    ("referrer", "grammar"): _referrer,
    ("editor", "classical"): _classical,
    ("editor", "bagel"): _bagel,
    ("inpainter", "patchmatch"): _inpainter("patchmatch"),
    ("inpainter", "migan"): _inpainter("migan"),
    ("inpainter", "best-of-two"): _inpainter("best-of-two"),
    ("inpainter", "lama"): _own_lama,
    ("inpainter", "simple-lama"): _simple_lama,
    ("inpainter", "image-edits"): image_inpainter,
    ("editor", "image-edits"): image_editor,
    ("edit_judge", "rules"): _edit_judge,
    ("edit_judge", "yes-no"): served("edit_judge", "yes-no"),
    **{(role, "chat"): served(role) for role, names in BACKENDS.items() if "chat" in names},
}
"""(role, backend) -> how it is made; the folder is for files the backend needs."""

RAM_LISTS = {
    name: str(Path(__file__).parents[3] / "data" / "ram" / f"{name}.txt") for name in ("tags", "thresholds")
}

WITHOUT_MODEL: dict[tuple[str, str], dict[str, Any]] = {
    ("detector", "sam3"): {"weights": "nowhere/sam3", "digest": "0" * 64},
    ("segmenter", "sam3"): {"weights": "nowhere/sam3", "digest": "0" * 64},
    **{
        ("tagger", name): {"weights": "nowhere/ram.pth", "digest": "0" * 64, **RAM_LISTS}
        for name in ("ram", "ram-plus")
    },
    ("editor", "bagel"): {"weights": "nowhere/BAGEL-7B-MoT", "digest": "0" * 64},
    ("inpainter", "lama"): {"weights": "nowhere/big-lama.pt", "digest": "0" * 64},
    ("inpainter", "simple-lama"): {"weights": "nowhere/big-lama.pt", "digest": "0" * 64},
    ("detector", "grounding-dino"): {"weights": "nowhere/grounding-dino-tiny", "digest": "0" * 64},
    ("detector", "groundingdino-py"): {"weights": "nowhere/groundingdino_swint_ogc.pth", "digest": "0" * 64},
    ("segmenter", "sam"): {"weights": "nowhere/sam-vit-huge", "digest": "0" * 64},
    ("segmenter", "segment-anything"): {"weights": "nowhere/sam_vit_h_4b8939.pth", "digest": "0" * 64},
}
"""Options with which a backend is named although its model is not there; the others need none."""
