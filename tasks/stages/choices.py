"""Facts about the configured backends that more than one stage needs."""

from __future__ import annotations

from tasks.roles.backends import choose
from tasks.roles.offers import Offers, offer_of
from tasks.roles.placement import ServedModel
from tasks.stages.config import BuildConfig


def served_by(config: BuildConfig, run: str) -> ServedModel | None:
    """The model on the server named ``run``; None if there is no such server."""
    server = config.servers.get(run)
    return server.model if server else None


def configured_offers(config: BuildConfig) -> Offers:
    """What the configured editor and inpainter accept; loads no model.

    Raises:
        ConfigurationError: a backend or option that does not exist.
    """
    editor, inpainter = config.editing.editor, config.editing.inpainter
    return Offers(
        editor=offer_of(choose("editor", editor, "editing.editor", served_by(config, editor.run))),
        inpainter=offer_of(
            choose("inpainter", inpainter, "editing.inpainter", served_by(config, inpainter.run))
        ),
    )
