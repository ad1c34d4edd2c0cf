"""Offers: whose they are, what of them enters a digest, and how little they import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.backends.embedded.painting.offer import EmbeddedEditorOffer
from tasks.backends.embedded.painting.removal_offer import EmbeddedInpainterOffer, RemovalOptions
from tasks.backends.generative_offer import GenerativeEditorOffer, GenerativeInpainterOffer
from tasks.records.errors import ConfigurationError
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings, Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.backends import BACKENDS, BackendChoice, choose
from tasks.roles.offers import Offers, offer_of

ROOT = Path(__file__).resolve().parents[3]

HEAVY = ("torch", "onnxruntime", "ai_edge_litert", "transformers", "intercog_model", "patchmatch")


class Editor(LocalBackend[Any, Any]):
    """An editor that is never loaded."""

    Options = Settings
    answering = frozenset()
    reproducible = False
    wire = 1
    offer = "tasks.backends.generative_offer:GenerativeEditorOffer"


class OtherEditor(Editor):
    """Another model with the same offer."""

    wire = 7


class OfferlessEditor(Editor):
    """One that forgot its offer."""

    offer = ""


def _choice(backend: type[LocalBackend[Any, Any]]) -> BackendChoice:
    return BackendChoice(role="editor", name="e", backend=backend, options=Settings(), prompts=())


def test_editors_with_the_same_offer_share_what_enters_the_instructions_digest():
    inpainter = GenerativeInpainterOffer(Settings())
    first, second = (
        Offers(editor=offer_of(_choice(editor)), inpainter=inpainter).material()
        for editor in (Editor, OtherEditor)
    )
    assert first == second
    assert first["editor"] == {"offer": "generative editor", "version": 1, "options": {}}


def test_other_offers_have_another_material():
    mine = Offers(
        editor=EmbeddedEditorOffer(Settings()), inpainter=EmbeddedInpainterOffer(RemovalOptions())
    ).material()
    theirs = Offers(
        editor=offer_of(_choice(Editor)), inpainter=GenerativeInpainterOffer(Settings())
    ).material()
    assert json.dumps(mine) != json.dumps(theirs)
    assert mine.keys() == theirs.keys() == {"editor", "inpainter"}


def test_a_backend_without_an_offer_is_told_by_name():
    with pytest.raises(ConfigurationError, match="OfferlessEditor"):
        offer_of(_choice(OfferlessEditor))


def test_a_removal_is_the_inpainters_and_all_else_the_editors():
    offers = Offers(editor=GenerativeEditorOffer(Settings()), inpainter=GenerativeInpainterOffer(Settings()))
    assert [t for t in EditType if offers.of(t) is offers.inpainter] == [EditType.REMOVE]
    assert offers.edit_types == tuple(EditType)


def test_what_can_be_made_is_what_both_offer_together():
    offers = Offers(
        editor=EmbeddedEditorOffer(Settings()), inpainter=EmbeddedInpainterOffer(RemovalOptions())
    )
    assert offers.edit_types == tuple(t for t in EditType if t not in (EditType.ACTION, EditType.TEXT))


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role in ("editor", "inpainter") for name in BACKENDS[role]]
)
def test_every_editor_and_inpainter_has_an_offer(role, name):
    offer = offer_of(choose(role, RoleSettings(backend=name), role))
    assert offer.edit_types
    assert offer.version >= 1


DRAW = """
import sys
from tasks.backends.generative_offer import GenerativeEditorOffer
from tasks.backends.embedded.painting.offer import EmbeddedEditorOffer
from tasks.backends.embedded.painting.removal_offer import EmbeddedInpainterOffer, RemovalOptions
from tasks.records.settings_base import Settings
from tasks.roles.offers import Offers
from tasks.stages.instruction.choose import choose_edit_type
from tasks.stages.instruction.settings import PAPER_COUNTS
from tests.tasks.stages.instruction.example_scenes import cups, target
for editor in (EmbeddedEditorOffer, GenerativeEditorOffer):
    offers = Offers(editor=editor(Settings()), inpainter=EmbeddedInpainterOffer(RemovalOptions()))
    assert choose_edit_type(target(cups(), 1), offers, PAPER_COUNTS, 0, "p")
"""

CHOOSE = """
import sys
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import BACKENDS, choose
from tasks.roles.offers import offer_of
for role in ("editor", "inpainter"):
    for name in BACKENDS[role]:
        offer_of(choose(role, RoleSettings(backend=name), role))
"""


@pytest.mark.parametrize(("code", "allowed"), [(DRAW, ()), (CHOOSE, ("patchmatch",))], ids=["draw", "choose"])
def test_drawing_an_edit_imports_no_inference_library(code, allowed):
    heavy = [name for name in HEAVY if name not in allowed]
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")
