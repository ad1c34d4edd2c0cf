"""The type of a stage (one async function over one sample), and the workbench passed to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

from tasks.imaging.arrays import Image
from tasks.records.outcomes import BlobRef, Outcome, StageInput
from tasks.roles.picture import Picture

P = ParamSpec("P")
T = TypeVar("T")


class Workbench(Protocol):
    """What a stage may use besides its roles."""

    @property
    def extra(self) -> Mapping[str, str]:
        """Data from the plan about the unit (publish: which samples are rejected)."""
        ...

    async def cpu(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function on a computing thread, without blocking the loop of the other samples."""
        ...

    async def data(self, ref: BlobRef) -> bytes:
        """A blob's bytes; raises `SampleError` (``source_changed``) if they do not match their digest."""
        ...

    async def rgb(self, ref: BlobRef) -> Image:
        """A blob decoded as (H, W, 3) uint8 RGB, read-only; decoded once per worker while samples need it."""
        ...

    def picture(self, ref: BlobRef) -> Picture:
        """A blob as a picture for questions; read and decoded only when needed."""
        ...


SampleStage: TypeAlias = Callable[[StageInput, Workbench], Awaitable[Outcome]]
"""Returns one outcome per input. `SampleError` becomes the sample's row; `EnvironmentFault` leaves the unit open."""
