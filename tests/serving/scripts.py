"""What a scripted chat server is asked and answers, and scripts of use to many tests."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image as Pillow

from tasks.imaging.arrays import Image

ROLES = ("tagger", "target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge")

UNKNOWN = "unknown"
"""Role of a request that begins with none of the prompts."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One chat request, as a script sees it.

    Attributes:
        role: one of `ROLES`, or `UNKNOWN`.
        number: how many requests of the role came before it.
        body: the request's JSON.
    """

    role: str
    number: int
    body: Mapping[str, Any]

    @cached_property
    def parts(self) -> list[Mapping[str, Any]]:
        """Parts of the first user turn."""
        content = next(m["content"] for m in self.body["messages"] if m["role"] == "user")
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    @property
    def texts(self) -> list[str]:
        """Texts of the first user turn, in order; the first is the prompt."""
        return [part["text"] for part in self.parts if part["type"] == "text"]

    @cached_property
    def pictures(self) -> list[Image]:
        """Pictures of the first user turn, decoded, in order."""
        urls = [part["image_url"]["url"] for part in self.parts if part["type"] == "image_url"]
        data = [base64.b64decode(url.partition(",")[2]) for url in urls]
        return [np.asarray(Pillow.open(io.BytesIO(d)).convert("RGB")) for d in data]

    @property
    def again(self) -> bool:
        """Whether an earlier reply was sent back with a complaint."""
        return sum(m["role"] == "user" for m in self.body["messages"]) > 1

    @property
    def wants_digits(self) -> tuple[str, ...]:
        """Names of the questions that are to be answered by 0 or 1 in one object; none in any other request."""
        properties = self.schema.get("properties") or {}
        named = {name: form.get("enum") == [0, 1] for name, form in properties.items()}
        return tuple(named) if named and all(named.values()) else ()

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema that the reply shall have, empty without one."""
        form = self.body.get("response_format") or {}
        return (form.get("json_schema") or {}).get("schema") or {}

    @property
    def seed(self) -> int:
        """The request's seed, 0 without one."""
        return int(self.body.get("seed") or 0)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server does with one request.

    Attributes:
        text, finish: of the reply.
        probabilities: of a digit's alternatives, sent as log-probabilities, one mapping for each digit of the text or
            one for its only digit; None: the server has none.
        status, headers: other than 200 is sent with an error body in the API's form.
        after_s: seconds until the first byte.
        between_s: seconds between the events of a stream.
        half: the connection breaks in the middle of the body.
        model: name in the reply, where it is not the server's own.
    """

    text: str = ""
    finish: str = "stop"
    probabilities: Mapping[str, float] | tuple[Mapping[str, float], ...] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    between_s: float = 0.0
    half: bool = False
    model: str = ""


Script = Callable[[Asked], Answer | Awaitable[Answer]]


def first_times(times: int, fault: Answer, script: Script) -> Script:
    """The first ``times`` requests of each role get ``fault``; a slow or half answer is that of ``script``."""

    async def answer(asked: Asked) -> Answer:
        if asked.number >= times:
            return await awaited(script(asked))
        if fault.status != 200 or fault.text:
            return fault
        good = await awaited(script(asked))
        return replace(
            good,
            after_s=fault.after_s,
            between_s=fault.between_s,
            half=fault.half,
            model=fault.model,
            finish=fault.finish,
        )

    return answer


def busy(retry_after_s: float, status: int = 429) -> Answer:
    """A server that has no time now."""
    return Answer(status=status, headers={"Retry-After": f"{retry_after_s:g}"})


def fixed_answers(asked: Asked) -> Answer:
    """The same right-looking answer to every question of a role, for benchmarks."""
    reasoning = {
        "1_Scene_Description": "Several things stand side by side on a plain ground.",
        "2_Target_Localization": "The target is the first thing from the left.",
        "3_Editing_Description": "The color of the thing changes to blue and nothing else does.",
        "4_Post_Edit_Description": "The thing is now blue, and all else stays as it was.",
    }
    written = {
        "Editing_Type": "Color",
        "Editing_Argument": "blue",
        "Editing_Instruction": "Turn the first thing from the left blue.",
        "CoT": reasoning,
        "Refusal": "",
    }
    if asked.wants_digits:
        names = asked.wants_digits
        digits = ({"1": 0.9, "0": 0.1},) * len(names)
        return Answer(text=json.dumps(dict.fromkeys(names, 1)), probabilities=digits)
    texts = {
        "tagger": '{"things": ["cup", "book"]}',
        "target_judge": "1",
        "instructor": json.dumps(written),
        "rewriter": "Make the first thing from the left blue.",
        "referrer": '{"matches": [1]}',
        "text_judge": "1",
        "edit_judge": '{"RegionEditAccuracy": 4.5, "SeamlessQuality": 4.5}',
    }
    yes = {"1": 0.9, "0": 0.1} if asked.role in ("target_judge", "text_judge") else None
    return Answer(text=texts.get(asked.role, "ok"), probabilities=yes)


async def awaited(answer: Answer | Awaitable[Answer]) -> Answer:
    """What a script gave, at once or later."""
    return answer if isinstance(answer, Answer) else await answer
