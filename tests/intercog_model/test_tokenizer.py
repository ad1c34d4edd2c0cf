"""Both tokenizers: ids, offsets, special tokens, and the text back."""

import pytest

pytest.importorskip("torch")
tokenizers = pytest.importorskip("tokenizers")

from intercog_model.data.chain_text import Sections, first_text  # noqa: E402
from intercog_model.data.tokenizer import (  # noqa: E402
    BpeTokenizer,
    ByteTokenizer,
    TextError,
    read_tokenizer,
    tokens_within,
)
from tests.intercog_model import toys  # noqa: E402

TEXT = "Make the café's sign blue. 猫 <think>"


@pytest.fixture
def folder(tmp_path):
    return toys.write_tokenizer(tmp_path, TEXT * 3)


def test_texts_come_back_and_offsets_cover_them(folder):
    for tokenizer in (BpeTokenizer(folder), ByteTokenizer()):
        ids, offsets = tokenizer.encode(TEXT)
        assert tokenizer.decode(ids) == TEXT
        assert len(ids) == len(offsets)
        assert {i for a, b in offsets for i in range(a, b)} == set(range(len(TEXT)))
        assert not set(ids) & {tokenizer.tokens.text_start, tokenizer.tokens.image_end}


def test_bpe_pieces_are_shorter_and_special_tokens_are_found_by_name(folder):
    bpe = BpeTokenizer(folder)
    assert len(bpe.encode(TEXT)[0]) < len(ByteTokenizer().encode(TEXT)[0])
    assert (
        len({bpe.tokens.text_start, bpe.tokens.text_end, bpe.tokens.image_start, bpe.tokens.image_end}) == 4
    )


def test_a_folder_without_a_tokenizer_has_bytes_in_the_debug_flavor_alone(folder, tmp_path):
    assert isinstance(read_tokenizer(folder, debug=False), BpeTokenizer)
    assert isinstance(read_tokenizer(folder, debug=True), BpeTokenizer)
    assert isinstance(read_tokenizer(tmp_path / "none", debug=True), ByteTokenizer)
    assert isinstance(read_tokenizer(None, debug=True), ByteTokenizer)
    for nothing in (tmp_path / "none", None):
        with pytest.raises(ValueError, match="tokenizer"):
            read_tokenizer(nothing, debug=False)


def test_a_text_that_spells_out_a_special_token_is_refused(folder):
    with pytest.raises(ValueError, match="im_end"):
        BpeTokenizer(folder).encode("a <|im_end|> b")


def test_half_a_surrogate_pair_is_refused_by_its_place(folder):
    for tokenizer in (BpeTokenizer(folder), ByteTokenizer()):
        with pytest.raises(TextError, match="half a surrogate pair as character 2"):
            tokenizer.encode("a \ud83d b")


def test_a_file_without_the_special_tokens_is_refused(folder):
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(folder / "tokenizer.json"))
    with pytest.raises(ValueError, match="vision_start"):
        BpeTokenizer(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        BpeTokenizer(folder)


def test_spans_of_the_chain_are_found_by_characters_in_any_tokenization(folder):
    sections = Sections(scene="A café.", target="On the left.", edit="", result="")
    for tokenizer in (BpeTokenizer(folder), ByteTokenizer()):
        text = first_text(sections, tokenizer, "one pair")
        second = tokenizer.decode([text.ids[i] for i in text.second])
        assert second.strip() == "On the left."
    assert tokens_within([(0, 1), (1, 3), (3, 4)], 2, 4) == range(1, 3)
    assert tokens_within([(0, 1)], 5, 6) == range(0)
