"""`python -m intercog_model.overfit RELEASE`: a tiny model learns a few samples by heart, and is then examined."""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from intercog_model.training.by_heart import Overfit, OverfitSettings, choose, photograph, target


def examine(overfit: Overfit, before: dict[str, float], draws: int = 3) -> dict[str, object]:
    """Losses, overlaps with and without conditioning, exact texts, and swapped instructions."""
    fresh = 10**6  # draws of steps that were never trained on
    after = overfit.losses(fresh)
    overlaps: dict[str, dict[str, list[float]]] = {
        "conditioned": defaultdict(list),
        "zeroed": defaultdict(list),
    }
    for example in overfit.examples:
        for i in range(draws):
            for kind, zero in (("conditioned", False), ("zeroed", True)):
                for name, value in overfit.mask_overlaps(example, fresh + i, zero=zero).items():
                    overlaps[kind][name].append(value)
    texts = [(overfit.chain(e, seed=1), overfit.texts(e)) for e in overfit.examples]
    wrong = [made for made, taught in texts if made != taught]
    return {
        "losses before": before,
        "losses after": after,
        "mean IoU": {
            kind: {n: sum(v) / len(v) for n, v in found.items()} for kind, found in overlaps.items()
        },
        "smallest IoU": {n: min(v) for n, v in overlaps["conditioned"].items()},
        "exact T1": f"{sum(made[0] == taught[0] for made, taught in texts)} of {len(texts)}",
        "exact T1 and T2": f"{len(texts) - len(wrong)} of {len(texts)}",
        "texts that differ": wrong,
        "swapped instructions": swapped(overfit),
    }


def swapped(overfit: Overfit) -> dict[str, object] | str:
    """Two targets of one photograph: each instruction must bring its own T1 and mask on the same picture."""
    pairs = [
        (a, b)
        for i, a in enumerate(overfit.examples)
        for b in overfit.examples[i + 1 :]
        if photograph(a) == photograph(b) and target(a) != target(b)
    ]
    if not pairs:
        return "no two targets of one photograph among the samples"
    found: dict[str, object] = {}
    for a, b in pairs[:1]:
        for ours, other in ((a, b), (b, a)):
            # the other's instruction and reasoning on our picture, scored against both masks
            moved = replace(ours, instruction=other.instruction, sections=other.sections)
            first = overfit.chain(moved, seed=2)[0]
            theirs = overfit.mask_overlaps(replace(moved, mask=other.mask), 10**6, zero=False)["mask_text"]
            own = overfit.mask_overlaps(moved, 10**6, zero=False)["mask_text"]
            found[f"{ours.key} with the instruction of {other.key}"] = {
                "T1 is the other's": first == overfit.texts(other)[0],
                "IoU with the other's mask": theirs,
                "IoU with its own mask": own,
            }
    return found


def main(arguments: list[str] | None = None) -> int:
    """Learn, examine, print and store the result."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.overfit", description=__doc__)
    parser.add_argument("release", help="folder of a GroundEdit release")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=OverfitSettings().steps)
    parser.add_argument("--minutes", type=float, default=OverfitSettings().minutes)
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    settings = OverfitSettings(steps=options.steps, minutes=options.minutes)
    overfit = Overfit(choose(options.release, options.samples), settings)
    print("samples", [e.key for e in overfit.examples])
    print("autoencoder: last squared error", overfit.fit_autoencoder())
    before = overfit.losses(10**6)
    print("steps made", overfit.learn(), flush=True)
    result = examine(overfit, before)
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
