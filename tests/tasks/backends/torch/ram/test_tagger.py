"""The taggers: several pictures per forward, thresholds and lists, and what goes wrong with weights and numbers.

The contract of their role is tested with all others (`tests.tasks.backends.contract`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

torch = pytest.importorskip("torch")

from tasks.backends.torch.ram.tagger import (  # noqa: E402
    RamOptions,
    RamPlusOptions,
    RamPlusTagger,
    RamTagger,
    squash,
)
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.records.errors import ConfigurationError, ModelUnavailable, OutOfMemory, Reason, SampleError  # noqa: E402
from tasks.records.settings_base import RoleSettings  # noqa: E402
from tasks.roles.answer_keys import answer_key  # noqa: E402
from tasks.roles.backends import choose  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tasks.roles.questions import TagQuestion  # noqa: E402
from tasks.roles.replicas import answer_batch  # noqa: E402
from tests.tasks.backends.torch.ram.tiny_ram import TINY, TINY_RAM, random_tensors, write_model  # noqa: E402

ALL_TAGS = {"threshold_scale": 0.001}
"""Tags of any probability, in so far as they name an object."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tagger(tmp_path: Path) -> Callable[..., RamPlusTagger]:
    def make(**options: Any) -> RamPlusTagger:
        return RamPlusTagger(RamPlusOptions(**{**write_model(tmp_path / "model"), **options}))

    return make


def picture(seed: int, height: int = 40, width: int = 56) -> Picture:
    """Some blocks of color; squares of it differ as photographs do."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Picture.of_pixels(np.asarray(PillowImage.fromarray(blocks).resize((width, height)), np.uint8))


def question(seed: int, **size: int) -> TagQuestion:
    return TagQuestion(subject=f"picture {seed}", picture=picture(seed, **size))


def test_a_batch_gives_what_single_questions_give_in_one_forward(
    tagger: Callable[..., RamPlusTagger], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tagger(**ALL_TAGS)
    sizes = []
    forward = made._network.forward
    monkeypatch.setattr(made._network, "forward", lambda pixels: sizes.append(len(pixels)) or forward(pixels))
    questions = [question(seed, width=30 + seed) for seed in range(5)]
    together = made.answer(questions)
    alone = [made.answer([each])[0] for each in questions]
    assert sizes == [5, 1, 1, 1, 1, 1]
    for batched, single in zip(together, alone, strict=True):
        assert [tag.name for tag in batched] == [tag.name for tag in single]
        assert [tag.score for tag in batched] == pytest.approx([tag.score for tag in single], abs=1e-4)
    assert len({tuple(tag.score for tag in tags) for tags in alone}) == 5


def test_tags_are_the_objects_above_their_thresholds_best_first(
    tagger: Callable[..., RamPlusTagger], tmp_path: Path
) -> None:
    (everything,) = tagger(**ALL_TAGS).answer([question(0)])
    assert {tag.name for tag in everything} == {"car", "dog", "person", "umbrella"}, (
        "green and sit are no objects"
    )
    assert [tag.score for tag in everything] == sorted((tag.score for tag in everything), reverse=True)
    best, second, *_ = everything
    names = Path(write_model(tmp_path)["tags"]).read_text().split()
    # Exactly at a threshold no tag is given; the second one is well below its own.
    limits = {best.name: best.score - 1e-3, second.name: second.score + 1e-3}
    (tmp_path / "limits.txt").write_text("\n".join(str(limits.get(name, 1.0)) for name in names))
    assert tagger(thresholds=str(tmp_path / "limits.txt")).answer([question(0)]) == [(best,)]
    assert tagger(**ALL_TAGS, max_tags=2).answer([question(0)]) == [(best, second)]


def test_a_published_threshold_of_one_stays_off_whatever_the_scale(
    tagger: Callable[..., RamPlusTagger], tmp_path: Path
) -> None:
    (tmp_path / "limits.txt").write_text("1.0\n0.5\n0.5\n1\n0.5\n0.5")
    (tags,) = tagger(**ALL_TAGS, thresholds=str(tmp_path / "limits.txt")).answer([question(0)])
    assert {tag.name for tag in tags} == {"dog", "umbrella"}


def test_a_list_of_ones_own_says_what_is_no_object(
    tagger: Callable[..., RamPlusTagger], tmp_path: Path
) -> None:
    (tmp_path / "kinds.yaml").write_text("animals: [dog]\n")
    (tags,) = tagger(**ALL_TAGS, not_objects=str(tmp_path / "kinds.yaml")).answer([question(0)])
    assert {tag.name for tag in tags} == {"car", "green", "person", "sit", "umbrella"}


def test_pictures_are_squashed_and_not_cropped() -> None:
    image = picture(0, height=20, width=60).rgb
    expected = PillowImage.fromarray(image).resize((32, 32), PillowImage.Resampling.BILINEAR)
    assert np.array_equal(squash(image, 32), np.asarray(expected))
    assert np.array_equal(squash(np.full((9, 300, 3), 7, np.uint8), 32), np.full((32, 32, 3), 7))


def test_ram_is_answered_by_its_own_class(tmp_path: Path) -> None:
    extra = {"text_decoder.bert.weight": torch.ones(2), "tag_encoder.layer.weight": torch.ones(2)}
    options = write_model(tmp_path, TINY_RAM, {**random_tensors(TINY_RAM), **extra})
    made = RamTagger(RamOptions(**options, **ALL_TAGS))
    (tags,) = made.answer([question(0)])
    assert len(tags) == 4
    assert RamTagger.identity_of(made._options).model == "RAM (ram.pth)"
    with pytest.raises(ModelUnavailable, match=r"unexpected text_decoder\.bert\.weight"):
        RamTagger(RamOptions(**options, unused=("tag_encoder.",)))


def test_what_the_lists_say_is_part_of_the_key_and_where_they_lie_is_not(tmp_path: Path) -> None:
    options = write_model(tmp_path / "model")
    asked = question(0)

    def key(**changed: Any) -> tuple[str, str]:
        choice = choose("tagger", RoleSettings(backend="ram-plus", options={**options, **changed}), "tagger")
        return answer_key(choice, None, asked), repr(choice.material())

    before = key()
    other = {name: tmp_path / name for name in ("tags", "thresholds")}
    for name, path in other.items():
        path.write_bytes(Path(options[name]).read_bytes())
        assert key(**{name: str(path)}) == before, "a copy is the same list"
    other["tags"].write_text("bus\ndog\ngreen\nperson\nsit\numbrella")
    other["thresholds"].write_text("0.5\n0.5\n0.5\n0.5\n0.5\n0.4")
    (tmp_path / "kinds.yaml").write_text("verbs: [sit]")
    changes: list[dict[str, Any]] = [{name: str(path)} for name, path in other.items()]
    changes += [{"not_objects": str(tmp_path / "kinds.yaml")}, {"threshold_scale": 0.9}, {"max_tags": 3}]
    keys = [key(**change) for change in changes]
    assert len({before[0], *(each for each, _ in keys)}) == 6
    assert len({before[1], *(each for _, each in keys)}) == 6
    assert key(threads=1, device="cuda:3") == before


def test_a_picture_that_cannot_be_opened_leaves_its_neighbors_alone(
    tagger: Callable[..., RamPlusTagger],
) -> None:
    def damaged() -> Any:
        raise SampleError(Reason.SOURCE_CHANGED, "another digest")

    made = tagger(**ALL_TAGS)
    bad = replace(question(1), picture=Picture.of_blob("0" * 64, damaged))
    first, error, second = made.answer([question(0), bad, question(2)])
    assert [first, second] == made.answer([question(0), question(2)])
    assert isinstance(error, SampleError)
    assert error.__traceback__ is None
    assert error.reason is Reason.SOURCE_CHANGED
    assert isinstance(pickle.loads(pickle.dumps(made.answer([bad])[0])), SampleError)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_end_the_question_and_not_its_neighbors(
    tagger: Callable[..., RamPlusTagger], monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    made = tagger(**ALL_TAGS)
    forward = made._network.forward

    def broken(pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = forward(pixels)
        logits[1, 4] = value
        return logits

    monkeypatch.setattr(made._network, "forward", broken)
    first, error, third = made.answer([question(0), question(1), question(2)])
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)
    assert isinstance(error, SampleError)
    assert (error.reason, error.detail) == (Reason.BACKEND_ERROR, "a tag's logit is not finite")


def test_memory_that_is_too_small_is_the_batchs_fault(
    tagger: Callable[..., RamPlusTagger], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tagger()

    def full(pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(made._network, "forward", full)
    with pytest.raises(OutOfMemory):
        answer_batch(made, [question(0), question(1)])


def test_weights_in_half_precision_give_nearly_the_same(tagger: Callable[..., RamPlusTagger]) -> None:
    (exact,) = tagger(**ALL_TAGS).answer([question(0)])
    (coarse,) = tagger(**ALL_TAGS, dtype="bfloat16").answer([question(0)])
    scores = {tag.name: tag.score for tag in exact}
    assert {tag.name: tag.score for tag in coarse} == pytest.approx(scores, abs=0.05)


class _Runs:
    """An object whose pickle runs code that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    options = write_model(tmp_path / "model")
    trap = tmp_path / "code was run"
    torch.save({"model": random_tensors(TINY), "optimizer": _Runs(trap)}, options["weights"])
    write_lock(Path(options["weights"]), "trap")
    with pytest.raises(ModelUnavailable, match="not a checkpoint of plain tensors"):
        RamPlusTagger(RamPlusOptions(**options))
    assert not trap.exists()


def test_weights_other_than_stated_or_of_another_form_are_no_model(tmp_path: Path) -> None:
    options = write_model(tmp_path / "model")
    with pytest.raises(ConfigurationError, match="contradicts"):
        RamPlusTagger(RamPlusOptions(**options, digest="0" * 64))
    tensors = random_tensors(TINY)
    del tensors["fc.bias"]
    with pytest.raises(ModelUnavailable, match=r"missing fc\.bias"):
        RamPlusTagger(RamPlusOptions(**write_model(tmp_path / "model", TINY, tensors)))
    Path(options["weights"]).write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable, match="stated is"):
        RamPlusTagger(RamPlusOptions(**options))


def test_lists_that_do_not_fit_the_weights_are_refused(tmp_path: Path) -> None:
    options = write_model(tmp_path / "model")
    for name, line in {"tags": "bus", "thresholds": "0.5"}.items():
        longer = Path(options[name]).read_text() + line
        options[name] = str(tmp_path / name)
        Path(options[name]).write_text(longer)
    with pytest.raises(ModelUnavailable, match=r"18 label embeddings are not .* for each of 7 tags"):
        RamPlusTagger(RamPlusOptions(**options))


@pytest.mark.parametrize(
    ("text", "said"), [("", "the file is empty"), ("0.5\n0.5", "2 thresholds for 6 tags")]
)
def test_a_thresholds_file_that_does_not_fit_is_refused_before_anything_loads(
    tmp_path: Path, text: str, said: str
) -> None:
    options = write_model(tmp_path / "model")
    (tmp_path / "limits.txt").write_text(text)
    with pytest.raises(ConfigurationError, match=f"tagger ram-plus: thresholds='.*': {said}"):
        RamPlusTagger.identity_of(RamPlusOptions(**{**options, "thresholds": str(tmp_path / "limits.txt")}))
