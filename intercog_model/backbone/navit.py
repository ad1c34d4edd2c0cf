"""SigLIP vision encoder at native resolution over packed patches of several images.

Shape suffixes: P packed patches, C hidden width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intercog_model.backbone.attention import attend_rows
from intercog_model.backbone.layers import Layer
from intercog_model.config import VitConfig


def patchify_pixels(image_3HW: Tensor, patch: int) -> Tensor:
    """Patches [h * w, patch * patch * 3], rows first; inside a patch the order is row, column, channel."""
    _, height, width = image_3HW.shape
    if height % patch or width % patch:
        raise ValueError(f"image of {height} x {width} pixels is not a multiple of patch {patch}")
    grid = image_3HW.reshape(3, height // patch, patch, width // patch, patch)
    return grid.permute(1, 3, 2, 4, 0).reshape(-1, patch * patch * 3)


class VitEmbeddings(nn.Module):
    """Linear patch embedding plus a learned position row per flat grid id."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, config.hidden_size)
        self.position_embedding = nn.Embedding(config.side**2, config.hidden_size)

    def forward(self, patches: Tensor, ids_P: Tensor) -> Tensor:
        """[P, C]."""
        embedded: Tensor = self.patch_embedding(patches) + self.position_embedding(ids_P)
        return embedded


class VitAttention(nn.Module):
    """Projections of the attention inside each image."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    out_proj: nn.Linear

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.add_module(name, nn.Linear(config.hidden_size, config.hidden_size))

    def forward(self, x_PC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [P, heads, d]."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (projection(x_PC).unflatten(-1, (self.heads, -1)) for projection in projections)
        return q, k, v


def attend_images(q_PHd: Tensor, k_PHd: Tensor, v_PHd: Tensor, lengths: list[int]) -> Tensor:
    """Attention inside each image, its heads side by side [P, C]; `lengths` are the patches of each."""
    if not lengths:  # a pack without images still touches every weight
        return (q_PHd + k_PHd + v_PHd).flatten(1)
    images = zip(q_PHd.split(lengths), k_PHd.split(lengths), v_PHd.split(lengths), strict=True)
    return torch.cat([attend_rows(*image, None) for image in images]).flatten(1)


class VitMlp(nn.Module):
    """fc2(gelu_tanh(fc1(x)))."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x_PC: Tensor) -> Tensor:
        """[P, C]."""
        out_PC: Tensor = self.fc2(F.gelu(self.fc1(x_PC), approximate="tanh"))
        return out_PC


class VitLayer(Layer):
    """Pre-norm encoder layer."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = VitAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VitMlp(config)

    def forward(self, x_PC: Tensor, lengths: list[int]) -> Tensor:
        """[P, C]; `lengths` are the patches of each image."""

        def run(x_PC: Tensor) -> Tensor:
            heads = self.run_half(self.before_attention, x_PC)
            return self.run_half(self.after_attention, x_PC, attend_images(*heads, lengths))

        return self.run_whole(run, x_PC)

    def before_attention(self, x_PC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the layer."""
        q_k_v: tuple[Tensor, Tensor, Tensor] = self.self_attn(self.layer_norm1(x_PC))
        return q_k_v

    def after_attention(self, x_PC: Tensor, out_PC: Tensor) -> Tensor:
        """The layer's output, from its input and the heads' outputs."""
        x_PC = x_PC + self.self_attn.out_proj(out_PC)
        sum_PC: Tensor = x_PC + self.mlp(self.layer_norm2(x_PC))
        return sum_PC


class VitEncoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VitLayer(config) for _ in range(config.num_hidden_layers))


class VisionTransformer(nn.Module):
    """Embeddings, encoder and the final norm; no pooling head."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.embeddings = VitEmbeddings(config)
        self.encoder = VitEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class NaVit(nn.Module):
    """The vision encoder under its published prefix `vision_model`."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = VisionTransformer(config)

    def forward(self, patches: Tensor, ids_P: Tensor, lengths: list[int]) -> Tensor:
        """[P, C] for patches [P, 3 * patch ** 2] with values in [-1, 1] and flat grid ids [P]."""
        x_PC = self.vision_model.embeddings(patches, ids_P)
        for layer in self.vision_model.encoder.layers:
            x_PC = layer(x_PC, lengths)
        normed_PC: Tensor = self.vision_model.post_layernorm(x_PC)
        return normed_PC
