"""Checks of the edit command's options: all that can be told before a model is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from safetensors import SafetensorError

from intercog_model.checkpoint import read_config
from intercog_model.config import BagelConfig, debug_config
from intercog_model.data.pictures import PictureError, open_picture
from intercog_model.data.tokenizer import ByteTokenizer, TextError, Tokenizer, read_tokenizer
from intercog_model.errors import ConfigurationError
from intercog_model.inference.quantize import LIBRARY, library
from intercog_model.settings import Count, Seed, Settings, Within
from intercog_model.statement import read_statement

RANDOM = "random-debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Settings):
    """Numbers of which a picture or a text can be made."""

    points: Annotated[int, Within(ge=2)]  # two of them make a step
    max_tokens: Count
    seed: Seed


def check_device(name: str) -> None:
    """Raise ConfigurationError for a device that is unknown or not there: one number is put on it."""
    try:
        torch.zeros(1, device=torch.device(name)).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # PyTorch asserts that it was built for a device; later lines of its messages are advice to developers
        raise ConfigurationError(f"--device {name}: {str(error).partition(chr(10))[0]}") from error


def check_bits(bits: int | None) -> None:
    """Raise ConfigurationError where fewer bits are asked for and their library is not there."""
    if bits is None:
        return
    try:
        library()
    except ImportError as error:
        raise ConfigurationError(
            f"--bits {bits}: needs {LIBRARY} (pip install {LIBRARY}, or make setup-torch): {error}"
        ) from error


def check_image(path: Path) -> None:
    """Raise ConfigurationError for a picture that cannot be read."""
    try:
        open_picture(path)
    except PictureError as error:
        raise ConfigurationError(f"--image {path}: {error}") from error


def check_instruction(text: str, tokenizer: Tokenizer) -> None:
    """Raise ConfigurationError for a text that the tokenizer refuses."""
    try:
        tokenizer.encode(text)
    except TextError as error:
        raise ConfigurationError(f"--instruction {text!r}: {error}") from error


def check_model(model: str) -> tuple[Tokenizer, BagelConfig]:
    """Tokenizer and sizes of a model, from the headers of its files; ConfigurationError if they cannot be read."""
    if model == RANDOM:
        return ByteTokenizer(), debug_config()
    folder = Path(model)
    if not folder.is_dir():
        raise ConfigurationError(f"--model {model}: no such folder")
    try:
        tokenizer = read_tokenizer(folder, debug=read_statement(folder).flavor == "debug")
        return tokenizer, read_config(folder, tokenizer.tokens)
    except KeyError as error:
        raise ConfigurationError(f"--model {model}: its configuration files lack {error}") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigurationError(f"--model {model}: {error}") from error


def picture_size(size: list[int] | None, config: BagelConfig) -> tuple[int, int]:
    """The (height, width) that was asked for, or the largest square; ConfigurationError if it cannot be drawn."""
    side = config.pixels_per_latent_token
    largest = side * config.max_latent_size
    if size is None:
        return largest, largest
    height, width = size
    if any(pixels < side or pixels % side or pixels > largest for pixels in (height, width)):
        raise ConfigurationError(
            f"--size {height} {width}: both must be multiples of {side}, {side} to {largest}"
        )
    return height, width


def check_vit_side(side: int | None, config: BagelConfig) -> None:
    """Raise ConfigurationError for a longest side that the vision encoder's table of positions can't hold."""
    patch, largest = config.vit.patch_size, config.vit.image_size
    if side is not None and (side < patch or side % patch or side > largest):
        raise ConfigurationError(f"--vit-side {side}: must be a multiple of {patch}, {patch} to {largest}")


def make_folder(path: Path) -> None:
    """Make the folder for the results; ConfigurationError where none can be."""
    if path.is_file():
        raise ConfigurationError(f"--out {path} is a file")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {path}: {error.strerror}") from error
