"""BAGEL: the language model with its vision encoder, connector and flow head, composed.

Shape suffixes: L packed tokens, D hidden width, P patches, N latent tokens, C latent token width.
"""

# ruff: noqa: N815 - fields end in their shapes

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from intercog_model.backbone.attention import Attend
from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.flow import Connector, TimeEmbedder, add_noise, patchify_latent, training_time
from intercog_model.backbone.language_model import LanguageModel, Routing
from intercog_model.backbone.navit import NaVit
from intercog_model.backbone.position_tables import PositionTable
from intercog_model.config import BagelConfig
from intercog_model.packing.batch import PackedBatch

ENCODED_PIXELS = 2 * 1024**2  # at once; each of the first maps of a megapixel takes 0.5 GB in float32


@dataclass(frozen=True, slots=True)
class Embedded:
    """What enters the decoder, and the values it was made of."""

    sequence_LD: Tensor
    vit_PD: Tensor  # ViT output, ViT width
    connected_PD: Tensor  # connector output, before the position table
    t_N: Tensor  # flow time per latent token, 0 for clean ones
    time_ND: Tensor
    clean_NC: Tensor
    noise_NC: Tensor
    noised_NC: Tensor


@dataclass(frozen=True, slots=True)
class BackboneOutput:
    """Hidden states and heads of one packed forward pass."""

    embedded: Embedded
    last_LD: Tensor  # after the final norms
    layers: dict[int, Tensor]  # residual streams [L, D] by 1-based layer number
    logits: Tensor  # [CE rows, vocabulary], float32
    velocity: Tensor  # [MSE rows, C], float32
    target: Tensor  # [MSE rows, C], float32: noise - clean


class Bagel(nn.Module):
    """The network of the main checkpoint; the autoencoder is a separate module and file."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__()
        width = config.llm.hidden_size
        self.config = config
        self.language_model = LanguageModel(config.llm)
        self.vit_model = NaVit(config.vit)
        self.connector = Connector(config.vit.hidden_size, width)
        self.time_embedder = TimeEmbedder(config.timestep_features, width)
        self.vae2llm = nn.Linear(config.latent_width, width)
        self.llm2vae = nn.Linear(width, config.latent_width)
        self.latent_pos_embed = PositionTable(config.max_latent_size, width)
        self.vit_pos_embed = PositionTable(config.vit.side, width)

    def embed_text(self, ids: Tensor) -> Tensor:
        """Token embeddings [n, D]."""
        embedded: Tensor = self.language_model.model.embed_tokens(ids)
        return embedded

    def embed_patches(
        self, patches: Tensor, ids_P: Tensor, lengths: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """ViT output, connector output, and the latter plus its fixed position rows [P, D]."""
        vit_PD = self.vit_model(patches.to(self.vae2llm.weight.dtype), ids_P, lengths)
        connected_PD = self.connector(vit_PD)
        return vit_PD, connected_PD, connected_PD + self.vit_pos_embed(ids_P).to(connected_PD.dtype)

    def embed_latents(self, tokens_NC: Tensor, t_N: Tensor, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Time embedding and the latent tokens' rows [N, D]."""
        time_ND = self.time_embedder(t_N)
        rows_ND = self.vae2llm(tokens_NC.to(self.vae2llm.weight.dtype)) + time_ND
        return time_ND, rows_ND + self.latent_pos_embed(ids_N).to(rows_ND.dtype)

    def embed(self, batch: PackedBatch, clean_NC: Tensor, timestep_shift: float) -> Embedded:
        """The packed sequence [L, D]; `clean_NC` are the latent tokens of all VAE images, in packed order."""
        t_N = training_time(batch.raw_timesteps, timestep_shift)
        noised_NC = add_noise(clean_NC, batch.flow_noise, t_N)
        vit_PD, connected_PD, patches_PD = self.embed_patches(
            batch.vit_patches, batch.vit_ids, batch.vit_lengths
        )
        time_ND, latents_ND = self.embed_latents(noised_NC, t_N, batch.latent_ids)
        text = self.embed_text(batch.text_ids)
        sequence_LD = text.new_zeros(batch.length, text.shape[1])
        sequence_LD[batch.text_indexes] = text
        sequence_LD[batch.vit_indexes] = patches_PD.to(text.dtype)
        sequence_LD[batch.vae_indexes] = latents_ND.to(text.dtype)
        return Embedded(
            sequence_LD, vit_PD, connected_PD, t_N, time_ND, clean_NC.float(), batch.flow_noise, noised_NC
        )

    def forward(
        self,
        batch: PackedBatch,
        clean_NC: Tensor,
        attend: Attend,
        *,
        timestep_shift: float,
        keep_layers: Collection[int] = (),
        freeze_und: bool = False,
    ) -> BackboneOutput:
        """One training forward over a pack; a pack may lack any modality."""
        embedded = self.embed(batch, clean_NC, timestep_shift)
        routing = Routing(batch.und_indexes, batch.vae_indexes)
        last_LD, layers = self.language_model(
            embedded.sequence_LD,
            routing,
            batch.position_ids,
            attend,
            keep_layers=keep_layers,
            freeze_und=freeze_und,
        )
        logits = self.language_model.lm_head(last_LD[batch.ce_indexes]).float()
        velocity = self.llm2vae(last_LD[batch.mse_indexes]).float()
        noised = batch.mse_latents
        target = embedded.noise_NC[noised].float() - embedded.clean_NC[noised]
        return BackboneOutput(embedded, last_LD, layers, logits, velocity, target)


@torch.no_grad()
def encode_images(vae: AutoEncoder, batch: PackedBatch, patch: int, *, padded: bool = False) -> Tensor:
    """Clean latent tokens [N, C] of all VAE images of a pack, in packed order.

    Pictures are encoded apart, equal sizes together, so that a sample does not depend on its neighbors.
    `padded` zero-pads all of them to one size and crops afterwards, as the published trainer does; that
    changes the latents inside the valid area. Copies of a picture share its moments, each with its own noise.
    """
    if not batch.vae_images:
        return batch.flow_noise
    moments = [torch.empty(0)] * len(batch.vae_images)
    groups = [list(range(len(moments)))] if padded else equal_sizes(batch.vae_images)
    for members in groups:
        sheet = pad_images([batch.vae_images[i] for i in members])
        for i, found in zip(members, vae.moments(sheet), strict=True):
            moments[i] = found
    tokens = []
    for picture, noise, (rows, columns) in zip(
        batch.vae_pictures, batch.vae_noise, batch.latent_grids, strict=True
    ):
        valid = (..., slice(rows * patch), slice(columns * patch))
        tokens.append(patchify_latent(vae.sample(moments[picture][valid], noise[valid]), patch))
    return torch.cat(tokens)


def equal_sizes(images: list[Tensor]) -> list[list[int]]:
    """Which images [C, H, W] to encode together: of one size, few enough for the encoder's inner maps to stay small."""
    groups: list[list[int]] = []
    for size in dict.fromkeys(image.shape for image in images):
        members = [i for i, image in enumerate(images) if image.shape == size]
        several = max(1, ENCODED_PIXELS // (size[1] * size[2]))
        groups += [members[first : first + several] for first in range(0, len(members), several)]
    return groups


def pad_images(images: list[Tensor]) -> Tensor:
    """All images [C, h, w] zero-padded at the bottom and right to one size, [B, C, H, W]."""
    height, width = max(i.shape[1] for i in images), max(i.shape[2] for i in images)
    sheet = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    for row, image in zip(sheet, images, strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return sheet
