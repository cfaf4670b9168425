"""Tables at a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from dbpool.loadtest.report.view.figure import Table

STYLES = {"better": "green", "worse": "red", "REGRESSION": "bold red", "MISSED": "bold red", "met": "green"}


def print_table(console: Console, found: Table) -> None:
    """With a heading; words that judge have their colour, and columns of numbers stand to the right."""
    print_heading(console, found.caption)
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for number, name in enumerate(found.head):
        column = [row[number] for row in found.rows]
        is_number = all(cell[:1] in "0123456789+-–" for cell in column if cell)
        table.add_column(name, justify="right" if is_number and number else "left", overflow="fold", no_wrap=is_number)
    for row in found.rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console.print(table)


def print_heading(console: Console, text: str) -> None:
    """A line above what belongs together."""
    console.print(Text(f"\n{text}", style="bold"))


def print_lines(console: Console, *texts: str, style: str = "") -> None:
    """Each on a line of its own, wrapped where the terminal ends."""
    for text in texts:
        console.print(Text(text, style=style))
