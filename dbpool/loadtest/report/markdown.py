"""A run as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dbpool.loadtest.report import marking
from dbpool.loadtest.report.comparisons import sentences, whole_table
from dbpool.loadtest.report.view.contents import sections_of
from dbpool.loadtest.report.view.figure import Beside, Code, Figure, Notes, Part, Row, Section, Table, Verdict, Words
from dbpool.loadtest.report.view.heading import heading_of
from dbpool.loadtest.report.view.reading import Json

MOST_BYTES: Final = 60_000  # GitHub takes 65,536 characters, and what posts the comment may add some
OPEN: Final = ("glance",)
FOLDED: Final = ("size", "overload", "storm", "soak", "fleet", "budget", "latency", "limits")
LONG: Final = ("Run", "Settings", "Server settings", "Scripts", "Events")  # of how it was measured: in the document


def text(document: Json) -> str:
    """The whole comment, at most ``MOST_BYTES`` in UTF-8; tables that would be too much are named at its end."""
    sections = {section.key: section for section in sections_of(document)}
    said = "".join([_heading(document), *(_open(sections[key]) for key in OPEN if key in sections)])
    if document["comparison"]:
        said += f"\n{comparison(document['comparison'])}"
    left = []
    for title, body in _folded(sections):
        block = "\n" + marking.folded(title, body)
        if len((said + block).encode()) > MOST_BYTES - 500:  # room for what is said of those that are left out
            left.append(title)
        else:
            said += block
    if left:
        said += f"\nLeft out, as it would be too long: {marking.escaped(', '.join(left))}.\n"
    return said


def comparison(section: Json, title: str = "Compared with the baseline") -> str:
    """A run against an earlier one."""
    parts = [
        f"### {marking.escaped(title)}\n\n{marking.escaped(section['text'])}\n",
        marking.items(section["regressions"]),
        marking.table(whole_table(section)),
        marking.items(sentences(section)),
    ]
    return "\n".join(filter(None, parts))


def _heading(document: Json) -> str:
    found = heading_of(document)
    return f"## {marking.escaped(found.name)}\n\n{marking.escaped(' · '.join(found.facts))}\n"


def _open(section: Section) -> str:
    return "".join(f"\n{_part(part)}" for part in section.parts)


def _folded(sections: dict[str, Section]) -> Iterator[tuple[str, str]]:
    for key in FOLDED:
        if key in sections:
            yield sections[key].title, _body(sections[key].parts)
    if "method" in sections:
        for part in sections["method"].parts:
            if isinstance(part, Table) and part.caption not in LONG:
                yield part.caption, marking.table(part)


def _body(parts: Iterable[Part]) -> str:
    """Each part under its own title, where it has one."""
    return "\n".join(
        f"**{marking.escaped(part.caption)}**\n\n{_part(part)}" if isinstance(part, Table) else _part(part)
        for part in parts
    )


def _part(part: Part) -> str:
    match part:
        case Verdict(number=number, what=what, marks=marks, says=says):
            name = marking.escaped(" ".join(filter(None, (number, what))))
            return f"**{name}**{''.join(f' · {marking.escaped(mark)}' for mark in marks)}\n\n{marking.escaped(says)}\n"
        case Table():
            return marking.table(part)
        case Figure(title=title, table=table):
            return f"**{marking.escaped(title)}**\n\n{marking.table(table)}"
        case Row(figures=figures):
            return "\n".join(map(_part, figures))
        case Beside(left=left, right=right):
            return _body((*left, *right))
        case Code(text=code):
            return marking.code(code, "python")
        case Notes(title=title, texts=texts):
            return f"**{marking.escaped(title)}**\n\n{marking.items(texts)}"
        case Words(text=words):
            return f"{marking.escaped(words)}\n"
