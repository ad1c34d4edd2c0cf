"""A script for the chat server that answers every role in free English, about scenes that a test knows.

It is handed what a server gets, texts and pictures, and nothing of the pipeline's records: the target is found by its
red box, numbers are read off the picture, an edit is judged by what changed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

from tasks.records.records import EditType
from tests.serving.scene_eyes import KnownScene, change, framed, numbered, recognized, scaled_box
from tests.serving.scene_words import chosen_argument, referred, rewritten, written
from tests.serving.scripts import Answer, Asked

VISIBLE = 4.0
"""Mean difference (0..255) inside the box from which an edit shows; JPEG alone gives about 1."""


class SceneWriter:
    """Answers as a careful model would that knows these scenes.

    Args:
        scenes: all pictures that questions may be about.
    """

    def __init__(self, scenes: Sequence[KnownScene]) -> None:
        self._scenes = tuple(scenes)
        self._roles: dict[str, Callable[[Asked], Answer]] = {
            "target_judge": self._judge_target,
            "instructor": self._instruct,
            "rewriter": self._rewrite,
            "referrer": self._refer,
            "text_judge": self._judge_text,
            "edit_judge": self._judge_edit,
        }

    def answer(self, asked: Asked) -> Answer:
        """The script: give this method to `ChatServer`."""
        return self._roles[asked.role](asked)

    def _judge_target(self, asked: Asked) -> Answer:
        scene, index = self._framed(asked)
        share = scene.objects[index].box.area / (scene.size[0] * scene.size[1])
        return _yes(0.92 if share < 0.35 else 0.08)

    def _instruct(self, asked: Asked) -> Answer:
        scene, index = self._framed(asked)
        told = asked.texts[1]
        edit_type = EditType(_after("The edit to ask for:", told).split()[0])
        becomes = re.search(r'Put "(.+?)" into Editing_Argument', told)
        draw = random.Random(asked.seed)
        argument = becomes[1] if becomes else chosen_argument(edit_type, scene.objects[index], draw)
        reply = written(scene, index, edit_type, argument, asked.seed)
        return Answer(text=json.dumps(reply or {"Refusal": "another thing looks the same"}))

    def _rewrite(self, asked: Asked) -> Answer:
        return Answer(text=rewritten(_after("Instruction:", asked.texts[1]), asked.seed))

    def _refer(self, asked: Asked) -> Answer:
        picture = asked.pictures[0]
        scene = recognized(picture, self._scenes)
        count = re.search(r"There are (\d+) numbered things", asked.texts[1])
        assert count is not None
        meant = referred(_after("Instruction:", asked.texts[1]), scene)
        numbers = numbered(picture, scene, int(count[1]))
        return Answer(text=json.dumps({"matches": [n for n, index in numbers.items() if index in meant]}))

    def _judge_text(self, asked: Asked) -> Answer:
        scene, index = self._framed(asked)
        meant = referred(_after("Instruction:", asked.texts[1]), scene)
        return _yes(0.97 if meant == (index,) else 0.04)

    def _judge_edit(self, asked: Asked) -> Answer:
        scene, index = self._framed(asked)
        before, after = asked.pictures[:2]
        inside, outside = change(before, after, scaled_box(scene.objects[index], scene, before))
        scores = {
            "RegionEditAccuracy": 4.6 if inside > VISIBLE else 1.3,
            "SeamlessQuality": 4.4 if outside < VISIBLE else 1.8,
        }
        return Answer(text=json.dumps(scores))

    def _framed(self, asked: Asked) -> tuple[KnownScene, int]:
        scene = recognized(asked.pictures[0], self._scenes)
        index = framed(asked.pictures[0], scene)
        assert index is not None, "no known object is framed in red"
        return scene, index


def _after(label: str, text: str) -> str:
    """The rest of the line that holds ``label``."""
    return text.partition(label)[2].strip().splitlines()[0].strip()


def _yes(probability: float) -> Answer:
    return Answer(
        text="1" if probability >= 0.5 else "0", probabilities={"1": probability, "0": 1 - probability}
    )
