"""Settings take exact types only, and tell every fault with its key, its value and what is allowed."""

import argparse
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from intercog_model.errors import ConfigurationError
from intercog_model.settings import Count, Seed, Settings, Share, Weight, check_options, read_settings


class Part(Settings):
    count: Count = 1
    weight: Weight = 1.0
    share: Share = 0.0
    seed: Seed = 0
    word: Literal["a", "b"] = "a"


class Whole(Settings):
    first: Part = Part()
    parts: Annotated[tuple[Part, ...], Field(strict=False)] = ()


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1])
def test_every_seed_that_a_generator_takes_is_kept_to_the_last_digit(seed):
    assert read_settings(Whole, {"first": {"seed": seed}}).first.seed == seed


def test_a_whole_number_is_a_number_and_a_list_a_tuple():
    whole = read_settings(Whole, {"first": {"weight": 2}, "parts": [{}, {"count": 3}]})
    assert whole == Whole(first=Part(weight=2.0), parts=(Part(), Part(count=3)))


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({"first": {"count": 1.0}}, "first.count: 1.0, should be a valid integer"),
        ({"first": {"count": True}}, "first.count: True, should be a valid integer"),
        ({"first": {"count": 0}}, "first.count: 0, should be greater than or equal to 1"),
        ({"first": {"weight": False}}, "first.weight: False, should be a valid number"),
        ({"first": {"weight": float("inf")}}, "first.weight: inf, should be a finite number"),
        ({"first": {"share": float("nan")}}, "first.share: nan, should be a finite number"),
        ({"first": {"seed": 2**63}}, f"first.seed: {2**63}, should be less than or equal to {2**63 - 1}"),
        ({"first": {"word": "c"}}, "first.word: 'c', should be 'a' or 'b'"),
        ({"first": 5}, "first: 5, should be a table"),
        ({"parts": {}}, "parts: {}, should be a list"),
        ({"parts": [{}, 5]}, "parts[1]: 5, should be a table"),
        (
            {"parts": [{"size": 1}]},
            "parts[0].size: unknown key, allowed are count, weight, share, seed, word",
        ),
        ({"a\nb": 1}, "'a\\nb': unknown key, allowed are first, parts"),
        ({"last": {}}, "last: unknown key, allowed are first, parts"),
        (
            {"first": {"count": -1, "word": "c"}},
            "first.count: -1, should be greater than or equal to 1; first.word: 'c', should be 'a' or 'b'",
        ),
    ],
)
def test_a_fault_is_told_with_key_value_and_what_is_allowed(tree, told):
    with pytest.raises(ConfigurationError) as refused:
        read_settings(Whole, tree)
    assert str(refused.value) == told


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Part().count = 2


def test_options_are_told_as_they_are_written():
    class Options(Settings):
        warm_steps: Count | None
        seed: Seed

    check_options(Options, argparse.Namespace(warm_steps=None, seed=1, other="x"))
    with pytest.raises(ConfigurationError) as refused:
        check_options(Options, argparse.Namespace(warm_steps=0, seed=2**63))
    assert str(refused.value) == (
        "--warm-steps 0: should be greater than or equal to 1; "
        f"--seed {2**63}: should be less than or equal to {2**63 - 1}"
    )
