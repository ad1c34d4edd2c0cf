"""What one optimizer step trains on: its samples, cut into packs and dealt to ranks by their order alone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from intercog_model.data.draws import Draws
from intercog_model.data.example import Example
from intercog_model.data.mixture import Mixture
from intercog_model.data.plans import BuiltSample, PlanBuilder
from intercog_model.data.tokenizer import TextError
from intercog_model.errors import ConfigurationError
from intercog_model.grounding.features import ImageFeatures
from intercog_model.packing.pack import pack
from intercog_model.training.objective import TrainingBatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepPlan:
    """Packs of examples in order; the same on every rank and for any number of ranks."""

    step: int
    packs: tuple[tuple[Example, ...], ...]

    @property
    def keys(self) -> list[str]:
        """Sample keys in order."""
        return [example.key for members in self.packs for example in members]

    def share(self, rank: int, world: int) -> list[tuple[tuple[Example, ...], bool]]:
        """The packs of a rank, each with whether it counts.

        Every rank gets equally many, since sharded layers meet in each pass: short ones repeat their first pack
        without counting it.
        """
        rounds = -(-len(self.packs) // world)
        mine = [(members, True) for members in self.packs[rank::world]]
        return mine + [(self.packs[0], False)] * (rounds - len(mine))


class StepPlanner:
    """Takes samples off the mixture and packs them; too long ones are left out, counted by key.

    So are those whose text makes no tokens, which count as broken.
    """

    def __init__(
        self,
        mixture: Mixture,
        builder: PlanBuilder,
        features: ImageFeatures | None,
        *,
        seed: int,
        samples: int,
        max_tokens: int,
    ) -> None:
        self.mixture, self.builder, self.features = mixture, builder, features
        self.seed, self.samples, self.max_tokens = seed, samples, max_tokens
        self.too_long: Counter[str] = Counter()

    def plan(self, step: int) -> StepPlan:
        """The next step's packs, filled greedily in the order of the samples."""
        packs: list[list[Example]] = []
        room = count = 0
        for example, length in self._usable(step):
            if length > room:
                packs.append([])
                room = self.max_tokens
            packs[-1].append(example)
            room, count = room - length, count + 1
            if count == self.samples:
                break
        return StepPlan(step=step, packs=tuple(tuple(members) for members in packs))

    def _usable(self, step: int) -> Iterator[tuple[Example, int]]:
        """Examples that fit into a pack, without end, each with its length in rows; the others are counted.

        Raises ConfigurationError where there is hardly any.
        """
        refused = 0
        while refused <= 100 * self.samples:
            example = self.mixture.take()
            try:
                length = self.builder.length(example, self._draws(example, step))
            except TextError as error:
                self.mixture.leave_out(example.key, f"{type(error).__name__}: {error}")
                why = f"no sample can be used; last {example.key}: {error}"
            else:
                if length <= self.max_tokens:
                    yield example, length
                    continue
                self.too_long[example.key] += 1
                why = f"no sample fits {self.max_tokens} tokens; last {example.key} with {length}"
            refused += 1
        raise ConfigurationError(why)

    def position(self) -> dict[str, Any]:
        """Where the mixture stands and what was left out so far and why, for a checkpoint."""
        return {
            "mixture": self.mixture.state(),
            "broken": dict(self.mixture.broken),
            "too_long": dict(self.too_long),
            "reasons": self.mixture.reasons
            | dict.fromkeys(self.too_long, f"longer than {self.max_tokens} tokens"),
        }

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where `position` was taken; ConfigurationError when the sources are others."""
        self.mixture.restore(position["mixture"])
        self.mixture.broken = Counter(position["broken"])
        self.too_long = Counter(position["too_long"])
        told: dict[str, str] = position.get("reasons", {})  # absent from the checkpoints of earlier versions
        self.mixture.reasons = {key: told[key] for key in self.mixture.broken if key in told}

    def batch(self, members: tuple[Example, ...], step: int) -> TrainingBatch:
        """Build and pack the examples of one pack."""
        return self.packed([self.builder.build(example, self._draws(example, step)) for example in members])

    def packed(self, built: Sequence[BuiltSample]) -> TrainingBatch:
        """One pack of built samples, with the image features that their targets need."""
        return TrainingBatch(
            packed=pack([b.sample for b in built], self.builder.model),
            targets=tuple(b.target for b in built),
            features=tuple(
                self.features.features(b.target.key, b.target.image) if self.features and b.target else None
                for b in built
            ),
        )

    def _draws(self, example: Example, step: int) -> Draws:
        return Draws(self.seed, example.key, step)
