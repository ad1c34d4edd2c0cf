"""The backbone computes what transformers' own computes with the same weights, at sizes the golden numbers lack."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tasks.backends.torch.ram.sizes import SwinSizes  # noqa: E402
from tasks.backends.torch.ram.swin import Swin, cut_windows, join_windows, shift_mask  # noqa: E402

RENAMED = {
    "layers.": "encoder.layers.",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "patch_embed.norm": "embeddings.norm",
    "attn.relative_position_bias_table": "attention.relative_position_bias.relative_position_bias_table",
    "attn.proj": "attention.o_proj",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
}
"""Our (published) names and those of transformers; query, key and value are apart there."""


def _renamed(ours: dict[str, Any]) -> dict[str, Any]:
    theirs = {}
    for name, tensor in ours.items():
        new = f"layer{name}" if name.startswith("norm.") else name
        for old, other in RENAMED.items():
            new = new.replace(old, other)
        if "attn.qkv" in name:
            for part, values in zip("qkv", tensor.chunk(3), strict=True):
                theirs[new.replace("attn.qkv", f"attention.{part}_proj")] = values
        else:
            theirs[new] = tensor
    return theirs


@pytest.mark.parametrize(
    "sizes",
    [
        SwinSizes(image=48, patch=4, window=3, width=6, depths=(1, 3, 2), heads=(1, 3, 2)),
        SwinSizes(image=40, patch=2, window=5, width=8, depths=(4, 1, 2), heads=(2, 2, 4), mlp_ratio=2),
        SwinSizes(image=28, patch=4, window=7, width=4, depths=(2,), heads=(2,)),
    ],
)
def test_it_computes_what_transformers_computes(sizes: SwinSizes) -> None:
    torch.manual_seed(1)
    ours = Swin(sizes).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    config = transformers.SwinConfig(
        image_size=sizes.image,
        patch_size=sizes.patch,
        embed_dim=sizes.width,
        depths=list(sizes.depths),
        num_heads=list(sizes.heads),
        window_size=sizes.window,
        mlp_ratio=sizes.mlp_ratio,
        drop_path_rate=0.0,
    )
    theirs = transformers.SwinModel(config, add_pooling_layer=False).eval()
    found = theirs.load_state_dict(_renamed(ours.state_dict()), strict=False)
    assert not found.unexpected_keys
    assert all("relative_position_index" in name for name in found.missing_keys)
    pixels = torch.randn(2, 3, sizes.image, sizes.image)
    with torch.no_grad():
        tokens = ours(pixels)
        expected = theirs(pixels).last_hidden_state
    torch.testing.assert_close(tokens[:, 1:], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens[:, 0], expected.mean(1), rtol=1e-4, atol=1e-5)


def test_windows_are_cut_line_by_line_and_joined_again() -> None:
    grid = torch.arange(2 * 36).view(2, 6, 6, 1)
    windows = cut_windows(grid, 3)
    assert windows.shape == (8, 9, 1)
    assert windows[1].flatten().tolist() == [3, 4, 5, 9, 10, 11, 15, 16, 17]
    assert windows[4, 0] == 36, "windows of the second picture follow those of the first"
    assert torch.equal(join_windows(windows, 3, 6), grid)


def test_the_mask_parts_what_the_shift_brought_together() -> None:
    mask = shift_mask(6, 3, 1)
    assert mask.shape == (4, 9, 9)
    assert not mask[0].any(), "the first window lies inside the map"
    last = mask[3, 0].view(3, 3)
    assert last.tolist() == [[0, 0, -100], [0, 0, -100], [-100, -100, -100]]


def test_odd_blocks_are_shifted_where_there_is_more_than_one_window() -> None:
    sizes = SwinSizes(image=24, patch=4, window=3, width=4, depths=(2, 2), heads=(1, 1))
    shifts = [[block.shift for block in stage.blocks] for stage in Swin(sizes).layers]
    assert shifts == [[0, 1], [0, 0]]
