"""Prefill of text, ViT image and VAE image with the cache after each, and greedy decoding."""

import torch

from intercog_model.backbone.bagel import pad_images
from intercog_model.inference.context import Context
from intercog_model.inference.segments import Segment, latent_segment, text_segment, vit_segment
from intercog_model.parity.golden import Golden, GoldenFile

FILE = "prefill_and_greedy.safetensors"


@torch.no_grad()
def check(golden: Golden) -> None:
    """Prefill in the file's order; greedy decoding works on copies, as the published code does."""
    file, config = golden.open(FILE), golden.config
    ids = file.take("in.text_a").tolist()
    vit_image, vae_image = file.take("in.vit_image"), file.take("in.vae_image")
    context = Context(golden.model)

    segment = text_segment(ids, context.position, config)
    _check_text_step(file, "step0_text", segment, context)
    context.add_text(ids)
    check_cache(file, "step0_text.cache", context)
    check_greedy(file, "greedy_after_text", context)

    segment = vit_segment(vit_image, context.position, config)
    _check_image_step(file, "step1_vit", segment, context)
    context.add_vit_image(vit_image)
    check_cache(file, "step1_vit.cache", context)

    segment = latent_segment(vae_image.shape[1], vae_image.shape[2], context.position, config, kept=True)
    _check_image_step(file, "step2_vae", segment, context)
    file.check("step2_vae.padded_images", pad_images([vae_image]))
    file.check("step2_vae.patchified_vae_latent_shapes", torch.tensor([segment.grid]))
    file.check("step2_vae.packed_timesteps", [0])
    context.add_vae_image(vae_image, golden.vae, file.take("step2_vae.latent_noise")[0])
    check_cache(file, "step2_vae.cache", context)
    check_greedy(file, "greedy_after_all", context)
    file.close()


def check_cache(file: GoldenFile, prefix: str, context: Context) -> None:
    """Keys and values of all layers, the cached length and the next rotary position."""
    length = context.cache.length
    for kind, rows in (("key", context.cache.keys), ("value", context.cache.values)):
        file.check(f"{prefix}.{kind}", torch.stack([layer[:length] for layer in rows]))
    file.check(f"{prefix}.kv_len", [length])
    file.check(f"{prefix}.next_rope", [context.position])


def check_greedy(file: GoldenFile, prefix: str, context: Context) -> None:
    """Logits and choices of each step, and the public decoder's answer on the same context."""
    steps = file.cases[f"{prefix}.logits"]["shape"][0]
    copy, tokens, logits, choices = context.fork(), [context.model.config.tokens.text_start], [], []
    for _ in range(steps):
        logits.append(copy.decode_logits(tokens[-1]))
        choices.append(int(logits[-1].argmax()))
        tokens.append(choices[-1])
    file.check(f"{prefix}.logits", torch.stack(logits))
    file.check(f"{prefix}.next_tokens", choices)
    file.check(f"{prefix}.returned_tokens", tokens[:-1])
    ended = [*choices, context.model.config.tokens.text_end].index(context.model.config.tokens.text_end)
    generated = context.generate_text(steps)
    note = f"generate_text gave {generated}, the steps gave {choices[:ended]}"
    file.report.require(f"{file.name}: {prefix} through generate_text", generated == choices[:ended], note)


def _check_text_step(file: GoldenFile, step: str, segment: Segment, context: Context) -> None:
    file.check(f"{step}.text_token_lens", [segment.rows])
    file.check(f"{step}.packed_text_ids", segment.text_ids)
    file.check(f"{step}.packed_text_position_ids", segment.position_ids)
    file.check(f"{step}.packed_text_indexes", segment.text_indexes + context.cache.length)
    file.check(f"{step}.packed_key_value_indexes", torch.arange(context.cache.length))
    file.check(f"{step}.key_values_lens", [context.cache.length])


def _check_image_step(file: GoldenFile, step: str, segment: Segment, context: Context) -> None:
    length = context.cache.length
    kind = "vit" if segment.patches is not None else "vae"
    file.check(f"{step}.packed_text_ids", segment.text_ids)
    file.check(f"{step}.packed_text_indexes", segment.text_indexes)
    file.check(f"{step}.packed_position_ids", segment.position_ids)
    file.check(f"{step}.packed_seqlens", [segment.rows])
    file.check(f"{step}.packed_indexes", torch.arange(length, length + segment.rows))
    file.check(f"{step}.packed_key_value_indexes", torch.arange(length))
    file.check(f"{step}.key_values_lens", [length])
    file.check(f"{step}.packed_{kind}_position_ids", segment.grid_ids)
    file.check(f"{step}.packed_{kind}_token_indexes", segment.image_indexes)
    if segment.patches is not None:
        file.check(f"{step}.packed_vit_tokens", segment.patches)
        file.check(f"{step}.vit_token_seqlens", [len(segment.patches)])
