"""A script for the chat server that answers every role in free English, about scenes that a test knows.

It is handed what a server gets, texts and pictures, and nothing of the pipeline's records: the target is found by its
red box, numbers are read off the picture, an edit is judged by what changed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

from tasks.imaging.arrays import Image
from tasks.records.records import EditType
from tests.serving.scene_eyes import KnownObject, KnownScene, change, framed, numbered, recognized, scaled_box
from tests.serving.scene_words import chosen_argument, referred, rewritten, written
from tests.serving.scripts import UNKNOWN, Answer, Asked

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
            "tagger": self._tag,
            "target_judge": self._judge_target,
            "instructor": self._instruct,
            "rewriter": self._rewrite,
            "referrer": self._refer,
            "text_judge": self._judge_text,
            "edit_judge": self._judge_edit,
        }

    def answer(self, asked: Asked) -> Answer:
        """The script: give this method to `ChatServer`."""
        if asked.role == UNKNOWN:
            return Answer(text="ok")
        return self._roles[asked.role](asked)

    def _tag(self, asked: Asked) -> Answer:
        scene = recognized(asked.pictures[0], self._scenes)
        return Answer(
            text=json.dumps({"things": list(dict.fromkeys(thing.label for thing in scene.objects))})
        )

    def _judge_target(self, asked: Asked) -> Answer:
        scene, index = self._framed(asked)
        share = scene.objects[index].box.area / (scene.size[0] * scene.size[1])
        hard = 0.92 if share < 0.35 else 0.08
        if asked.wants_digits:
            likely = ({"1": 0.96, "0": 0.04}, {"1": hard, "0": 1 - hard})
            return Answer(text=json.dumps({"precise": 1, "hard": round(hard)}), probabilities=likely)
        return _yes(hard)

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
        meant = referred(_after("Instruction:", asked.texts[1]), scene)
        count = re.search(r"There are (\d+) numbered things", asked.texts[1])
        if count is None:
            boxes = [pointed_at(scene.objects[index], scene, picture, asked.texts[1]) for index in meant]
            return Answer(text=json.dumps({"boxes": [{"bbox_2d": box} for box in boxes]}))
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
        if asked.wants_digits:
            good = {"done": inside > VISIBLE, "kept": True, "real": True, "blended": outside < VISIBLE}
            likely = tuple({"1": 0.95, "0": 0.05} if yes else {"1": 0.1, "0": 0.9} for yes in good.values())
            digits = {name: int(yes) for name, yes in good.items()}
            return Answer(text=json.dumps(digits), probabilities=likely)
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


def pointed_at(thing: KnownObject, scene: KnownScene, picture: Image, told: str) -> list[int]:
    """A thing's box in the frame that a question asks for: thousandths, or pixels of the picture as it came."""
    height, width = picture.shape[:2]
    size = (1000, 1000) if "from 0 to 1000" in told else (width, height)
    across, down = size[0] / scene.size[0], size[1] / scene.size[1]
    box = thing.box
    return [round(box.x0 * across), round(box.y0 * down), round(box.x1 * across), round(box.y1 * down)]


def _after(label: str, text: str) -> str:
    """The rest of the line that holds ``label``."""
    return text.partition(label)[2].strip().splitlines()[0].strip()


def _yes(probability: float) -> Answer:
    return Answer(
        text="1" if probability >= 0.5 else "0", probabilities={"1": probability, "0": 1 - probability}
    )
