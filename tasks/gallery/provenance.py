"""What made the samples of a page: listed once where they share it, and per sample only where it differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.publishing.shard_format import NONE, LibraryShape, ModelShape, PromptShape, SampleMeta
from tasks.records.records import EditedSample, EditPlan, GroundedTarget, ModelIdentity

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Models that answered, prompt files that were read and installed libraries, each once."""

    models: tuple[ModelShape, ...] = ()
    prompts: tuple[PromptShape, ...] = ()
    libraries: tuple[LibraryShape, ...] = ()

    def without(self, other: Made) -> Made:
        """What the other one does not contain."""
        return Made(
            models=tuple(m for m in self.models if m not in other.models),
            prompts=tuple(p for p in self.prompts if p not in other.prompts),
            libraries=tuple(item for item in self.libraries if item not in other.libraries),
        )


def made_of_sample(meta: SampleMeta) -> Made:
    """Provenance of a released sample."""
    named = tuple(p for p in meta.provenance.prompts if p.name != NONE)
    libraries = tuple(item for item in meta.provenance.libraries if item.name != NONE)
    return Made(models=meta.provenance.models, prompts=named, libraries=libraries)


def made_of_refused(
    target: GroundedTarget | None, plan: EditPlan | None, sample: EditedSample | None
) -> Made:
    """The same for a rejected sample, up to where it ended; its libraries are only in its units' commits."""
    chain: list[ModelIdentity] = list(target.scene.models) if target else []
    read: list[tuple[str, str]] = []
    for record in (target, plan, sample):
        chain += record.models if record else ()
        read += record.prompts if record else ()
    prompts = (PromptShape(name=name, sha256=digest) for name, digest in read)
    return Made(models=_once(_shape(m) for m in chain), prompts=_once(prompts))


def shared_by(all_made: Sequence[Made]) -> Made:
    """What all of them contain, in the order of the first."""
    if not all_made:
        return Made()
    first, rest = all_made[0], all_made[1:]
    return Made(
        models=tuple(m for m in first.models if all(m in other.models for other in rest)),
        prompts=tuple(p for p in first.prompts if all(p in other.prompts for other in rest)),
        libraries=tuple(i for i in first.libraries if all(i in other.libraries for other in rest)),
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
