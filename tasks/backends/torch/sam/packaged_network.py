"""The network of the package segment-anything behind the interface of the others, its sizes read from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.backends.torch.checkpoints import fill, read_tensors
from tasks.backends.torch.sam.network import Embedding
from tasks.imaging.arrays import Image
from tasks.records.errors import ModelUnavailable

PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of the three channels, for values 0..255, as the package's own builders have them."""

DECODER_HEADS = 8
"""Heads of the mask decoder in all published checkpoints; the only size that no tensor's shape tells."""


class PackagedSam:
    """A checkpoint of any size, ViT-B to ViT-H.

    The package's builders know three sizes by name and read their file with ``torch.load`` as it comes; here the sizes
    follow from the shapes, and the file is read as plain tensors.

    Args:
        path: a ``.pth`` or ``.safetensors`` file with the package's names.
        device: where it runs.

    Raises:
        ModelUnavailable: the package is missing, or the file holds another model.
    """

    def __init__(self, path: Path, *, device: str) -> None:
        modeling, transforms = _package()
        tensors = read_tensors(path)
        try:
            with torch.device("meta"):
                self._model = _built(modeling, tensors)
        except (KeyError, IndexError, ValueError) as error:
            msg = f"{path}: not a checkpoint of segment-anything ({type(error).__name__}: {error})"
            raise ModelUnavailable(msg) from error
        fill(self._model, tensors, path)
        for name, values in (("pixel_mean", PIXEL_MEAN), ("pixel_std", PIXEL_STD)):
            setattr(self._model, name, torch.tensor(values).view(3, 1, 1))
        self._model.to(device).eval()
        self._transform = transforms.ResizeLongestSide(self._model.image_encoder.img_size)
        self._device = device

    @torch.inference_mode()
    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """See `tasks.backends.torch.sam.network.SamNetwork`."""
        seen = [self._transform.apply_image(image) for image in images]
        tensors = [torch.from_numpy(image).to(self._device).permute(2, 0, 1) for image in seen]
        found = self._model.image_encoder(torch.stack([self._model.preprocess(each) for each in tensors]))
        return [
            Embedding(
                size=(image.shape[0], image.shape[1]),
                inner=(inner.shape[0], inner.shape[1]),
                features={"image_embeddings": found[index : index + 1]},
            )
            for index, (image, inner) in enumerate(zip(images, seen, strict=True))
        ]

    @torch.inference_mode()
    def decode(self, embedding: Embedding, boxes: Tensor, *, multimask: bool) -> tuple[Tensor, Tensor]:
        """See `tasks.backends.torch.sam.network.SamNetwork`."""
        prompts = self._transform.apply_boxes_torch(boxes, embedding.size).to(self._device)
        sparse, dense = self._model.prompt_encoder(points=None, boxes=prompts, masks=None)
        logits, quality = self._model.mask_decoder(
            **embedding.features,
            image_pe=self._model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return logits, quality

    @torch.inference_mode()
    def enlarge(self, embedding: Embedding, logits: Tensor) -> Tensor:
        """See `tasks.backends.torch.sam.network.SamNetwork`."""
        full: Tensor = self._model.postprocess_masks(logits[:, None], embedding.inner, embedding.size)
        return full[:, 0]


def _package() -> tuple[Any, Any]:
    """Its modules for networks and for sizes."""
    try:
        from segment_anything import modeling  # noqa: PLC0415 - only this backend needs it
        from segment_anything.utils import transforms  # noqa: PLC0415
    except (
        ImportError,
        RuntimeError,
        OSError,
    ) as error:  # torchvision for another torch raises what it likes
        msg = (
            "the backend segment-anything needs the packages segment-anything and torchvision "
            f"(pip install 'groundedit[segment-anything]'): {error}"
        )
        raise ModelUnavailable(msg) from error
    return modeling, transforms


def _built(modeling: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The package's model with the sizes of these tensors, its parameters not filled."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    width, _, patch, _ = shapes["image_encoder.patch_embed.proj.weight"]
    grid = shapes["image_encoder.pos_embed"][1]
    depth = _count(shapes, "image_encoder.blocks.")
    # Relative positions reach from one end of a block's window to the other: 2 side - 1 rows.
    reach = [shapes[f"image_encoder.blocks.{index}.attn.rel_pos_h"] for index in range(depth)]
    sides = [(rows + 1) // 2 for rows, _ in reach]
    out = shapes["image_encoder.neck.0.weight"][0]
    encoder = modeling.ImageEncoderViT(
        depth=depth,
        embed_dim=width,
        img_size=grid * patch,
        mlp_ratio=shapes["image_encoder.blocks.0.mlp.lin1.weight"][0] / width,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        num_heads=width // reach[0][1],
        patch_size=patch,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=[index for index, side in enumerate(sides) if side == grid],
        window_size=min(sides),
        out_chans=out,
    )
    prompts = modeling.PromptEncoder(
        embed_dim=out,
        image_embedding_size=(grid, grid),
        input_image_size=(grid * patch, grid * patch),
        mask_in_chans=shapes["prompt_encoder.mask_downscaling.3.weight"][0],
    )
    decoder = modeling.MaskDecoder(
        num_multimask_outputs=shapes["mask_decoder.mask_tokens.weight"][0] - 1,
        transformer=modeling.TwoWayTransformer(
            depth=_count(shapes, "mask_decoder.transformer.layers."),
            embedding_dim=out,
            mlp_dim=shapes["mask_decoder.transformer.layers.0.mlp.lin1.weight"][0],
            num_heads=DECODER_HEADS,
        ),
        transformer_dim=out,
        iou_head_depth=_count(shapes, "mask_decoder.iou_prediction_head.layers."),
        iou_head_hidden_dim=shapes["mask_decoder.iou_prediction_head.layers.0.weight"][0],
    )
    return modeling.Sam(encoder, prompts, decoder)


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbered modules stand below a name."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)})
