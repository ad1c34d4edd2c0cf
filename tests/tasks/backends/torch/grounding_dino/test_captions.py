"""Names become captions: few names each, counted in the model's tokens, with the span of every name."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import AutoTokenizer

from tasks.backends.torch.grounding_dino.captions import write_captions
from tasks.records.errors import Reason, SampleError
from tests.tasks.backends.torch.tiny_perception import write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def encode(tokenizer):
    return lambda text: tokenizer.encode(text, add_special_tokens=False)


def test_its_tokens_are_those_of_its_text(tokenizer, encode) -> None:
    names = ["Cup", "traffic light", "wall-clock", "crème brûlée", "man's hat"]
    for separator in (".", ","):
        (caption,) = write_captions(names, encode, most_names=9, most_tokens=120, separator=separator)
        assert caption.text.count(separator) >= len(names) - 1
        assert list(caption.ids) == tokenizer.encode(caption.text)


def test_each_name_has_its_own_tokens_and_no_separator(tokenizer, encode) -> None:
    (caption,) = write_captions(["cup", "red car", "dog"], encode, most_names=9, most_tokens=64)
    assert caption.text == "cup. red car. dog."
    spans = [tokenizer.decode(caption.ids[first:end]) for first, end in caption.spans]
    assert spans == ["cup", "red car", "dog"]


def test_names_are_spread_by_number_and_by_tokens(encode) -> None:
    names = ["cup", "dog", "cat", "car", "bus"]
    by_number = write_captions(names, encode, most_names=2, most_tokens=64)
    assert [caption.names for caption in by_number] == [("cup", "dog"), ("cat", "car"), ("bus",)]
    # [CLS] a. b. c. [SEP] are 8 tokens.
    by_tokens = write_captions(names, encode, most_names=9, most_tokens=8)
    assert [caption.names for caption in by_tokens] == [("cup", "dog", "cat"), ("car", "bus")]
    assert [len(caption.ids) for caption in by_tokens] == [8, 6]


def test_no_caption_is_longer_than_allowed(encode) -> None:
    names = ["x" * length for length in range(1, 40)]
    for most in (43, 64, 250):
        captions = write_captions(names, encode, most_names=12, most_tokens=most)
        assert sum(len(caption.names) for caption in captions) == len(names)
        assert max(len(caption.ids) for caption in captions) <= most


def test_a_name_that_no_caption_holds_is_an_error_of_its_question(encode) -> None:
    with pytest.raises(SampleError, match="70 tokens") as caught:
        write_captions(["cup", "x" * 70], encode, most_names=9, most_tokens=64)
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_a_name_is_asked_once_and_signs_between_names_are_no_part_of_one(encode) -> None:
    names = ["St. Bernard", "cup", "CUP", " cup ", "?", "", "dog, wet"]
    (caption,) = write_captions(names, encode, most_names=9, most_tokens=64)
    assert caption.names == ("St. Bernard", "cup", "dog, wet")
    assert caption.text == "st bernard. cup. dog wet."


def test_without_names_there_is_no_caption(encode) -> None:
    assert write_captions([], encode, most_names=9, most_tokens=64) == ()
