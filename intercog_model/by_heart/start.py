"""What a run by heart begins from: a tokenizer of the samples' words, a trained autoencoder, quiet features."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.cache_features import write_features, write_origin
from intercog_model.config import debug_config
from intercog_model.data.chain_text import GROUNDING_PROMPT, first_text, second_text
from intercog_model.data.example import GroundingExample
from intercog_model.data.tokenizer import SPECIAL, BpeTokenizer, ByteTokenizer, Tokenizer
from intercog_model.grounding.config import DEBUG_HEADS
from intercog_model.grounding.features import RandomPatchFeatures
from intercog_model.packing.resize import SizeRule, resize, to_pixels
from intercog_model.saving import Weights, save_folder
from intercog_model.training.build import random_debug_models

WORDS = 8192  # more ids than a few samples have words, so that each word becomes one
LR = 2e-3
BATCH = 6

# Loud image features tell the photograph: the decoder would learn its masks from them before the hidden states say
# anything, and keep one of them when the conditioning is zeroed.
FEATURE_SCALE = 0.1


def write_start(
    examples: Sequence[GroundingExample], rule: SizeRule, folder: Path, *, steps: int, seed: int
) -> float:
    """Write a model folder of the debug flavor for the examples; the autoencoder's last squared error.

    `rule` sizes the pictures, `steps` teach the autoencoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_word_tokenizer(examples, folder)
    debug = debug_config()
    size = tokenizer.fast.get_vocab_size()
    config = replace(debug, llm=replace(debug.llm, vocab_size=size), tokens=tokenizer.tokens)
    torch.manual_seed(seed)
    bagel, vae = random_debug_models(config)
    error = fit_autoencoder(vae, examples, rule, steps)
    save_folder(Weights.of(bagel.state_dict()), config, vae, folder)
    return error


def write_word_tokenizer(examples: Sequence[GroundingExample], folder: Path) -> BpeTokenizer:
    """`tokenizer.json` with an id for each word: a byte each would make the sequences four times as long."""
    from tokenizers import Tokenizer as FastTokenizer  # noqa: PLC0415 - only this command trains one
    from tokenizers import decoders, models, pre_tokenizers, trainers  # noqa: PLC0415

    fast = FastTokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL.values()),
        show_progress=False,
    )
    texts = [GROUNDING_PROMPT, *(example.instruction for example in examples)]
    texts += [text for example in examples for text in taught(example, ByteTokenizer())]
    fast.train_from_iterator(texts, trainer)
    fast.save(str(folder / "tokenizer.json"))
    return BpeTokenizer(folder)


def taught(example: GroundingExample, tokenizer: Tokenizer) -> tuple[str, str]:
    """T1 and T2 as they are taught."""
    pair = (make(example.sections, tokenizer, "one pair") for make in (first_text, second_text))
    first, second = (tokenizer.decode(list(text.ids)) for text in pair)
    return first, second


def fit_autoencoder(
    vae: AutoEncoder, examples: Sequence[GroundingExample], rule: SizeRule, steps: int
) -> float:
    """Teach the autoencoder the pictures, as the published one comes trained; its last squared error."""
    groups = defaultdict[torch.Size, list[Tensor]](list)
    for example in examples:
        for picture in (example.source, example.grounded, example.edited):
            pixels = to_pixels(resize(picture, rule))
            groups[pixels.shape].append(pixels)
    optimizer = torch.optim.Adam(vae.parameters(), lr=LR)
    error = torch.zeros(())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LR * (1 - 0.95 * step / steps)
        group = list(groups.values())[step % len(groups)]
        images = torch.stack([group[(step * BATCH + i) % len(group)] for i in range(BATCH)])
        latent = vae.scale(vae.encoder(images).chunk(2, dim=1)[0])
        error = (vae.decode(latent) - images).square().mean()
        spread = latent.mean().square() + (latent.std() - 1).square()  # the flow expects unit latents
        (error + 0.1 * spread).backward()
        optimizer.step()
        optimizer.zero_grad()
    return float(error.detach())


def write_quiet_features(release: str, rule: SizeRule, folder: Path) -> None:
    """Image features of the release's samples in the place of SAM's: a fixed random projection of their pixels."""
    provider = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid, scale=FEATURE_SCALE)
    write_features(release, provider, folder, rule)
    write_origin(folder, f"random projection, scale {FEATURE_SCALE}", rule)
