"""Image features: placed as the losses expect, cached as computed, and SAM's own encoder at a small size."""

import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.testing import assert_close  # noqa: E402

from intercog_model.cache_features import main, require_same_origin, write_features, write_origin  # noqa: E402
from intercog_model.errors import ConfigurationError  # noqa: E402
from intercog_model.grounding.config import DEBUG_HEADS  # noqa: E402
from intercog_model.grounding.features import (  # noqa: E402
    CachedFeatures,
    RandomPatchFeatures,
    SamFeatures,
    build_encoder,
    encoder_sizes,
    square_pixels,
)
from intercog_model.grounding.heads import GroundingHeads  # noqa: E402
from intercog_model.grounding.segment_anything import build_mask_decoder  # noqa: E402
from intercog_model.packing.resize import DEBUG_VAE_RULE, resize  # noqa: E402
from tests.intercog_model import release, toys  # noqa: E402


def test_the_picture_is_normalized_before_it_is_padded():
    sheet = square_pixels(Image.new("RGB", (40, 20), (124, 116, 104)), 16)
    assert sheet.shape == (3, 16, 16)
    assert sheet[:, :8].abs().max() < 0.02  # the mean color is about zero
    assert not sheet[:, 8:].any()
    white = square_pixels(Image.new("RGB", (40, 20), "white"), 16)
    assert_close(white[0, 0, 0], torch.tensor((255 - 123.675) / 58.395))
    assert not white[:, 8:].any()


def test_random_features_depend_on_the_picture_and_on_nothing_else():
    provider = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid)
    a, b = toys.example().source, toys.example(boxes=((1, 1, 9, 9),)).source
    assert torch.equal(provider.features("x", a), provider.features("y", a))
    assert not torch.equal(provider.features("x", a), provider.features("x", b))
    assert provider.features("x", a).shape == (32, 16, 16)


def test_cached_features_are_the_computed_ones(tmp_path):
    examples = [toys.example(f"k{i}", boxes=((i, i, 20, 20),)) for i in range(3)]
    folder = release.write_release(tmp_path / "release", examples)
    provider = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid)
    assert write_features(str(folder), provider, tmp_path / "cache", DEBUG_VAE_RULE) == 3
    assert write_features(str(folder), provider, tmp_path / "cache", DEBUG_VAE_RULE) == 0
    found = CachedFeatures(tmp_path / "cache").features("k1", examples[1].source)
    # the release holds the source as JPEG, hence read it back
    from intercog_model.data.shards import open_uri, read_shard  # noqa: PLC0415

    with open_uri(str(folder / "train-000000.tar")) as stream:
        source = list(read_shard(stream, "grounding"))[1].source
    expected = provider.features("k1", resize(source, DEBUG_VAE_RULE))
    assert_close(found, expected.half().float())
    with pytest.raises(ConfigurationError, match=r"features_folder: .*: no other\.safetensors"):
        CachedFeatures(tmp_path / "cache").features("other", source)


def test_features_of_another_file_or_size_are_not_mixed(tmp_path):
    require_same_origin(tmp_path, "a")
    write_origin(tmp_path, "a")
    require_same_origin(tmp_path, "a")
    for other in (("b",), ("a", DEBUG_VAE_RULE)):
        with pytest.raises(ConfigurationError, match="another SAM file or size rule"):
            require_same_origin(tmp_path, *other)


def test_a_folder_without_a_release_and_a_file_that_is_not_sams_are_one_line_each(tmp_path, capsys):
    folder = release.write_release(tmp_path / "release", [toys.example()])
    (tmp_path / "empty").mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "junk").write_bytes(b"PK")
    for where, sam, told in (
        (tmp_path / "empty", "junk", f"{tmp_path / 'empty'}: no release: "),
        (folder, "junk", f"--sam {tmp_path / 'junk'}: "),
        (folder, "nowhere", f"--sam {tmp_path / 'nowhere'}: "),
        (folder, "other.safetensors", f"--sam {tmp_path / 'other.safetensors'}: no tensors image_encoder.*"),
    ):
        assert main([str(where), "--sam", str(tmp_path / sam), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {told}")


def test_segment_anythings_encoder_runs_and_has_the_published_width():
    small = build_encoder(image_size=64, depth=2, width=16, heads=2, global_blocks=(1,))
    with torch.no_grad():
        assert small(torch.zeros(1, 3, 64, 64)).shape == (1, 256, 4, 4)
    with torch.device("meta"):
        names = build_encoder().state_dict()
    assert names["blocks.31.attn.qkv.weight"].shape == (3840, 1280)
    assert names["pos_embed"].shape == (1, 64, 64, 1280)


def test_an_encoder_has_the_size_of_its_tensors():
    with torch.device("meta"):
        published = encoder_sizes(dict(build_encoder().state_dict()))
    assert published == {
        "image_size": 1024, "depth": 32, "width": 1280, "heads": 16, "global_blocks": (7, 15, 23, 31),
        "out_width": 256, "window": 14,
    }  # fmt: skip
    sizes = {"image_size": 96, "depth": 3, "width": 16, "heads": 4, "global_blocks": (2,), "out_width": 8}
    small = build_encoder(**sizes, window=4)
    weights = {f"image_encoder.{n}": v for n, v in small.state_dict().items()} | {"other": torch.zeros(1)}
    provider = SamFeatures(weights, "cpu", torch.float32)
    picture = toys.example().source
    found = provider.features("x", picture)
    assert found.shape == (8, 6, 6)
    with torch.no_grad():
        assert torch.equal(found, small(square_pixels(picture, 96)[None])[0])


def test_heads_start_from_the_tensors_of_a_sam_file():
    decoder = build_mask_decoder()
    weights = {f"mask_decoder.{n}": v for n, v in decoder.state_dict().items()}
    weights["prompt_encoder.no_mask_embed.weight"] = torch.randn(1, 256)
    weights["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"] = torch.randn(2, 128)
    from intercog_model.grounding.config import HeadSizes  # noqa: PLC0415

    heads = GroundingHeads(8, HeadSizes())
    heads.load_segment_anything(weights)
    assert torch.equal(heads.no_mask_embed.weight, weights["prompt_encoder.no_mask_embed.weight"])
    assert all(
        torch.equal(v, weights[f"mask_decoder.{n}"]) for n, v in heads.mask_decoder.state_dict().items()
    )
    del weights["mask_decoder.iou_token.weight"]
    with pytest.raises(RuntimeError, match=r"iou_token\.weight"):
        heads.load_segment_anything(weights)
