"""Text as Markdown, for comments on pull requests: whatever it holds, it is shown as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dbpool.loadtest.report.columns import are_numbers
from dbpool.loadtest.report.view.figure import Table

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]|~$])")
_REFERENCE = re.compile(r"([@#])(?=\w)")  # of a user or an issue, who are not meant
MOST_IN_CELL = 300
MOST_ROWS = 60
MOST_ITEMS = 20


def escaped(text: str) -> str:
    """One line of *text*."""
    line = " ".join(text.split()).translate(_ENTITIES)
    return _REFERENCE.sub("\\1\u200b", _PUNCTUATION.sub(r"\\\1", line))


def code(text: str, language: str = "") -> str:
    """A block of *text*, within a fence that it does not hold."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def table(found: Table) -> str:
    """With numbers to the right; beyond so many rows only how many more there are."""
    columns = [[row[number] for row in found.rows] for number in range(len(found.head))]
    aligned = ["---:" if are_numbers(cells) and any(cells) else "---" for cells in columns]
    lines = [_line(found.head), "|" + "|".join(aligned) + "|", *map(_line, found.rows[:MOST_ROWS])]
    if len(found.rows) > MOST_ROWS:
        lines.append(f"\n{len(found.rows) - MOST_ROWS} more rows are in the JSON document.")
    return "\n".join(lines) + "\n"


def folded(title: str, body: str) -> str:
    """Shown when somebody opens it."""
    return f"<details><summary>{escaped(title)}</summary>\n\n{body}\n</details>\n"


def items(texts: Iterable[str]) -> str:
    """A list with a point for each; beyond so many only how many more there are."""
    told = [f"- {escaped(_shortened(text))}\n" for text in texts]
    more = [f"- and {len(told) - MOST_ITEMS} more\n"] if len(told) > MOST_ITEMS else []
    return "".join([*told[:MOST_ITEMS], *more])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(_shortened(cell)) for cell in cells) + " |"


def _shortened(cell: str) -> str:
    return cell if len(cell) <= MOST_IN_CELL else f"{cell[:MOST_IN_CELL]} …"
