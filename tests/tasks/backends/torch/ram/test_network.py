"""Head and re-weighting compute what a plain loop and PyTorch's own attention compute; names are the published."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.ram.loading import empty_network  # noqa: E402
from tasks.backends.torch.ram.network import RamNetwork  # noqa: E402
from tasks.backends.torch.ram.sizes import RAM, RAM_PLUS, RamSizes  # noqa: E402
from tasks.backends.torch.ram.tagging_head import CrossAttention  # noqa: E402
from tests.tasks.backends.torch.ram.tiny_ram import TINY, TINY_RAM, random_tensors  # noqa: E402


def network(sizes: RamSizes) -> RamNetwork:
    made = RamNetwork(sizes).eval()
    made.load_state_dict(random_tensors(sizes))
    return made.requires_grad_(False)


def test_descriptions_are_weighted_as_in_a_loop_over_pictures_and_tags() -> None:
    ram = network(TINY)
    tokens = torch.randn(3, 5, TINY.decoder.embedding)
    labels = ram.labels_for(tokens)
    assert labels.shape == (3, 6, 12)
    for picture, tags in zip(tokens, labels, strict=True):
        look = picture[0] / picture[0].norm()
        for tag in range(6):
            rows = ram.label_embed[3 * tag : 3 * tag + 3]
            weights = (ram.reweight_scale.exp() * (rows @ look)).softmax(0)
            expected = sum(weight * row for weight, row in zip(weights, rows, strict=True))
            torch.testing.assert_close(tags[tag], expected, rtol=1e-5, atol=1e-6)


def test_ram_uses_its_labels_as_they_are() -> None:
    ram = network(TINY_RAM)
    labels = ram.labels_for(torch.randn(2, 5, 12))
    assert torch.equal(labels[0], ram.label_embed)
    assert torch.equal(labels[1], ram.label_embed)


def test_cross_attention_is_pytorchs_own() -> None:
    torch.manual_seed(0)
    sizes = replace(TINY.decoder, width=15, heads=3)
    ours = CrossAttention(sizes)
    parts = ours.self
    theirs = torch.nn.MultiheadAttention(15, 3, kdim=12, vdim=12, batch_first=True)
    theirs.load_state_dict(
        {
            "q_proj_weight": parts["query"].weight,
            "k_proj_weight": parts["key"].weight,
            "v_proj_weight": parts["value"].weight,
            "in_proj_bias": torch.cat([parts[name].bias for name in ("query", "key", "value")]),
            "out_proj.weight": ours.output.dense.weight,
            "out_proj.bias": ours.output.dense.bias,
        }
    )
    queries, tokens = torch.randn(2, 4, 15), torch.randn(2, 7, 12)
    expected = ours.output.LayerNorm(queries + theirs(queries, tokens, tokens, need_weights=False)[0])
    torch.testing.assert_close(ours(queries, tokens), expected, rtol=1e-5, atol=1e-6)


def test_no_projection_is_made_where_labels_are_as_wide_as_the_head() -> None:
    same = replace(TINY, decoder=replace(TINY.decoder, width=12))
    assert not [name for name in random_tensors(same) if name.startswith("wordvec_proj")]
    assert network(same)(torch.randn(1, 3, 32, 32)).shape == (1, 6)


@pytest.mark.parametrize("sizes", [TINY, TINY_RAM])
def test_pictures_of_a_batch_do_not_see_each_other(sizes: RamSizes) -> None:
    ram, pixels = network(sizes), torch.randn(5, 3, 32, 32)
    alone = torch.cat([ram(pixels[number : number + 1]) for number in range(5)])
    torch.testing.assert_close(ram(pixels), alone, rtol=1e-5, atol=1e-5)
    assert alone.std(0).min() > 1e-3, "the pictures differ"


def test_the_published_models_have_as_many_tensors_and_values_as_published() -> None:
    plus, ram = empty_network(RAM_PLUS), empty_network(RAM)
    names = [name for name, _ in (*plus.named_parameters(), *plus.named_buffers())]
    assert len(names) == 402
    assert sum(parameter.numel() for parameter in plus.parameters()) == 329_493_046
    assert all(parameter.is_meta for parameter in plus.parameters())
    assert {name for name in names if name not in dict(ram.named_parameters())} == {
        "reweight_scale",
        *dict(plus.named_buffers()),
    }
    assert ram.label_embed.shape == (4585, 512)
