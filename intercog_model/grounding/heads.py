"""The auxiliary modules of training: projectors TP, VP, P_t, P_v and the shared mask decoder.

Shape suffixes: D hidden width of the language model, C channels of the image embedding, g its grid.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from intercog_model.grounding.config import HeadSizes
from intercog_model.grounding.placement import place
from intercog_model.grounding.segment_anything import build_mask_decoder, build_position_code


def projector(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths with GELU between."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.GELU()]
    return nn.Sequential(*layers[:-1])


class GroundingHeads(nn.Module):
    """Everything that is dropped at inference; lives outside the network of the main checkpoint."""

    def __init__(self, hidden: int, sizes: HeadSizes) -> None:
        super().__init__()
        self.sizes = sizes
        inner, width = sizes.projector_hidden, sizes.width
        self.text_projector = projector(hidden, inner, inner, width)  # TP
        self.vision_projector = projector(hidden, inner, inner, width)  # VP, for V and O alike
        self.text_alignment = projector(hidden, hidden, hidden)  # P_t
        self.vision_alignment = projector(hidden, hidden, hidden)  # P_v
        self.mask_decoder = build_mask_decoder(width, sizes.heads, sizes.inner)
        self.no_mask_embed = nn.Embedding(1, width)
        self.position_code = build_position_code(width)
        # the decoder starts in its trained range: at first the conditioning adds nothing
        for parameter in self.vision_projector[-1].parameters():
            nn.init.zeros_(parameter)

    def text_logits(self, features_Cgg: Tensor, hidden_ND: Tensor, *, zero: bool = False) -> Tensor:
        """Mask logits [4g, 4g] from text states [N, D], averaged after the projector into one prompt token.

        `zero` sets that token to zero.
        """
        token = self.text_projector(hidden_ND).mean(dim=0) * (0 if zero else 1)
        return self._decode(features_Cgg, token[None, None], torch.zeros_like(features_Cgg))

    def vision_logits(
        self, features_Cgg: Tensor, hidden_ND: Tensor, grid: tuple[int, int], *, zero: bool = False
    ) -> Tensor:
        """Mask logits [4g, 4g] from latent states [rows * columns, D], added to the image features.

        `zero` adds nothing instead.
        """
        rows, columns = grid
        cells = (self.vision_projector(hidden_ND) * (0 if zero else 1)).T.unflatten(1, (rows, columns))
        none = features_Cgg.new_zeros(1, 0, self.sizes.width)
        return self._decode(features_Cgg, none, place(cells, self.sizes.grid))

    def _decode(self, features_Cgg: Tensor, sparse: Tensor, dense_Cgg: Tensor) -> Tensor:
        dense = dense_Cgg + self.no_mask_embed.weight[0][:, None, None]
        # angles are computed in the matrix's own float32, whatever type the decoder runs in
        code = self.position_code((self.sizes.grid, self.sizes.grid)).to(dense.dtype)
        logits, _ = self.mask_decoder(
            features_Cgg[None], code[None], sparse, dense[None], multimask_output=False
        )
        return cast("Tensor", logits[0, 0])

    def load_segment_anything(self, weights: dict[str, Tensor]) -> None:
        """Start the decoder, the no-mask embedding and the position code from a SAM file's tensors."""
        prefix = "mask_decoder."
        own = {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
        self.mask_decoder.load_state_dict(own, strict=True)
        self.no_mask_embed.load_state_dict({"weight": weights["prompt_encoder.no_mask_embed.weight"]})
        name = "positional_encoding_gaussian_matrix"
        self.position_code.load_state_dict({name: weights[f"prompt_encoder.pe_layer.{name}"]})
