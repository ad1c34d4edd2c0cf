"""What made the samples of a page: said once where they share it, and with a sample only where it differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.publishing.shard_format import NONE, ModelShape, PromptShape, SampleMeta
from tasks.records.records import EditedSample, EditPlan, GroundedTarget, ModelIdentity

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Models that answered and prompt files that were used, each once."""

    models: tuple[ModelShape, ...] = ()
    prompts: tuple[PromptShape, ...] = ()

    def without(self, other: Made) -> Made:
        """What is not in the other one."""
        return Made(
            models=tuple(m for m in self.models if m not in other.models),
            prompts=tuple(p for p in self.prompts if p not in other.prompts),
        )


def made_of_sample(meta: SampleMeta) -> Made:
    """What a released sample says of itself."""
    named = tuple(p for p in meta.provenance.prompts if p.name != NONE)
    return Made(models=meta.provenance.models, prompts=named)


def made_of_refused(
    target: GroundedTarget | None, plan: EditPlan | None, sample: EditedSample | None
) -> Made:
    """The same of something refused, as far as it got."""
    chain: list[ModelIdentity] = []
    if target:
        chain += [*target.scene.models, *target.models]
    chain += plan.models if plan else ()
    chain += sample.models if sample else ()
    prompts = (PromptShape(name=name, sha256=digest) for name, digest in (plan.prompts if plan else ()))
    return Made(models=_once(_shape(m) for m in chain), prompts=_once(prompts))


def shared_by(all_made: Sequence[Made]) -> Made:
    """What every one of them has, in the order of the first."""
    if not all_made:
        return Made()
    first, rest = all_made[0], all_made[1:]
    return Made(
        models=tuple(m for m in first.models if all(m in other.models for other in rest)),
        prompts=tuple(p for p in first.prompts if all(p in other.prompts for other in rest)),
    )


def _once(things: Iterable[Thing]) -> tuple[Thing, ...]:
    return tuple(dict.fromkeys(things))


def _shape(model: ModelIdentity) -> ModelShape:
    return ModelShape(
        role=model.role,
        backend=model.backend,
        model=model.model or NONE,
        revision=model.revision or NONE,
        digest=model.digest or NONE,
    )
