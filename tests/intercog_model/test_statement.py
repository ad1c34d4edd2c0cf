"""A model folder states how its pictures are sized; BAGEL as published has its own side for the ViT."""

import json

import pytest

torch = pytest.importorskip("torch")

from intercog_model.config import released_config  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.inference.option_checks import check_vit_side  # noqa: E402
from intercog_model.inference.pipeline import load_pipeline  # noqa: E402
from intercog_model.packing.resize import (  # noqa: E402
    DEBUG_VAE_RULE,
    DEBUG_VIT_RULE,
    PUBLISHED_VIT_RULE,
    VIT_RULE,
    SizeRule,
)
from intercog_model.saving import Weights, save_folder  # noqa: E402
from intercog_model.statement import STATEMENT_FILE, Statement, read_statement  # noqa: E402
from tests.intercog_model import toys  # noqa: E402


def test_a_folder_without_a_statement_is_bagel_as_published_and_a_trained_one_says_518(tmp_path):
    assert read_statement(tmp_path).vit_rule == PUBLISHED_VIT_RULE
    assert Statement().vit_rule == VIT_RULE == toys.SequenceConfig().vit_rule
    assert VIT_RULE.max_side == 518
    (tmp_path / STATEMENT_FILE).write_text('{"flavor": "released", "of a later version": 1}')
    assert read_statement(tmp_path) == Statement()
    (tmp_path / STATEMENT_FILE).write_text('{"flavor": "debug"}')
    assert read_statement(tmp_path) == Statement(
        flavor="debug", vae_rule=DEBUG_VAE_RULE, vit_rule=DEBUG_VIT_RULE
    )


def test_pictures_are_sized_by_the_rules_of_the_folder(tmp_path):
    model, vae = toys.models()
    save_folder(Weights.of(model.bagel.state_dict()), model.bagel.config, vae, tmp_path)
    rule = SizeRule(max_side=42, min_side=14, stride=14)
    stated = Statement(flavor="debug", vae_rule=DEBUG_VAE_RULE, vit_rule=rule)
    (tmp_path / STATEMENT_FILE).write_text(stated.to_json())
    pipeline = load_pipeline(tmp_path, dtype=torch.float32)
    assert (pipeline.vae_rule, pipeline.vit_rule) == (DEBUG_VAE_RULE, rule)
    assert rule.with_side(28).size(100, 50) == (28, 14)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "Expecting value"),
        ("[1]", "is no object"),
        ('{"flavor": "huge"}', "flavor: 'huge'"),
        (json.dumps({"vit_rule": {"max_side": 0, "min_side": 1, "stride": 1}}), "vit_rule.max_side: 0"),
    ],
)
def test_a_file_that_is_no_statement_is_named_in_one_line(text, told, tmp_path):
    (tmp_path / STATEMENT_FILE).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_statement(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / STATEMENT_FILE}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_side_that_the_encoder_has_no_positions_for_is_refused():
    for side in (None, 518, 980):
        check_vit_side(side, released_config())
    for side in (0, 520, 994, -14):
        with pytest.raises(
            ConfigurationError, match=f"--vit-side {side}: must be a multiple of 14, 14 to 980"
        ):
            check_vit_side(side, released_config())
