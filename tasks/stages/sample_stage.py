"""What a stage is: one async function over one sample; and the workbench it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

from tasks.imaging.arrays import Image
from tasks.records.outcomes import BlobRef, Outcome, StageInput
from tasks.roles.picture import Picture

P = ParamSpec("P")
T = TypeVar("T")


class Workbench(Protocol):
    """What a stage may use besides the models it asks."""

    @property
    def extra(self) -> Mapping[str, str]:
        """What the plan says about the unit besides its members (publish: which samples are refused)."""
        ...

    async def cpu(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function on a thread for computing; the loop that answers all other samples goes on meanwhile."""
        ...

    async def data(self, ref: BlobRef) -> bytes:
        """A blob's bytes; raises `SampleError` (``source_changed``) when they do not fit their digest."""
        ...

    async def rgb(self, ref: BlobRef) -> Image:
        """A blob decoded as (H, W, 3) uint8 RGB, read-only, once per worker while samples need it."""
        ...

    def picture(self, ref: BlobRef) -> Picture:
        """A blob as a picture for questions; read and decoded only when somebody looks at it."""
        ...


SampleStage: TypeAlias = Callable[[StageInput, Workbench], Awaitable[Outcome]]
"""One outcome per input. `SampleError` becomes a row of that sample, `EnvironmentFault` leaves the unit uncommitted."""
