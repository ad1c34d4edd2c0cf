"""Training speed at a given size with random weights: tokens per second and share of the device's peak."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from intercog_model.backbone.attention import Attend, DenseAttend, FlexAttend
from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel, encode_images
from intercog_model.backbone.layers import set_recompute
from intercog_model.config import BagelConfig
from intercog_model.data.chain_text import Sections
from intercog_model.data.draws import Draws
from intercog_model.data.example import GroundingExample
from intercog_model.data.plans import PlanBuilder, SequenceConfig
from intercog_model.data.tokenizer import ByteTokenizer
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig, HeadSizes
from intercog_model.grounding.features import RandomPatchFeatures
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.packing.masks import dense_masks, flex_mask
from intercog_model.packing.pack import pack
from intercog_model.packing.resize import DEBUG_VAE_RULE, DEBUG_VIT_RULE
from intercog_model.training.devices import peak_flops
from intercog_model.training.flops import row_flops
from intercog_model.training.objective import (
    InterCog,
    ObjectiveConfig,
    TrainingBatch,
    term_counts,
    total_loss,
)


def measure_training(
    config: BagelConfig,
    side: int,
    device: torch.device,
    *,
    released: bool,
    steps: int,
    layers: int | None = None,
    peak_tflops: float = 0.0,
) -> dict[str, float]:
    """Steps of one square chain sample with AdamW, recomputation on; bf16 compute on a GPU.

    `layers` shortens the language model where the full one does not fit beside its optimizer.
    """
    if layers:
        config = replace(config, llm=replace(config.llm, num_hidden_layers=layers))
    model, vae = Bagel(config).to(device), AutoEncoder(config.vae).to(device).requires_grad_(False)
    sizes = HeadSizes() if released else DEBUG_HEADS
    heads = GroundingHeads(config.llm.hidden_size, sizes).to(device)
    trained = InterCog(model, heads, ObjectiveConfig(grounding=GroundingConfig()))
    set_recompute(model, "full")
    batch = _batch(config, side, sizes, released=released)
    cuda = device.type == "cuda"
    attend: Attend
    if cuda:
        length = -(-batch.packed.length // 128) * 128
        attend = FlexAttend(flex_mask(batch.packed, length, device), compiled=True)
    else:
        attend = DenseAttend(dense_masks(batch.packed))
    moved = batch.to(device)
    counts = term_counts(moved, trained.config)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-6, fused=True)
    seconds = []
    for _ in range(steps + 2):  # two that warm up
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            clean = encode_images(vae, moved.packed, config.latent_patch_size)
            loss = total_loss(trained(moved, clean, attend), counts, trained.config)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    middle = float(np.median(seconds[2:]))
    flops, peak = row_flops(trained).of(batch.packed), peak_flops(device, peak_tflops)
    found = {
        "language layers": float(config.llm.num_hidden_layers),
        "rows of the sample": float(moved.packed.length),
        "seconds per step": middle,
        "tokens per second": moved.packed.length / middle,
        "teraflops per second": flops / middle / 1e12,
    }
    return found | ({"mfu": flops / middle / peak} if peak else {})


def _batch(config: BagelConfig, side: int, sizes: HeadSizes, *, released: bool) -> TrainingBatch:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8))
    mask = np.zeros((side, side), dtype=bool)
    mask[: side // 2, : side // 2] = True
    text = "The second car from the left stands in front of the market. "
    example = GroundingExample(
        key="measured",
        source=picture,
        instruction=text,
        sections=Sections(scene=text * 2, target=text, edit=text, result=text),
        grounded=picture,
        mask=mask,
        edited=picture,
    )
    rules: dict[str, Any] = {} if released else {"vae_rule": DEBUG_VAE_RULE, "vit_rule": DEBUG_VIT_RULE}
    sequence = SequenceConfig(drop_text=0.0, drop_vae=0.0, drop_vit=0.0, drop_chain=0.0, **rules)
    built = PlanBuilder(config, sequence, ByteTokenizer()).build(example, Draws(0, example.key, 0))
    features = RandomPatchFeatures(sizes.width, sizes.grid).features(example.key, picture)
    return TrainingBatch(packed=pack([built.sample], config), targets=(built.target,), features=(features,))
