"""A request for an edited picture and its reply, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.roles.chat import ChatPicture, ChatReply, ServedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEditRequest(ServedRequest):
    """One picture, one instruction, one edited picture.

    Attributes:
        prompt: the instruction.
        picture: as it is sent.
        mask: where the edit is meant, sent as the file ``mask_field``. Most servers ignore it.
        fields: further form fields, as the server's API spells them.
        seed_field: form field of the seed; empty: the API has none.
    """

    prompt: str
    picture: ChatPicture
    mask: ChatPicture
    mask_field: str
    fields: Mapping[str, str]
    seed_field: str = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureReply(ChatReply):
    """A reply that consists of a picture; ``text`` is the rest of it, so that it can be kept and read by people.

    Attributes:
        picture: encoded bytes; empty where ``fault`` says why there are none.
        fault: ``no_picture``, ``foreign_url`` (it is offered by another host), ``no_such_url`` or ``too_large``.
    """

    picture: bytes = b""
    fault: str = ""
