"""Fixed 2-D sin-cos tables, flat grid ids into them, and sinusoids of the flow time."""

import math

import torch
from torch import Tensor, nn


def sincos_table(side: int, width: int) -> Tensor:
    """Fixed position table, float32 [side * side, width].

    Row r * side + c: the first half of the channels encodes the column c, the second half the row r;
    each half is all sines, then all cosines, of 10000 ** (-i / (width / 4)), computed in float64.
    """
    if width % 4:
        raise ValueError(f"table width must be divisible by 4, got {width}")
    quarter = width // 4
    omega = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    angle_SQ = torch.arange(side, dtype=torch.float64)[:, None] * omega
    axis_SE = torch.cat([angle_SQ.sin(), angle_SQ.cos()], dim=1)
    column = axis_SE[None, :, :].expand(side, side, -1)
    row = axis_SE[:, None, :].expand(side, side, -1)
    return torch.cat([column, row], dim=2).reshape(side * side, width).float()


class PositionTable(nn.Module):
    """A fixed table kept as the buffer `pos_embed`, since the published file stores it by that name."""

    pos_embed: Tensor

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        on_meta = torch.empty(0).device.type == "meta"
        table = torch.empty(side * side, width) if on_meta else sincos_table(side, width)
        self.register_buffer("pos_embed", table)

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the table, [n, width], for flat grid ids [n]."""
        return self.pos_embed[ids]


def grid_ids(rows: int, columns: int, side: int, *, interpolate: bool = False) -> Tensor:
    """Flat ids, int64 [rows * columns], of a grid laid into a table of `side` x `side`.

    Extrapolating (default): r * side + c, which needs the grid to fit the table. Interpolating: each
    coordinate is bucketed by integer arithmetic, r * side // rows.
    """
    r, c = torch.arange(rows), torch.arange(columns)
    if interpolate:
        r, c = r * side // rows, c * side // columns
    elif rows > side or columns > side:
        raise ValueError(f"a grid of {rows} x {columns} does not fit a position table of side {side}")
    return (r[:, None] * side + c[None, :]).reshape(-1)


def timestep_sinusoid(t: Tensor, width: int) -> Tensor:
    """Features of the flow time t in [0, 1] (not times 1000): float32 [n, width], cosines first."""
    half = width // 2
    frequency = torch.exp(
        -math.log(10000.0) * torch.arange(half, dtype=torch.float32, device=t.device) / half
    )
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)
