"""Offers of the editors behind ``/v1/images/edits``: those of generative models, which take effects along or not."""

from __future__ import annotations

from tasks.backends.generative_offer import GenerativeEditorOffer, GenerativeInpainterOffer
from tasks.backends.served.image_editor import ImageEditOptions
from tasks.records.settings_base import Settings


class ImageEditorOffer(GenerativeEditorOffer):
    """Shares its instructions with the other generative editors: the same is offered."""

    def __init__(self, options: Settings) -> None:
        super().__init__(options)
        if isinstance(options, ImageEditOptions):
            self.effects = options.effects


class ImageRemovalOffer(GenerativeInpainterOffer):
    """Shares its instructions with the other generative inpainters: the same is offered."""

    def __init__(self, options: Settings) -> None:
        super().__init__(options)
        if isinstance(options, ImageEditOptions):
            self.effects = options.effects
