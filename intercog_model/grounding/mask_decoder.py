"""A mask decoder with the structure and tensor names of Segment Anything's, for a batch of images.

Shape suffixes: B images, T tokens, C channels (256), h and w cells of the image embedding, M masks (4).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MASKS = 4  # index 0 is the single-mask output, the only one used here


class TokenAttention(nn.Module):
    """Multi-head attention whose inner width may be narrower than the tokens."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear

    def __init__(self, width: int, heads: int, rate: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj"):
            self.add_module(name, nn.Linear(width, width // rate))
        self.out_proj = nn.Linear(width // rate, width)

    def forward(self, q_BTC: Tensor, k_BSC: Tensor, v_BSC: Tensor) -> Tensor:
        """[B, T, C]."""
        inputs = ((self.q_proj, q_BTC), (self.k_proj, k_BSC), (self.v_proj, v_BSC))
        q, k, v = (proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for proj, x in inputs)
        out_BTC: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out_BTC


class TokenMlp(nn.Module):
    """lin2(relu(lin1(x)))."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, inner)
        self.lin2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        out: Tensor = self.lin2(F.relu(self.lin1(x)))
        return out


class TwoWayBlock(nn.Module):
    """Tokens attend to tokens, then to the image; the image attends to the tokens."""

    def __init__(self, width: int, heads: int, inner: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = TokenAttention(width, heads, 1)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = TokenAttention(width, heads, 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TokenMlp(width, inner)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = TokenAttention(width, heads, 2)

    def forward(
        self, tokens: Tensor, image: Tensor, token_code: Tensor, image_code: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, C] and image cells [B, h * w, C]; codes go into queries and keys, never into values."""
        if self.first:  # tokens are their own code at first, so neither code nor residual is added
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            coded = tokens + token_code
            tokens = tokens + self.self_attn(coded, coded, tokens)
        tokens = self.norm1(tokens)
        tokens = tokens + self.cross_attn_token_to_image(tokens + token_code, image + image_code, image)
        tokens = self.norm2(tokens)
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = image + self.cross_attn_image_to_token(image + image_code, tokens + token_code, tokens)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """Two blocks and one last look from the tokens to the image."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(width, heads, inner, first=i == 0) for i in range(2))
        self.final_attn_token_to_image = TokenAttention(width, heads, 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, image: Tensor, image_code: Tensor, token_code: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, C] and image cells [B, h * w, C]; the tokens start as their own code."""
        tokens = token_code
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_code, image_code)
        look = self.final_attn_token_to_image(tokens + token_code, image + image_code, image)
        return self.norm_final_attn(tokens + look), image


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a map [B, C, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        centered = x - x.mean(1, keepdim=True)
        normed = centered * torch.rsqrt(centered.square().mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * normed + self.bias[:, None, None]


class Mlp3(nn.Module):
    """Three linear layers with ReLU between."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, w) for w in (width, width, out_width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., out_width]."""
        out: Tensor = self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))
        return out


class MaskDecoder(nn.Module):
    """Masks from image features and prompts; batch sizes must match, nothing is repeated.

    `iou_prediction_head` is part of the published weights and is not used.
    """

    def __init__(self, width: int = 256, heads: int = 8, inner: int = 2048) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, heads, inner)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(MASKS, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, stride=2),
            ChannelNorm(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp3(width, width // 8) for _ in range(MASKS))
        self.iou_prediction_head = Mlp3(width, MASKS)

    def forward(
        self, image_BChw: Tensor, code_1Chw: Tensor, sparse_BTC: Tensor, dense_BChw: Tensor
    ) -> Tensor:
        """Logits [B, 4, 4h, 4w]; `sparse_BTC` may hold no tokens."""
        if not len(image_BChw) == len(sparse_BTC) == len(dense_BChw):
            raise ValueError(f"batch sizes differ: {len(image_BChw)}, {len(sparse_BTC)}, {len(dense_BChw)}")
        batch, _, height, width = image_BChw.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(batch, -1, -1).to(sparse_BTC.dtype), sparse_BTC], dim=1)
        cells = (image_BChw + dense_BChw).flatten(2).transpose(1, 2)
        code = code_1Chw.flatten(2).transpose(1, 2).expand(batch, -1, -1)
        tokens, cells = self.transformer(cells, code, tokens)
        upscaled = self.output_upscaling(cells.transpose(1, 2).unflatten(2, (height, width)))
        weights = torch.stack(
            [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        return torch.einsum("bmc,bchw->bmhw", weights, upscaled)


class PositionCode(nn.Module):
    """Random Fourier code of grid cell centers; its matrix is fixed and stored."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, side: int) -> Tensor:
        """[1, C, side, side], first half sines, second half cosines."""
        matrix = self.positional_encoding_gaussian_matrix
        center = (torch.arange(side, device=matrix.device, dtype=matrix.dtype) + 0.5) / side
        y, x = torch.meshgrid(center, center, indexing="ij")
        angle = 2 * math.pi * ((2 * torch.stack([x, y], dim=-1) - 1) @ matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1).permute(2, 0, 1)[None]
