"""A kept answer's file returns what was stored in it, or reports that it was changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.records.canonical import seal, sha256_hex
from tasks.records.errors import DataFault
from tasks.storage.objects.unit_tar import pack
from tasks.storage.protocol.answer_files import (
    AnswerFile,
    AnswerName,
    Asked,
    Kind,
    answer_bytes,
    answer_from,
    answer_name,
    blob_refs,
)

SID = "ab" + "c" * 24
FILE = AnswerFile(
    sid=SID,
    role="edit_judge",
    key="0123456789abcdef" * 4,
    round=3,
    kind=Kind.ANSWER,
    asked=Asked(at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), run="vlm"),
    answer={"accuracy": 4.5},
    reply={"finish": "stop", "model": "m", "logprobs": {"5": "-inf"}},
    blobs={"reply.txt": b"five", "answer.png": b"\x89PNG"},
)


def test_a_file_comes_back_as_it_was_and_is_spelled_one_way():
    data = answer_bytes(FILE)
    assert answer_from(data, FILE.path) == FILE
    assert answer_bytes(replace(FILE, blobs=dict(reversed(FILE.blobs.items())))) == data


def test_the_path_says_photograph_role_key_and_round():
    assert FILE.path == f"answers/ab/{SID}/edit_judge-0123456789abcdef01234567.r3.tar"
    assert (
        answer_name(FILE.path)
        == FILE.name
        == AnswerName(sid=SID, role="edit_judge", key24="0123456789abcdef01234567", round=3)
    )


@pytest.mark.parametrize(
    "path",
    [
        "answers/zz/abc/tagger-0123456789abcdef01234567.r0.tar",
        "answers/ab/abc/tagger-0123456789abcdef01234567.r00.tar",
        "answers/ab/abc/tagger-0123456789abcdef.r0.tar",
        "answers/ab/abc/tagger-0123456789abcdef01234567.r0.tar#1",
        "aside/1/answers/ab/abc/tagger-0123456789abcdef01234567.r0.tar",
    ],
)
def test_other_paths_are_not_answers(path):
    assert answer_name(path) is None


def test_every_flipped_bit_is_found():
    data = answer_bytes(FILE)
    for position in range(
        0, 8 * len(data), 7
    ):  # 7 and 8 have no common divisor, so every bit of a byte is tested
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(DataFault, match=f"^{FILE.path}: "):
            answer_from(bytes(changed), FILE.path)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1000, 2048])
def test_a_file_that_was_cut_off_is_a_fault(length):
    with pytest.raises(DataFault, match=FILE.path):
        answer_from(answer_bytes(FILE)[:length], FILE.path)


def test_an_unknown_format_is_a_fault_that_names_path_and_format():
    data, _ = pack([("answer.json", seal({"format": 2}))])
    with pytest.raises(DataFault, match=rf"^{FILE.path}: unknown format 2 .* \(available: 1\)"):
        answer_from(data, FILE.path)


def test_an_answer_under_another_path_is_a_fault():
    with pytest.raises(DataFault, match="holds the answer of"):
        answer_from(answer_bytes(FILE), FILE.path.replace(".r3.", ".r4."))


def test_blobs_are_referred_to_where_they_lie():
    data, refs = answer_bytes(FILE), blob_refs(FILE)
    assert refs.keys() == FILE.blobs.keys()
    for name, ref in refs.items():
        assert data[ref.offset : ref.offset + ref.length] == FILE.blobs[name]
        assert (ref.path, ref.sha256) == (FILE.path, sha256_hex(FILE.blobs[name]))
