"""The plain way of the public auto-label demos: one picture, one float32 forward, one long caption, all masks at once.

Written for comparison from what these programs do (Grounded-Segment-Anything's automatic labels, upstream RAM++ and
SAM), with the networks of the same random checkpoints. Nothing of it is used by the pipeline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, GroundingDinoForObjectDetection, SamModel

from tasks.backends.torch.checkpoints import read_tensors
from tasks.backends.torch.grounding_dino.network import _PhrasePositions
from tasks.backends.torch.ram.loading import network_of
from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box
from tests.gpu.checkpoints import Sizes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TEXT_THRESHOLD, NMS_IOU = 0.2, 0.5
"""Of the demos."""


def network_input(image: Image, size: tuple[int, int], device: str) -> Tensor:
    """(1, 3, h, w) float32, normalized."""
    small = Pillow.fromarray(image).resize(size[::-1], Pillow.Resampling.BILINEAR)
    values = torch.from_numpy(np.asarray(small, np.float32) / 255)
    values = (values - torch.tensor(MEAN)) / torch.tensor(STD)
    return values.permute(2, 0, 1)[None].to(device)


class PlainTagger:
    """RAM++ as upstream runs it: per picture, all descriptions weighted and summed in a temporary of their own."""

    def __init__(self, options: dict[str, str], sizes: Sizes, device: str) -> None:
        path = Path(options["weights"])
        network = network_of(
            read_tensors(path), path, image=sizes.ram.swin.image, tags=sizes.ram.tags, reweighted=True
        )
        self.network, self.sizes, self.device = network.to(device), sizes.ram, device

    @torch.inference_mode()
    def __call__(self, image: Image) -> Tensor:
        """Probabilities of all tags."""
        network, side = self.network, self.sizes.swin.image
        tokens = network.image_tokens(network_input(image, (side, side), self.device))
        looks = functional.normalize(tokens[:, 0], dim=-1)
        scores = network.reweight_scale.exp() * looks @ network.label_embed.T
        weights = scores.view(self.sizes.tags, -1).softmax(dim=-1)
        descriptions = network.label_embed.view(self.sizes.tags, weights.shape[1], -1)
        labels = (weights[..., None] * descriptions).sum(dim=1)
        return network.decide(network.tag_queries(labels[None]), tokens)[0].sigmoid().cpu()


class PlainDetector:
    """GroundingDINO with all names in one caption; labels decoded from tokens, boxes suppressed whatever their label.

    Args:
        threshold: of a box's score; the demos' 0.25 means nothing for random weights (`score_of_rank`).
    """

    def __init__(self, options: dict[str, str], sizes: Sizes, device: str, threshold: float = 0.25) -> None:
        folder = options["weights"]
        self.model = GroundingDinoForObjectDetection.from_pretrained(folder, local_files_only=True)
        _PhrasePositions(self.model.model)  # which the demos' implementation needs no correction for
        self.model = self.model.eval().to(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.sizes, self.device, self.threshold = sizes, device, threshold

    def __call__(self, image: Image, names: tuple[str, ...]) -> list[tuple[Box, float, str]]:
        """Boxes, scores and labels, best first."""
        height, width = image.shape[:2]
        chances, boxes, ids = self._forward(image, names)
        best = chances.max(dim=1).values
        keep = best > self.threshold
        said = chances[keep][:, : len(ids)] > TEXT_THRESHOLD
        labels = [self.tokenizer.decode(ids[row]) for row in said]
        center, half = boxes[keep, :2], boxes[keep, 2:] / 2
        corners = torch.cat([center - half, center + half], dim=1) * torch.tensor([width, height] * 2)
        rows = suppressed(corners.double().numpy(), best[keep].double().numpy())
        places = corners.round().int().tolist()
        return [(_box(places[row]), float(best[keep][row]), labels[row]) for row in rows]

    def score_of_rank(self, image: Image, names: tuple[str, ...], rank: int) -> float:
        """A score that ``rank`` boxes exceed, so that random weights give as many boxes as trained ones."""
        best = self._forward(image, names)[0].max(dim=1).values.sort(descending=True).values
        rank = min(rank, len(best) - 1)
        return float(best[rank - 1 : rank + 1].mean())

    @torch.inference_mode()
    def _forward(self, image: Image, names: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
        height, width = image.shape[:2]
        scale = min(self.sizes.shortest / min(height, width), self.sizes.longest / max(height, width))
        pixels = network_input(image, (round(height * scale), round(width * scale)), self.device)
        tokens = self.tokenizer(", ".join(names) + ".", return_tensors="pt").to(self.device)
        output = self.model(pixel_values=pixels, **tokens)
        return output.logits[0].sigmoid().cpu(), output.pred_boxes[0].cpu(), tokens["input_ids"][0].cpu()


class PlainSegmenter:
    """SAM for one picture: every mask at full size in float32 before any is thresholded."""

    def __init__(self, options: dict[str, str], sizes: Sizes, device: str) -> None:
        self.model = SamModel.from_pretrained(options["weights"], local_files_only=True).eval().to(device)
        self.side, self.device = sizes.sam_side, device

    @torch.inference_mode()
    def __call__(self, image: Image, boxes: tuple[Box, ...]) -> list[Mask]:
        """A mask per box, (H, W)."""
        height, width = image.shape[:2]
        scale = self.side / max(height, width)
        small = (round(height * scale), round(width * scale))
        pixels = network_input(image, small, self.device)
        pixels = functional.pad(pixels, (0, self.side - small[1], 0, self.side - small[0]))
        embedding = self.model.get_image_embeddings(pixels)
        corners = torch.tensor([[[b.x0, b.y0, b.x1, b.y1] for b in boxes]], device=self.device) * scale
        output = self.model(image_embeddings=embedding, input_boxes=corners, multimask_output=False)
        masks = functional.interpolate(output.pred_masks[0], (self.side, self.side), mode="bilinear")
        masks = functional.interpolate(masks[..., : small[0], : small[1]], (height, width), mode="bilinear")
        return list((masks[:, 0] > 0).cpu().numpy())


class PlainInpainter:
    """LaMa, one window after the other."""

    def __init__(self, options: dict[str, str], device: str) -> None:
        self.model: Any = torch.jit.load(options["weights"], map_location=device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, image: Image, hole: Mask) -> Image:
        """The filled window; its sides are multiples of 8."""
        pixels = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255
        mask = torch.from_numpy(hole).to(self.device)[None, None].float()
        filled = self.model(pixels, mask)[0].clamp(0, 1).permute(1, 2, 0)
        return np.asarray((filled * 255).round().byte().cpu().numpy(), np.uint8)


def suppressed(corners: NDArray[np.float64], scores: NDArray[np.float64]) -> list[int]:
    """Rows of the boxes (N, 4) that overlap no better one, best first."""
    left = np.argsort(-scores, kind="stable")
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    kept: list[int] = []
    while left.size:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        sides = np.minimum(corners[best, 2:], corners[left, 2:]) - np.maximum(
            corners[best, :2], corners[left, :2]
        )
        common = sides.clip(min=0).prod(axis=1)
        left = left[common <= NMS_IOU * (areas[best] + areas[left] - common)]
    return kept


def _box(corners: list[int]) -> Box:
    x0, y0, x1, y1 = corners
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)
