"""LaMa from a TorchScript file: who is loaded, what is called, and what becomes of a bad output.

The contract of its role is tested with all others (`tests.tasks.backends.contract`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.lama.inpainter import LamaInpainter, LamaOptions  # noqa: E402
from tasks.records.errors import (  # noqa: E402
    ConfigurationError,
    ModelUnavailable,
    OutOfMemory,
    Reason,
    SampleError,
)
from tasks.records.settings_base import RoleSettings  # noqa: E402
from tasks.roles.backends import choose  # noqa: E402
from tasks.roles.offers import offer_of  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tasks.roles.questions import InpaintQuestion  # noqa: E402
from tasks.roles.replicas import answer_batch  # noqa: E402
from tests.tasks.backends.torch.tiny_lama import write_tiny_lama  # noqa: E402
from tests.tasks.roles.role_questions import grain, inpaint_questions  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


def _options(path: Path, **changes: Any) -> LamaOptions:
    return LamaOptions(**{"weights": str(path), "device": "cpu", **changes})


def _question(height: int, width: int, seed: int = 1) -> InpaintQuestion:
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 2, width // 4 : width // 2] = True
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return InpaintQuestion(subject=f"{height} x {width}", picture=Picture.of_pixels(image), hole=hole)


def _close(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((np.abs(first.astype(int) - second.astype(int)) <= 1).all())


def test_a_window_of_any_size_is_filled_with_what_the_network_draws(tmp_path: Path) -> None:
    path = write_tiny_lama(tmp_path / "big-lama.pt")
    question = _question(61, 90)
    (answer,) = LamaInpainter(_options(path)).answer([question])
    image, hole = question.picture.rgb, question.hole
    assert np.array_equal(answer[~hole], image[~hole])
    padded = np.pad(image, ((0, 3), (0, 6), (0, 0)), mode="reflect")
    holes = np.pad(hole, ((0, 3), (0, 6)), mode="reflect")
    with torch.no_grad():
        drawn = torch.jit.load(str(path))(
            torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255,
            torch.from_numpy(holes)[None, None].float(),
        )
    expected = (drawn[0].permute(1, 2, 0).numpy()[:61, :90] * 255).round()
    assert _close(answer[hole], expected[hole])


def test_windows_of_one_padded_size_are_filled_in_one_pass_as_each_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lama = LamaInpainter(_options(write_tiny_lama(tmp_path / "big-lama.pt")))
    questions = [_question(64, 88, 1), _question(40, 40, 2), _question(61, 81, 3), _question(64, 88, 4)]
    alone = [lama.answer([question])[0] for question in questions]
    sizes: list[tuple[int, ...]] = []
    forward = LamaInpainter._forward

    def counted(self: LamaInpainter, image: Any, hole: Any) -> Any:
        sizes.append(tuple(image.shape))
        return forward(self, image, hole)

    monkeypatch.setattr(LamaInpainter, "_forward", counted)
    together = lama.answer(questions)
    assert sorted(sizes) == [(1, 3, 40, 40), (3, 3, 64, 88)]
    assert all(_close(a, b) for a, b in zip(alone, together, strict=True))


def test_a_file_that_was_traced_for_one_window_gets_one_at_a_time(tmp_path: Path) -> None:
    questions = [_question(64, 64, seed) for seed in (1, 2)]
    plain, single = (
        LamaInpainter(_options(write_tiny_lama(tmp_path / name, fault=fault))).answer(questions)
        for name, fault in (("a.pt", ""), ("b.pt", "one window"))
    )
    assert all(_close(a, b) for a, b in zip(plain, single, strict=True))


def test_a_window_without_a_hole_is_returned_and_the_network_not_asked(tmp_path: Path) -> None:
    lama = LamaInpainter(_options(write_tiny_lama(tmp_path / "big-lama.pt")))
    question = _question(30, 30)
    (answer,) = lama.answer([replace(question, hole=np.zeros((30, 30), bool))])
    assert np.array_equal(answer, question.picture.rgb)


def test_what_is_no_number_is_an_error_of_its_own_window_alone(tmp_path: Path) -> None:
    lama = LamaInpainter(_options(write_tiny_lama(tmp_path / "big-lama.pt", fault="nan")))
    good = inpaint_questions()[1]
    black = replace(good, picture=Picture.of_pixels(np.zeros((90, 120, 3), np.uint8)))
    first, failed, last = lama.answer([good, black, replace(good, picture=Picture.of_pixels(grain(9)))])
    assert isinstance(failed, SampleError)
    assert (failed.reason, failed.detail) == (Reason.BACKEND_ERROR, "the filling is not finite")
    assert failed.__traceback__ is None
    assert _close(first, lama.answer([good])[0])
    assert isinstance(last, np.ndarray)


def test_an_output_of_another_size_is_an_error(tmp_path: Path) -> None:
    lama = LamaInpainter(_options(write_tiny_lama(tmp_path / "big-lama.pt", fault="size")))
    (failed,) = lama.answer([_question(64, 64)])
    assert isinstance(failed, SampleError)
    assert failed.detail == "the filling has shape (3, 56, 64), expected (3, 64, 64)"


def test_too_little_memory_for_a_batch_reaches_the_pool_which_asks_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lama = LamaInpainter(_options(write_tiny_lama(tmp_path / "big-lama.pt")))
    forward = LamaInpainter._forward

    def small(self: LamaInpainter, image: Any, hole: Any) -> Any:
        if len(image) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, image, hole)

    monkeypatch.setattr(LamaInpainter, "_forward", small)
    questions = [_question(64, 64, seed) for seed in (1, 2)]
    with pytest.raises(OutOfMemory):
        answer_batch(lama, questions)
    assert all(isinstance(answer_batch(lama, [question])[0], np.ndarray) for question in questions)


def test_a_file_is_opened_only_if_a_digest_is_stated_and_it_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = write_tiny_lama(tmp_path / "big-lama.pt", lock=False)
    with pytest.raises(
        ConfigurationError, match=r"inpainter lama: no digest is stated .*big-lama\.pt\.lock\.json"
    ):
        LamaInpainter(_options(path))
    with pytest.raises(ModelUnavailable, match=f"stated is {'0' * 64}"):
        LamaInpainter(_options(path, digest="0" * 64))
    write_tiny_lama(path)
    assert LamaInpainter(_options(path)).identity_of(_options(path)).revision == "1, weights random"
    write_tiny_lama(path, seed=1, lock=False)
    with pytest.raises(ModelUnavailable, match="stated is"):
        LamaInpainter(_options(path))


def test_another_file_than_a_torchscript_archive_is_no_model(tmp_path: Path) -> None:
    from tasks.backends.weights import write_lock  # noqa: PLC0415

    whole = write_tiny_lama(tmp_path / "big-lama.pt").read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[: len(whole) // 2])
    write_lock(path, "damaged")
    with pytest.raises(ModelUnavailable, match=r"cut\.pt: not a TorchScript file: "):
        LamaInpainter(_options(path))
    other = tmp_path / "other.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.rand(1, 3, 8, 8)), str(other))
    write_lock(other, "another network")
    with pytest.raises(ModelUnavailable, match="not called as LaMa is"):
        LamaInpainter(_options(other))


def test_it_runs_in_float32_only() -> None:
    settings = RoleSettings(backend="lama", options={"dtype": "bfloat16"})
    with pytest.raises(ConfigurationError, match=r"inpainter\.options\.dtype"):
        choose("inpainter", settings, "inpainter")


def test_another_seed_gives_the_same_filling_so_its_offer_says_not_to_try_one(tmp_path: Path) -> None:
    settings = RoleSettings(backend="lama", options={"weights": "nowhere/big-lama.pt", "digest": "0" * 64})
    offer = offer_of(choose("inpainter", settings, "inpainter"))
    assert (offer.by_seed, offer.effects) == (False, False)
