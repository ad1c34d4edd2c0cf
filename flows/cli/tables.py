"""Text tables, laid out by rich."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console, ConsoleRenderable
from rich.table import Table

WIDTH = 120
"""Maximum width of a table with wrapped cells."""

ROOM = 100_000
"""Width for a table that is never wrapped."""


def text_table(rows: Sequence[Sequence[str]], right: range | Sequence[int] = ()) -> str:
    """Rows in aligned columns, the first row a header; column numbers in ``right`` are right-aligned."""
    table = new_table(rows[0], right)
    for row in rows[1:]:
        table.add_row(*row)
    return rendered(table, ROOM)


def new_table(header: Sequence[str], right: range | Sequence[int] = ()) -> Table:
    """A borderless table of text, with two spaces between columns and no wrapping."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", no_wrap=True)
    return table


def rendered(table: ConsoleRenderable, width: int) -> str:
    """The table as plain text, without colors and trailing spaces."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        color_system=None,
        force_terminal=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip("\n").split("\n"))
