"""The script of the drawn builds' server: a careful writer whose judges and rewriter can be changed by a test."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from tests.flows.drawn.photographs import known_scenes
from tests.serving.scene_eyes import framed, recognized
from tests.serving.scene_words import FRAMES
from tests.serving.scene_writer import SceneWriter
from tests.serving.scripts import Answer, Asked

SCENES = known_scenes(20)

MARKER = "Answer with care."
"""Sentence that a test adds to a prompt; the script answers half of such questions differently."""


class DrawnScript:
    """Answers every role. Half of the edits are good and half are very good; some targets are easy.

    Attributes:
        instead: role -> what answers it in place of the careful writer.
    """

    def __init__(self) -> None:
        self._writer = SceneWriter(SCENES)
        self.instead: dict[str, Callable[[Asked, Answer], Answer]] = {}

    def __call__(self, asked: Asked) -> Answer:
        answer = getattr(self, f"_{asked.role}", self._as_written)(asked, self._writer.answer(asked))
        return self.instead.get(asked.role, self._as_written)(asked, answer)

    @staticmethod
    def _as_written(asked: Asked, answer: Answer) -> Answer:
        del asked
        return answer

    @staticmethod
    def _edit_judge(asked: Asked, answer: Answer) -> Answer:
        good = is_half(instruction_of(asked))
        return replace(answer, text=answer.text.replace("4.6", "4.2") if good else answer.text)

    @staticmethod
    def _target_judge(asked: Asked, answer: Answer) -> Answer:
        easy = (sum(target_of(asked)) + (MARKER in asked.texts[0])) % 3 == 0
        return replace(answer, text="0", probabilities={"1": 0.1, "0": 0.9}) if easy else answer

    @staticmethod
    def _rewriter(asked: Asked, answer: Answer) -> Answer:
        instruction = instruction_of(asked)
        other = MARKER in asked.texts[0] or asked.body["model"] != "test-model"
        if not other or not is_half(instruction):
            return answer
        lowered = instruction[0].lower() + instruction[1:]
        frames = (frame for frame in FRAMES if "{lowered}" in frame)
        texts = (frame.format(lowered=lowered) for frame in frames)
        return Answer(text=next(text for text in texts if text != answer.text))


def instruction_of(asked: Asked) -> str:
    """The instruction in a question to rewriter, referrer or judges."""
    text = next(text for text in asked.texts[1:] if "Instruction:" in text)
    return text.partition("Instruction:")[2].strip().splitlines()[0].strip()


def target_of(asked: Asked) -> tuple[int, int]:
    """Number of the scene and index of the thing that is framed in red."""
    scene = recognized(asked.pictures[0], SCENES)
    index = framed(asked.pictures[0], scene)
    assert index is not None
    return SCENES.index(scene), index


def is_half(text: str) -> bool:
    """True for about one half of all texts."""
    return zlib.crc32(text.encode()) % 2 == 0
