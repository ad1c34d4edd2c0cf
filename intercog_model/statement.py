"""`intercog.json` of a model folder: what its training knew and the published files have no place for"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from intercog_model.config import FlavorName
from intercog_model.data.chain_text import GROUNDING_PROMPT, TagRule
from intercog_model.data.plans import SequenceConfig
from intercog_model.errors import ConfigurationError
from intercog_model.packing.resize import (
    DEBUG_VAE_RULE,
    DEBUG_VIT_RULE,
    PUBLISHED_VIT_RULE,
    VAE_RULE,
    VIT_RULE,
    SizeRule,
)
from intercog_model.settings import Identity, Settings

STATEMENT_FILE = "intercog.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedChain(Settings):
    """What the chain consists of that a model was trained with; inference runs no other."""

    text_reasoning: bool = True
    visual_reasoning: bool = True
    system_prompt: str = GROUNDING_PROMPT  # "" leaves it out
    think_tags: TagRule = "one pair"
    feedback: Literal["both", "vae", "vit"] = "both"  # how V is seen by what follows


def chain_of(sequence: SequenceConfig) -> TrainedChain:
    """What inference must know of the sequence that a model is trained on."""
    return TrainedChain(
        text_reasoning=sequence.text_reasoning,
        visual_reasoning=sequence.visual_reasoning,
        system_prompt=GROUNDING_PROMPT if sequence.system_prompt else "",
        think_tags=sequence.think_tags,
        feedback=sequence.feedback,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Settings):
    """Flavor, chain and size rules of a trained model; inference prompts and sizes pictures as its training did.

    Keys that other parts of the package keep in the same file are left to them.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = Settings.__pydantic_config__ | {"extra": "ignore"}

    flavor: Identity[FlavorName] = "released"
    vae_rule: SizeRule = VAE_RULE
    vit_rule: SizeRule = VIT_RULE  # applied to what `vae_rule` gives
    chain: TrainedChain = TrainedChain()
    run: str = ""  # fingerprint of the run that trained it
    step: int = 0  # after which its weights were taken

    def to_json(self) -> str:
        """What `read_statement` reads."""
        return json.dumps(asdict(self), indent=1)


DEBUG_RULES = {"vae_rule": asdict(DEBUG_VAE_RULE), "vit_rule": asdict(DEBUG_VIT_RULE)}


def read_statement(folder: Path) -> Statement:
    """What a folder states; one without the file is BAGEL as published, with its own side of 980 for the ViT.

    Raises:
        ConfigurationError: the file is no statement; in one line, with the key.
    """
    from intercog_model.read_settings import read_settings  # noqa: PLC0415 - published folders need no pydantic

    path = folder / STATEMENT_FILE
    if not path.is_file():
        return Statement(vit_rule=PUBLISHED_VIT_RULE)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict):
            raise ConfigurationError(f"{tree!r:.40} is no object")
        rules = DEBUG_RULES if tree.get("flavor") == "debug" else {}
        return read_settings(Statement, rules | tree)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
