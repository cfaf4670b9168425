"""Sections of a report as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from dbpool.loadtest.report.drawing.figures import figure_of, row_of
from dbpool.loadtest.report.drawing.markup import code_of, notes_of, table_of, verdict_of, words_of
from dbpool.loadtest.report.view.figure import Beside, Code, Figure, Notes, Part, Row, Section, Table, Verdict, Words


def section_of(section: Section) -> str:
    """One chapter, under its heading."""
    inner = "".join(_part(part) for part in section.parts)
    return f'<h2 id="{section.key}-title">{escape(section.title)}</h2>{inner}'


def contents_of(sections: Iterable[Section]) -> str:
    """Links to all of them."""
    items = "".join(f'<li><a href="#{section.key}">{escape(section.title)}</a></li>' for section in sections)
    return f"<ul>{items}</ul>"


def _part(part: Part) -> str:
    match part:
        case Figure():
            return figure_of(part)
        case Row():
            return row_of(part)
        case Table():
            return table_of(part)
        case Words(text):
            return words_of(text)
        case Code():
            return code_of(part)
        case Verdict():
            return verdict_of(part)
        case Notes():
            return notes_of(part)
        case Beside(left, right) if left and right:
            columns = ("".join(map(_part, column)) for column in (left, right))
            return f'<div class="beside">{"".join(f"<div>{column}</div>" for column in columns)}</div>'
        case Beside(left, right):
            return "".join(map(_part, [*left, *right]))
