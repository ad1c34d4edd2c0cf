"""The samples that a tiny model learns by heart: which ones, how small, and in which words."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch

from intercog_model.data.chain_text import GROUNDING_PROMPT, first_text, second_text
from intercog_model.data.example import GroundingExample
from intercog_model.data.plans import SequenceConfig
from intercog_model.data.shards import BrokenSample, open_uri, read_shard, release_shards
from intercog_model.data.tokenizer import ByteTokenizer, Tokenizer, WordTokenizer
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.placement import coverage, valid_size
from intercog_model.packing.resize import SizeRule, resize

# 8 x 5 latent tokens of a 3:2 picture: a step takes a tenth of a second, so that a thousand fit into minutes
SEQUENCE = SequenceConfig(
    drop_text=0.0,
    drop_vae=0.0,
    drop_chain=0.0,
    drop_vit=0.0,
    vae_rule=SizeRule(max_side=32, min_side=16, stride=4),
    vit_rule=SizeRule(max_side=42, min_side=14, stride=14),
)
MASK_SIDE = 256  # four times the side of the debug heads' logits, which is all that any loss can see


def choose(release: str, count: int) -> list[GroundingExample]:
    """Samples of a release: photographs with most targets first, each target once before any comes twice.

    A photograph with several targets has several masks, so that its features alone do not tell which is meant.
    """
    groups: dict[str, list[GroundingExample]] = defaultdict(list)
    for uri in release_shards(release):
        with open_uri(uri) as stream:
            for item in read_shard(stream, "grounding", uri):
                if isinstance(item, BrokenSample):
                    print(f"{item.key}: left out, {item.reason}")
                elif isinstance(item, GroundingExample):
                    groups[photograph(item)].append(item)
    ordered = sorted(groups.values(), key=lambda group: -len({target(e) for e in group}))
    first, again = list[GroundingExample](), list[GroundingExample]()
    for group in ordered:
        seen = set[str]()
        for example in group:
            (again if target(example) in seen else first).append(example)
            seen.add(target(example))
    chosen = (first + again)[:count]
    if len(chosen) < count:
        raise ConfigurationError(f"{release}: {len(chosen)} samples, {count} were asked for")
    return chosen


def photograph(example: GroundingExample) -> str:
    """Id of the photograph in a key `<sid>-t0-p0`."""
    return example.key.partition("-")[0]


def target(example: GroundingExample) -> str:
    """Photograph and target of a key."""
    return example.key.rpartition("-")[0]


def shrunk(example: GroundingExample) -> GroundingExample:
    """The example with its pictures at the VAE rule's size and its mask with a long side of `MASK_SIDE`.

    Inference makes the ViT picture from the VAE-sized one, training from the raw one. At these sizes that is a
    visible difference, so the raw pictures are VAE-sized from the start and both see the same.
    """
    mask = torch.from_numpy(example.mask)
    rows, columns = valid_size(mask.shape[0], mask.shape[1], MASK_SIDE)
    return replace(
        example,
        source=resize(example.source, SEQUENCE.vae_rule),
        grounded=resize(example.grounded, SEQUENCE.vae_rule),
        edited=resize(example.edited, SEQUENCE.vae_rule),
        mask=(coverage(mask, rows, columns) >= 0.5).numpy(),
    )


def word_tokenizer(examples: Sequence[GroundingExample]) -> WordTokenizer:
    """One id per word of the samples' texts: a byte each would make the sequence four times as long."""
    texts = [GROUNDING_PROMPT, *(e.instruction for e in examples)]
    for example in examples:
        texts += taught(example, ByteTokenizer())
    return WordTokenizer(texts)


def taught(example: GroundingExample, tokenizer: Tokenizer) -> tuple[str, str]:
    """T1 and T2 as they are taught."""
    pair = (make(example.sections, tokenizer, SEQUENCE.think_tags) for make in (first_text, second_text))
    first, second = (tokenizer.decode(list(text.ids)) for text in pair)
    return first, second
