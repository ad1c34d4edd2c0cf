"""LaMa's offer: that of generative inpainters, but the network draws nothing at random."""

from __future__ import annotations

from typing import ClassVar

from tasks.backends.generative_offer import GenerativeInpainterOffer


class LamaOffer(GenerativeInpainterOffer):
    """Shares its instructions with the other generative inpainters: the same is offered."""

    by_seed: ClassVar[bool] = False
