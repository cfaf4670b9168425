"""Words, tables and code as HTML; whatever comes from a document is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from dbpool.loadtest.report.view.figure import Code, Notes, Table, Verdict
from dbpool.loadtest.report.view.numbers import TOO_FEW

LONG: Final = 12  # rows: a longer table is folded
MANY: Final = 60  # rows: of more than those a word in each would make the page large


def table_of(table: Table) -> str:
    """*table*, folded if it is long; ends of rows and cells are left out, as HTML allows."""
    is_open = len(table.rows) <= LONG if table.is_open is None else table.is_open
    caption = escape(table.caption)
    return _scroll(table, "") if is_open else _folded(table, f"Table: {caption}")


def numbers_of(table: Table) -> str:
    """The table of a figure, folded."""
    return _folded(table, f"Numbers<span class=unseen> of {escape(table.caption)}</span>")


def _folded(table: Table, summary: str) -> str:
    many = f"{len(table.rows):,} row{'' if len(table.rows) == 1 else 's'}"
    return (
        f"<details class=numbers><summary>{summary} <span class=quiet>({many})</span></summary>"
        f"{_scroll(table, ' class=unseen')}</details>"
    )


def _scroll(table: Table, caption_class: str) -> str:
    caption, kind = escape(table.caption), "words" if table.is_text else "figures"
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{caption}"><table class={kind}>'
        f"<caption{caption_class}>{caption}</caption>{_rows(table)}</table></div>"
    )


def _rows(table: Table) -> str:
    head = "".join(f"<th scope=col>{escape(name)}" for name in table.head)
    row = "<tr><th scope=row>" if len(table.rows) <= MANY else "<tr><th>"
    rows = "".join(f"{row}{escape(first)}" + "".join(_cell(text) for text in rest) for first, *rest in table.rows)
    return f"<thead><tr>{head}<tbody>{rows}"


def _cell(text: str) -> str:
    return f"<td class=few>{text}" if text == TOO_FEW else f"<td>{escape(text)}"


def words_of(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def code_of(code: Code) -> str:
    """Code with a button that copies it."""
    return (
        f"<figure class=code><figcaption>{escape(code.name)}</figcaption>"
        "<button type=button class=copy hidden>Copy</button>"
        f"<pre tabindex=0><code>{escape(code.text)}</code></pre></figure>"
    )


def verdict_of(verdict: Verdict) -> str:
    """The number that the run comes to, large."""
    marks = "".join(f"<li>{escape(mark)}</li>" for mark in verdict.marks)
    what = f" <span class=what>{escape(verdict.what)}</span>" if verdict.what else ""
    return (
        f"<div class=verdict><p class=number><strong>{escape(verdict.number)}</strong>{what}</p>"
        + (f"<ul class=marks>{marks}</ul>" if marks else "")
        + f"<p class=says>{escape(verdict.says)}</p></div>"
    )


def notes_of(notes: Notes) -> str:
    """Sentences in a frame."""
    items = "".join(f"<li>{escape(text)}</li>" for text in notes.texts)
    return f"<div class=notes><p class=title>{escape(notes.title)}</p><ul>{items}</ul></div>"


def short(values: Sequence[float | None]) -> list[float | int | None]:
    """Numbers with the six digits that a plot can show, whole ones without a point."""
    return [None if value is None else _short(value) for value in values]


def _short(value: float) -> float | int:
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded == int(rounded) else rounded
