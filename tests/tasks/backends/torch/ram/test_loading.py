"""Checkpoints load under their old and new names, and one that is not whole is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tasks.backends.torch.ram.loading import UNUSED_BY_RAM, network_of  # noqa: E402
from tasks.backends.torch.ram.network import RamNetwork  # noqa: E402
from tasks.records.errors import ModelUnavailable  # noqa: E402
from tests.tasks.backends.torch.ram.tiny_ram import TINY, TINY_RAM, random_tensors  # noqa: E402

SOURCE = Path("ram_plus.pth")


def load(tensors: dict[str, torch.Tensor], image: int = 32, **further: object) -> RamNetwork:
    return network_of(tensors, SOURCE, image=image, tags=6, **{"reweighted": True, **further})  # type: ignore[arg-type]


def test_older_names_buffers_and_the_caption_model_of_ram_make_no_difference() -> None:
    tensors = random_tensors(TINY_RAM)
    pixels = torch.randn(2, 3, 32, 32)
    expected = load(dict(tensors), reweighted=False)(pixels)
    old = {name.replace("tagging_head.", "vision_multi."): tensor for name, tensor in tensors.items()}
    old |= {f"{prefix}encoder.layer.0.bias": torch.ones(2) for prefix in UNUSED_BY_RAM}
    old["visual_encoder.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(4, 4, dtype=torch.long)
    found = load(old, reweighted=False, unused=UNUSED_BY_RAM)
    assert torch.equal(found(pixels), expected)
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            "visual_encoder.layers.1.blocks.1.attn.qkv.bias",
            r"missing visual_encoder.*1\.attn\.qkv\.bias \[48\]",
        ),
        ("fc.weight", r"missing fc\.weight"),
        ("reweight_scale", "missing reweight_scale"),
        ("visual_encoder.patch_embed.proj.weight", "missing visual_encoder.patch_embed.proj.weight"),
    ],
)
def test_a_missing_tensor_is_named(missing: str, said: str) -> None:
    tensors = random_tensors(TINY)
    del tensors[missing]
    with pytest.raises(ModelUnavailable, match=said):
        load(tensors)


def test_nothing_at_all_is_no_checkpoint() -> None:
    with pytest.raises(ModelUnavailable, match=r"missing visual_encoder\.layers"):
        load({})


@pytest.mark.parametrize(
    "name", ["tag_encoder.layer.0.weight", "tagging_head.encoder.layer.0.attention.self.query.bias"]
)
def test_a_tensor_that_nothing_asked_for_is_named(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"unexpected {name}"):
        load({**random_tensors(TINY), name: torch.ones(3)})


def test_a_tensor_of_another_size_is_named() -> None:
    tensors = random_tensors(TINY)
    tensors["image_proj.weight"] = torch.ones(12, 31)
    with pytest.raises(
        ModelUnavailable, match=r"image_proj\.weight has shape \[12, 31\], expected \[12, 32\]"
    ):
        load(tensors)


def test_a_checkpoint_of_the_other_model_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="unexpected reweight_scale"):
        network_of(random_tensors(TINY), SOURCE, image=32, tags=18, reweighted=False)
    with pytest.raises(ModelUnavailable, match="missing reweight_scale"):
        load(random_tensors(TINY_RAM))


def test_another_number_of_tags_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match=r"18 label embeddings are not .* for each of 5 tags"):
        network_of(random_tensors(TINY), SOURCE, image=32, tags=5, reweighted=True)


def test_the_same_tensor_under_both_names_is_refused() -> None:
    tensors = random_tensors(TINY)
    name = "tagging_head.encoder.layer.0.output.dense.bias"
    tensors[name.replace("tagging_head", "vision_multi")] = tensors[name]
    with pytest.raises(ModelUnavailable, match="holds both vision_multi"):
        load(tensors)


def test_buffers_tell_that_the_pictures_have_another_size() -> None:
    tensors = random_tensors(TINY)
    tensors["visual_encoder.layers.1.blocks.1.attn_mask"] = torch.zeros(4, 4, 4)
    assert load(dict(tensors)).sizes == TINY
    with pytest.raises(
        ModelUnavailable, match=r"attn_mask has shape \[4, 4, 4\], pictures of 64 pixels need \[16"
    ):
        load(tensors, image=64)


def test_pictures_that_the_windows_do_not_tile_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match="pictures of 36 pixels"):
        load(random_tensors(TINY), image=36)
