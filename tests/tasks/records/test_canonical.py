"""Canonical JSON has one spelling, and a sealed object detects every change."""

from __future__ import annotations

import pytest

from tasks.records.canonical import canonical_json, digest_of, seal, unseal
from tasks.records.errors import DataFault


def test_the_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": [True, None, "ß"]}) == '{"a":[true,null,"ß"],"b":1}'.encode()
    assert digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})


def test_a_number_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


def test_what_was_sealed_comes_back_also_with_odd_file_names():
    assert unseal(seal({"path": "\udcff/ß"}), "x")["path"] == "\udcff/ß"


@pytest.mark.parametrize(
    "change", [(b"1", b"2"), (b":", b": "), (b"A", b"\\u0041"), (b"{", b"["), (b'"sha256":"', b'"sha256":"0')]
)
def test_every_other_spelling_is_a_fault_that_names_the_path(change: tuple[bytes, bytes]):
    data = seal({"A": 1, "list": [1]})
    assert unseal(data, "x")["A"] == 1
    with pytest.raises(DataFault, match="where/it/lies"):
        unseal(data.replace(*change, 1), "where/it/lies")
