"""The publish stage: a unit is a shard, and the unit's tar is that shard byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.release_context import SampleContext
from tasks.publishing.sample_libraries import read_extra
from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import MEMBERS
from tasks.publishing.splits import REFUSED, split_of
from tasks.records.errors import DataFault, Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, PixelReader, StageInput, ended
from tasks.records.records import EditedSample, ModelIdentity

STEP_VERSIONS = {"describe_sample": 2, "splits": 1, "gallery": 5}
"""Raised when a step's code changes what comes out."""

PICTURES = tuple(name for name in MEMBERS if name != "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishStage:
    """Copies each sample's pictures and describes it; what cannot change is never re-encoded.

    Attributes:
        unit_extra: of the unit at work (`tasks.storage.protocol.units.Unit.extra`): which members are refused, and why,
            and the libraries that made them.
    """

    settings: PublishSettings
    context: SampleContext
    unit_extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Nobody answers here."""
        return ()

    def for_unit(self, extra: Mapping[str, str]) -> PublishStage:
        """The stage for one unit of the plan."""
        return replace(self, unit_extra=extra)

    def process(self, inputs: Sequence[StageInput], pixels: PixelReader) -> list[Outcome]:
        """One outcome an input, in the order given, which is the shard's."""
        return [self._publish(item, pixels) for item in inputs]

    def _publish(self, item: StageInput, pixels: PixelReader) -> Outcome:
        sample = item.record
        if not isinstance(sample, EditedSample):
            raise DataFault(f"{item.id}: publish was given a {type(sample).__name__}")
        refused = self.unit_extra.get(REFUSED + item.id)
        if refused is not None:
            return Outcome(input_id=item.id, reason=Reason.SPLIT_CONFLICT, detail=refused)
        split = split_of(
            self.context.seed, sample.plan.target.scene.source.sid, self.settings.validation_share
        )
        try:
            blobs = [Blob(name=name, data=pixels.data(item.blobs[name])) for name in PICTURES]
        except SampleError as error:
            return ended(item.id, error)
        except KeyError as error:
            raise DataFault(f"{item.id}: came without {error}") from error
        libraries = read_extra(self.unit_extra, item.id)
        described = describe_sample(sample, split, self.context, libraries).to_json()
        child = Child(
            id=sample.plan.plan_id, record=sample, blobs=(*blobs, Blob(name="json", data=described))
        )
        return Outcome(input_id=item.id, children=(child,))
