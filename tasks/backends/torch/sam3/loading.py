"""The two models of a SAM 3 checkpoint, loaded strictly, with or without torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer
from transformers.models.sam3.configuration_sam3 import Sam3VisionConfig, Sam3ViTConfig
from transformers.models.sam3.modeling_sam3 import Sam3Model, Sam3VisionModel, Sam3ViTModel
from transformers.models.sam3_tracker.modeling_sam3_tracker import Sam3TrackerModel

from tasks.backends.torch.checkpoints import load_pretrained
from tasks.records.errors import ModelUnavailable


def load_detector(folder: Path) -> Any:
    """The detector (`Sam3Model`), float32, in evaluation mode on the CPU.

    Raises:
        ModelUnavailable: the folder holds no such model, or names or shapes differ.
    """
    register_parts()
    return load_pretrained(Sam3Model, folder, "float32")


def load_tracker(folder: Path) -> Any:
    """The model that draws a mask for a box (`Sam3TrackerModel`), float32, in evaluation mode on the CPU.

    Raises:
        ModelUnavailable: the folder holds no such model, or names or shapes differ.
    """
    register_parts()
    return load_pretrained(Sam3TrackerModel, folder, "float32")


def load_tokenizer(folder: Path, tokens: int) -> Any:
    """The tokenizer in the folder.

    Args:
        folder: of the checkpoint.
        tokens: size of the model's vocabulary.

    Raises:
        ModelUnavailable: there is none, or one of another size.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelUnavailable(f"{folder}: no tokenizer: {first}") from error
    if len(tokenizer) != tokens:  # where its files are missing, an empty one is made up
        raise ModelUnavailable(f"{folder}: a tokenizer of {len(tokenizer)} tokens, the model has {tokens}")
    return tokenizer


def register_parts() -> None:
    """Lets the models find their parts where torchvision is absent.

    transformers withholds SAM 3 by its public names then, although only box prompts of the detector need it, and
    those are not used here.
    """
    AutoModel.register(Sam3ViTConfig, Sam3ViTModel, exist_ok=True)
    AutoModel.register(Sam3VisionConfig, Sam3VisionModel, exist_ok=True)
