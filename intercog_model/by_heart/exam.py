"""What a model that learned its samples by heart must show: the aims, and the examination against them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from intercog_model.by_heart.samples import photograph, target
from intercog_model.by_heart.student import Student
from intercog_model.data.chain_text import Sections, parse_text
from intercog_model.data.example import GroundingExample
from intercog_model.packing.resize import to_pixels
from intercog_model.training.objective import MASK_TERMS

FRESH = 10**6  # draws of steps that were never trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """Every threshold of the examination."""

    ce_part: float = 0.05  # a loss that starts above zero must fall to this part of its first value
    mse_part: float = 0.25
    mask_part: float = 0.1
    cosine_fall: float = 0.5  # tv and vv lie in [-1, 1] and start near 0
    iou: float = 0.8  # at the logits' resolution, of every sample
    zeroed_iou: float = 0.3  # mean over the samples, the source's conditioning set to zero
    exact_texts: float = 7 / 8  # share of the samples whose T1 and T2 are both generated to the letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measured figure, the bound that it must keep, and what was measured besides."""

    name: str
    value: float
    bound: float
    at_least: bool  # else at most
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure keeps the bound; NaN never does."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def line(self) -> str:
        """For the terminal."""
        sign = ">=" if self.at_least else "<="
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.name}: {self.value:.4f} {sign} {self.bound:.4f}  {self.note}".rstrip()


def examine(student: Student, before: dict[str, float], aims: Aims, draws: int = 4) -> list[Check]:
    """All checks; `before` are the losses of the untrained model with the draws of step `FRESH`."""
    return [
        *loss_checks(before, student.losses(FRESH), aims),
        *mask_checks(student, aims, draws),
        *text_checks(student, aims),
        *swap_checks(student, aims),
    ]


def loss_checks(before: dict[str, float], after: dict[str, float], aims: Aims) -> list[Check]:
    """How far each term fell, with the same draws before and after."""
    parts = {"ce": aims.ce_part, "mse": aims.mse_part} | dict.fromkeys(MASK_TERMS, aims.mask_part)
    found = list[Check]()
    for name, first in before.items():
        bound = parts[name] * first if name in parts else first - aims.cosine_fall
        found.append(
            Check(
                name=f"loss {name}", value=after[name], bound=bound, at_least=False, note=f"from {first:.4f}"
            )
        )
    return found


def mask_checks(student: Student, aims: Aims, draws: int) -> list[Check]:
    """Overlap of each source's mask, and of the same with that source's conditioning zeroed.

    A sample's figure is its mean over `draws` fresh noises and times. A decoder that knows the photograph alone
    gives all samples of it one mask; where their targets do not overlap, the overlaps of one mask with each of
    them add up to 1 at most, so that it reaches photographs / samples on average.
    """
    alone = len({photograph(e) for e in student.examples}) / len(student.examples)
    given, zeroed = dict[str, list[float]](), dict[str, list[float]]()
    for term in MASK_TERMS:
        given[term] = [_mean_overlap(student, e, term, (), draws) for e in student.examples]
        zeroed[term] = [_mean_overlap(student, e, term, (term,), draws) for e in student.examples]
    checks = [
        Check(
            name=f"smallest IoU of {term}",
            value=min(values),
            bound=aims.iou,
            at_least=True,
            note=f"mean {_mean(values):.4f}",
        )
        for term, values in given.items()
    ]
    checks += [
        Check(
            name=f"mean IoU of {term}, conditioning zeroed",
            value=_mean(values),
            bound=aims.zeroed_iou,
            at_least=False,
            note=f"largest {max(values):.4f}; by heart from the photograph alone up to {alone:.4f}",
        )
        for term, values in zeroed.items()
    ]
    return checks


def _mean_overlap(
    student: Student, example: GroundingExample, term: str, zero: tuple[str, ...], draws: int
) -> float:
    return _mean([student.mask_overlaps(example, FRESH + i, zero)[term] for i in range(draws)])


def text_checks(student: Student, aims: Aims) -> list[Check]:
    """Texts of the whole chain, V drawn by the model; and the same texts with everything before them given."""
    exact, errors = 0, list[float]()
    for example in student.examples:
        result, (first, second) = student.chain(example, seed=1), student.texts(example)
        exact += (result.first_text, result.second_text) == (first, second)
        for name, made, aim in (("T1", result.first_text, first), ("T2", result.second_text, second)):
            if made != aim:
                print(f"{example.key} {name}\n  made   {made!r}\n  taught {aim!r}")
        if result.grounded is not None:
            grounded = example.grounded.convert("RGB").resize(result.grounded.size)
            difference = to_pixels(result.grounded) - to_pixels(grounded)
            errors.append(float(difference.abs().mean()) * 127.5)
    wrong = sum(student.wrong_tokens(example, FRESH) for example in student.examples)
    count = len(student.examples)
    return [
        Check(
            name=f"samples of {count} with T1 and T2 exact, V drawn",
            value=exact,
            bound=math.ceil(aims.exact_texts * count),
            at_least=True,
            note=f"V is off by {_mean(errors):.1f} of 255; wrong tokens where all before is given: {wrong}",
        )
    ]


def swap_checks(student: Student, aims: Aims) -> list[Check]:
    """Two targets of a photograph: each instruction must bring its own T1, and by it its own mask.

    The mask is decoded from the T1 that the model generated.
    """
    pairs = _pairs(student.examples)
    checks = [Check(name="swapped instructions to try", value=len(pairs), bound=2, at_least=True)]
    for ours, other in pairs:
        name = f"{ours.key} with the instruction of {other.key}"
        moved = replace(ours, instruction=other.instruction)
        text = student.chain(moved, seed=2).first_text
        same = text == student.texts(other)[0]
        checks.append(Check(name=f"{name}: T1 is the other's", value=float(same), bound=1, at_least=True))
        scene, place = parse_text(text) or ("", text)
        sections = Sections(scene=scene, target=place, edit=other.sections.edit, result=other.sections.result)
        moved = replace(moved, sections=sections)
        for whose, mask, at_least in (("the other's", other.mask, True), ("its own", ours.mask, False)):
            value = student.mask_overlaps(replace(moved, mask=mask), FRESH)["mask_text"]
            bound = aims.iou if at_least else aims.zeroed_iou
            checks.append(
                Check(name=f"{name}: IoU with {whose} mask", value=value, bound=bound, at_least=at_least)
            )
    return checks


def _pairs(examples: Sequence[GroundingExample]) -> list[tuple[GroundingExample, GroundingExample]]:
    """Both orders of the first two targets of every photograph that has two."""
    found = list[tuple[GroundingExample, GroundingExample]]()
    for name in dict.fromkeys(photograph(e) for e in examples):
        mine = {target(e): e for e in examples if photograph(e) == name}
        if len(mine) > 1:
            a, b = list(mine.values())[:2]
            found += [(a, b), (b, a)]
    return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
