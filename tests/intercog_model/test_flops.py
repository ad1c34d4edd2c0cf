"""Counted operations of a step beside those that PyTorch runs: all is trained, or parts, or adapters."""

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from intercog_model.backbone.language_model import Routing  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig  # noqa: E402
from intercog_model.grounding.heads import GroundingHeads  # noqa: E402
from intercog_model.training.build import random_debug_models  # noqa: E402
from intercog_model.training.flops import row_flops  # noqa: E402
from intercog_model.training.objective import InterCog, ObjectiveConfig  # noqa: E402
from intercog_model.training.tuning import LoraConfig, TuningConfig, prepare  # noqa: E402

UND, GEN, TEXT = 7, 5, 3
INPUTS = ("vit", "connector", "flow")
GEN_MLP = LoraConfig(rank=2, layers=("*mlp_moe_gen.*",))


def network(tuning=None, **objective):
    torch.manual_seed(0)
    bagel, _ = random_debug_models()
    heads = GroundingHeads(bagel.config.llm.hidden_size, DEBUG_HEADS)
    model = InterCog(bagel, heads, ObjectiveConfig(grounding=GroundingConfig(), **objective))
    prepare(model, tuning or TuningConfig(), seed=0)
    return model


def products(model, *, enters):
    """Operations of matrix products in forward and backward of the language model, attention left out."""
    language = model.bagel.language_model
    x = torch.randn(UND + GEN, language.config.hidden_size, requires_grad=enters)
    rows = torch.arange(UND + GEN)

    def attend(_layer, q, k, v):
        group = q.shape[1] // k.shape[1]
        return q + (k + v).repeat_interleave(group, dim=1)

    with FlopCounterMode(display=False) as counter:
        last, _ = language(x, Routing(rows[:UND], rows[UND:]), rows, attend)
        loss = language.lm_head(last[:TEXT]).sum() + last.sum()
        if loss.requires_grad:
            loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("tuning", "enters"),
    [
        (TuningConfig(), True),
        (TuningConfig(freeze=INPUTS), True),
        (TuningConfig(freeze=("llm",)), True),
        (TuningConfig(freeze=("llm", *INPUTS)), False),
        (TuningConfig(lora=LoraConfig(rank=2)), True),
        (TuningConfig(freeze=INPUTS, lora=LoraConfig(rank=2)), False),
        (TuningConfig(freeze=INPUTS, lora=GEN_MLP), False),
    ],
    ids=[
        "all",
        "llm alone",
        "inputs alone",
        "heads alone",
        "adapters",
        "adapters alone",
        "one feed-forward's",
    ],
)
def test_counted_operations_are_those_that_run(tuning, enters):
    model = network(tuning)
    found = row_flops(model)
    assert UND * found.und + GEN * found.gen + TEXT * found.text == products(model, enters=enters)


def test_a_frozen_network_costs_two_or_four_of_the_six_operations_of_each_weight():
    whole = row_flops(network())
    behind, alone = (row_flops(network(TuningConfig(freeze=parts))) for parts in [("llm",), ("llm", *INPUTS)])
    for kind in ("und", "gen", "text"):
        size = getattr(whole, kind) / 6
        assert (getattr(behind, kind), getattr(alone, kind)) == (4 * size, 2 * size)
    llm = debug_config().llm
    assert whole.pair == behind.pair == 12 * llm.hidden_size * llm.num_hidden_layers
    assert alone.pair == whole.pair / 3


def test_an_expert_without_gradient_is_counted_forward_alone():
    whole, stopped = row_flops(network()), row_flops(network(freeze_und=True))
    assert (stopped.und, stopped.gen) == (whole.und / 3, whole.gen)
    assert stopped.text == whole.text * 2 / 3
