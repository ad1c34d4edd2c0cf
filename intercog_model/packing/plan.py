"""The items of a sample's plan: texts, ViT images and VAE images, with what each is trained on.

Every item ends in a frame token; `closing_label` is the token that this last row is trained to predict, so that a
model can learn to announce a picture. None leaves the row without a loss.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TextItem:
    """Raw token ids; packing frames them by the text start and end tokens.

    With `loss`, the start and every id predict the next one.
    """

    name: str = ""  # how a span is found again in the pack, for example "T1"
    ids: tuple[int, ...]
    loss: bool = False
    closing_label: int | None = None
    droppable: bool = True
    dropped: bool = False  # dropped for guidance: leaves no split and does not advance the position


@dataclass(frozen=True, slots=True, kw_only=True)
class VitItem:
    """Pixels float32 [3, H, W] in [-1, 1], both sides multiples of the ViT patch."""

    name: str = ""
    pixels: Tensor
    closing_label: int | None = None
    droppable: bool = True
    dropped: bool = False  # dropped for guidance: leaves no split but advances the position by one


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeItem:
    """Pixels float32 [3, H, W] in [-1, 1] for the autoencoder, clean or noised.

    `vae_noise` float32 [z, H / f, W / f] samples the latent, `flow_noise` float32 [tokens, C] noises it.
    """

    name: str = ""
    pixels: Tensor
    vae_noise: Tensor
    flow_noise: Tensor
    raw_timestep: float | None = None  # before sigmoid and shift; None marks a clean image
    closing_label: int | None = None
    droppable: bool = True
    dropped: bool = False

    @property
    def noised(self) -> bool:
        """Whether the item is a target (loss, invisible to other rows)."""
        return self.raw_timestep is not None


PlanItem = TextItem | VitItem | VaeItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One ordered plan."""

    key: str
    items: tuple[PlanItem, ...]
