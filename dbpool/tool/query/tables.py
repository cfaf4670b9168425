"""Rows at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from dbpool.core.tablefit import GAP, fit
from dbpool.tool.query.question import Column
from dbpool.tool.query.seen import Row, Seen
from dbpool.wording import counted

NULL: Final = "NULL"
_CONTROLS: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    9: "\\t",
    10: "\\n",
    13: "\\r",
}


def show(columns: Sequence[Column], seen: Seen, *, is_expanded: bool) -> None:
    """Print *seen* on stdout, and what it does not show."""
    console = Console(highlight=False, soft_wrap=True)
    notes = [_of_all(seen)]
    if not columns:
        pass
    elif is_expanded:
        _print_records(console, columns, seen.rows)
    else:
        notes += _print_table(console, columns, seen.rows)
    console.print(Text(f"({'; '.join(notes)})", style="dim"))
    sys.stdout.flush()


def _of_all(seen: Seen) -> str:
    if not seen.has_more:
        return counted(seen.total, "row")
    of = f" of {seen.total:,}" if seen.total > len(seen.rows) + 1 else ", and there are more"
    return f"{counted(len(seen.rows), 'row')}{of}: --limit 0 shows all"


def _print_table(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Print what fits; return what to say of the rest."""
    cells = [[_cell(value) for value in row] for row in rows]
    names = [_plain(column.name) for column in columns]
    wanted = [max([cell_len(name), *(cell_len(row[place]) for row in cells)]) for place, name in enumerate(names)]
    fits = fit(wanted, [column.is_numeric for column in columns], console.width)
    shown = len(fits.widths)
    heading = [_fitted(names[place], width, columns[place]) for place, width in enumerate(fits.widths)]
    console.print(_joined([Text(text, style="bold") for text in heading]))
    console.print(
        Text(
            (" " * GAP).join("─" * width for width in fits.widths)
            if _is_unicode(console)
            else (" " * GAP).join("-" * width for width in fits.widths),
            style="dim",
        )
    )
    for row, texts in zip(rows, cells, strict=True):
        line = [
            Text(_fitted(texts[place], width, columns[place]), style="dim italic" if row[place] is None else "")
            for place, width in enumerate(fits.widths)
        ]
        console.print(_joined(line))
    notes = []
    if fits.cut:
        notes.append(f"{_listed([names[place] for place in fits.cut])} cut")
    if shown < len(columns):
        notes.append(f"without {_listed(names[shown:])}")
    return [f"{', '.join(notes)}: --expanded shows all"] if notes else []


def _print_records(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    names = [_plain(column.name) for column in columns]
    widest = max(map(cell_len, names))
    for number, row in enumerate(rows, 1):
        console.print(Text(f"-[ {number} ]-", style="dim"))
        for name, value in zip(names, row, strict=True):
            label = Text(set_cell_size(name, widest) + " " * GAP, style="bold")
            lines = NULL if value is None else value
            style = "dim italic" if value is None else ""
            for line in lines.split("\n"):
                console.print(label + Text(_plain(line), style=style))
                label = Text(" " * (widest + GAP))


def _cell(value: str | None) -> str:
    return NULL if value is None else _plain(value)


def _plain(text: str) -> str:
    """*text* without what a terminal would obey."""
    return text.translate(_CONTROLS)


def _fitted(text: str, width: int, column: Column) -> str:
    """*text* in so many cells, numbers to the right."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if column.is_numeric else text + " " * (width - length)


def _joined(cells: Sequence[Text]) -> Text:
    line = Text(" " * GAP).join(cells)
    line.rstrip()
    return line


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _is_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")
