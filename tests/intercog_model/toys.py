"""Small pictures and models that the tests of `intercog_model` share."""

import numpy as np
import torch
from PIL import Image, ImageDraw

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel, encode_images
from intercog_model.config import debug_config
from intercog_model.data.chain_text import Sections
from intercog_model.data.draws import Draws
from intercog_model.data.example import GroundingExample
from intercog_model.data.plans import PlanBuilder, SequenceConfig
from intercog_model.data.tokenizer import SPECIAL, ByteTokenizer
from intercog_model.grounding.config import DEBUG_HEADS, GroundingConfig
from intercog_model.grounding.features import RandomPatchFeatures
from intercog_model.grounding.heads import GroundingHeads
from intercog_model.packing.pack import pack
from intercog_model.packing.resize import DEBUG_VAE_RULE, DEBUG_VIT_RULE
from intercog_model.training.objective import InterCog, ObjectiveConfig, TrainingBatch


def example(key="a", boxes=((8, 8, 40, 32),), size=(64, 48), instruction="Make the left box blue."):
    """A gray picture with boxes; the target is their union."""
    source = Image.new("RGB", size, (90, 120, 90))
    draw, mask = ImageDraw.Draw(source), np.zeros((size[1], size[0]), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=(200, 160, 40))
        mask[y0:y1, x0:x1] = True
    red = np.array(source)
    red[mask] = (red[mask] * 0.5 + np.array([127, 0, 0])).astype(np.uint8)
    edited = np.array(source)
    edited[mask] = (20, 40, 220)
    sections = Sections(scene="A box.", target="On the left.", edit="Recolor it.", result="A blue box.")
    return GroundingExample(
        key=key,
        source=source,
        instruction=instruction,
        sections=sections,
        grounded=Image.fromarray(red),
        mask=mask,
        edited=Image.fromarray(edited),
    )


def sequence(**changes):
    """The debug chain without random dropping."""
    values = {"drop_text": 0.0, "drop_vae": 0.0, "drop_vit": 0.0, "drop_chain": 0.0}
    return SequenceConfig(vae_rule=DEBUG_VAE_RULE, vit_rule=DEBUG_VIT_RULE, **(values | changes))


def builder(**changes):
    """A plan builder of the debug flavor."""
    return PlanBuilder(debug_config(), sequence(**changes), ByteTokenizer())


def build(examples, step=0, **changes):
    """Plans of several examples."""
    makes = builder(**changes)
    return [makes.build(e, Draws(0, e.key, step)) for e in examples]


def batch(examples, step=0, **changes):
    """A packed training batch."""
    built = build(examples, step, **changes)
    features = RandomPatchFeatures(DEBUG_HEADS.width, DEBUG_HEADS.grid)
    return TrainingBatch(
        packed=pack([b.sample for b in built], debug_config()),
        targets=tuple(b.target for b in built),
        features=tuple(features.features(b.sample.key, b.target.image) if b.target else None for b in built),
    )


def models(seed=0, **grounding):
    """Network with heads, and autoencoder; no weight is zero, so that every path shows."""
    torch.manual_seed(seed)
    config = debug_config()
    bagel, vae = Bagel(config), AutoEncoder(config.vae)
    objective = ObjectiveConfig(grounding=GroundingConfig(**grounding))
    model = InterCog(bagel, GroundingHeads(config.llm.hidden_size, DEBUG_HEADS), objective)
    torch.nn.init.normal_(model.heads.vision_projector[-1].weight, std=0.1)
    return model, vae.eval().requires_grad_(False)


def write_tokenizer(folder, text):
    """`tokenizer.json` of a byte-level BPE of 300 ids, learned from a text; the folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = list(SPECIAL.values())
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special)
    fast.train_from_iterator([text], trainer)
    fast.save(str(folder / "tokenizer.json"))
    return folder


def latents(vae, training_batch):
    """Clean latent tokens of a batch."""
    return encode_images(vae, training_batch.packed, debug_config().latent_patch_size)


def command_line(picture, out):
    """The edit command on a picture with a random tiny model, in two time points and three tokens a text."""
    return [
        "--model", "random-debug", "--out", str(out), "--points", "2", "--max-tokens", "3", "--image", str(picture),
        "--instruction", "Paint it.",
    ]  # fmt: skip
