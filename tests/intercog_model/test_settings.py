"""Settings take exact types only, and tell every fault with its key, its value and what is allowed."""

import argparse
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Literal

import pytest

from intercog_model.errors import ConfigurationError
from intercog_model.read_settings import check_options, read_settings
from intercog_model.settings import (
    Count,
    Identity,
    Leaf,
    Numerics,
    Operation,
    Seed,
    Settings,
    Share,
    Weight,
    leaves,
)
from intercog_model.training.config import TrainConfig

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Settings):
    count: Identity[Count] = 1
    weight: Identity[Weight] = 1.0
    share: Identity[Share] = 0.0
    seed: Identity[Seed] = 0
    word: Identity[Literal["a", "b"]] = "a"

    def __post_init__(self):
        if self.count == 7:
            raise ValueError("count: 7, should be luckier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Settings):
    first: Part = Part()
    parts: tuple[Part, ...] = ()


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
        ({"parts": [{}, {"count": 7}]}, "parts[1].count: 7, should be luckier"),
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
    with pytest.raises(FrozenInstanceError):
        Part().count = 2


def test_options_are_told_as_they_are_written():
    @dataclass(frozen=True)
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


def test_each_key_is_found_with_the_marks_on_the_way_to_it():
    @dataclass(frozen=True)
    class Marked(Settings):
        tables: tuple[Part, ...] = ()
        table: Operation[Part] = Part()
        both: Identity[Numerics[Count]] = 1
        neither: int = 0

    found = list(leaves(Marked))
    assert found[0] == Leaf("tables[].count", ("identity",))
    assert found[5] == Leaf("table.count", ("operation", "identity"))
    assert found[-2:] == [Leaf("both", ("numerics", "identity")), Leaf("neither", ())]


def test_every_key_of_a_training_configuration_has_one_mark():
    for leaf in leaves(TrainConfig):
        assert len(leaf.marks) == 1, (
            f"{leaf.path}: {leaf.marks}, should be one of Identity, Numerics, Operation"
        )


def test_the_network_and_its_training_import_neither_pydantic_nor_obstore():
    modules = ["packing.pack", "training.config", "training.objective", "training.measure", "inference.chain"]
    code = f"import sys\nfor name in {modules}: __import__('intercog_model.' + name)\n"
    code += (
        "import json; print(json.dumps([m for m in ('pydantic', 'obstore', 'tasks') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == []
