"""The parts of a report at a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from dbpool.loadtest.report.columns import are_numbers, fitted, least_width
from dbpool.loadtest.report.view.figure import Beside, Code, Figure, Notes, Part, Row, Table, Verdict, Words

STYLES: Final = {
    "better": "green",
    "worse": "red",
    "REGRESSION": "bold red",
    "✓ met": "green",
    "✗ missed": "bold red",
    "✗ too many": "red",
}
GAP: Final = 2  # between columns


def print_parts(console: Console, parts: Iterable[Part]) -> None:
    """Each in its order; of a figure its table."""
    for part in parts:
        _print(console, part)


def _print(console: Console, part: Part) -> None:
    match part:
        case Verdict(number=number, what=what, marks=marks, says=says):
            name = " ".join(filter(None, (number, what)))
            console.print(Text.assemble((name, "bold"), *(f"  ·  {mark}" for mark in marks)))
            print_lines(console, says)
        case Table():
            print_table(console, part)
        case Figure(table=table):
            print_table(console, table)
        case Row(figures=figures):
            print_parts(console, figures)
        case Beside(left=left, right=right):
            print_parts(console, (*left, *right))
        case Code(text=code, name=name):
            print_heading(console, name)
            console.print(Text(code))
        case Notes(title=title, texts=texts):
            print_heading(console, title)
            print_lines(console, *(f"! {text}" for text in texts), style="yellow")
        case Words(text=words):
            print_lines(console, words)


def print_table(console: Console, found: Table) -> None:
    """Under its caption; words that judge have their colour, and columns of numbers stand to the right."""
    print_heading(console, found.caption)
    is_pairs = found.is_text and len(found.head) == 2
    table = RichTable(
        box=None if is_pairs else box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, GAP if is_pairs else GAP - 1, 0, 0),
        header_style="dim",
        show_edge=False,
        show_header=not is_pairs,
    )
    columns = [[row[number] for row in found.rows] for number in range(len(found.head))]
    names = [""] * len(columns) if is_pairs else found.head
    widths = fitted(
        [least_width(name, cells) for name, cells in zip(names, columns, strict=True)],
        [max(map(len, (name, *cells))) for name, cells in zip(names, columns, strict=True)],
        console.width - GAP * (len(columns) - 1),
    )
    for number, (name, cells, width) in enumerate(zip(names, columns, widths, strict=True)):
        is_right = not is_pairs and are_numbers(cells)
        style = "dim" if is_pairs and not number else ""
        table.add_column(Text(name), justify="right" if is_right else "left", overflow="fold", width=width, style=style)
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
