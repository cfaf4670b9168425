"""Tables of a status page as HTML; whatever comes from a pool is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Final, TypeAlias

from dbpool.web.telling import seconds

Json: TypeAlias = dict[str, Any]

SHORT: Final = 64  # characters of SQL that stand in a row; the rest is folded


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and the HTML of a row's cell; *kind* ``n``: a number, so that digits stand under digits."""

    head: str
    cell: Callable[[Json], str]
    kind: str = ""


def table(caption: str, columns: Sequence[Column], rows: Sequence[Json], empty: str, more: int = 0) -> str:
    """Rows in a table with a heading, or *empty*; columns in which no row has anything are left out."""
    title = f"<h3>{escape(caption)}</h3>"
    if not rows:
        return f"{title}<p class=quiet>{escape(empty)}</p>"
    cells = [[column.cell(row) for column in columns] for row in rows]
    shown = [number for number in range(len(columns)) if any(row[number] for row in cells)]
    head = "".join(f"<th scope=col{_kind(columns[number])}>{escape(columns[number].head)}</th>" for number in shown)
    body = "".join(
        f"<tr{_key(row)}>" + "".join(f"<td{_kind(columns[number])}>{texts[number]}</td>" for number in shown) + "</tr>"
        for row, texts in zip(rows, cells, strict=True)
    )
    rest = f"<p class=quiet>And {more:,} more.</p>" if more > 0 else ""
    return (
        f'{title}<div class=scroll tabindex=0 role=region aria-label="{escape(caption)}"><table>'
        f"<caption class=unseen>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rest}"
    )


def _key(row: Json) -> str:
    """What a row that moves is known by."""
    return f' data-key="{row["at"]}"' if "at" in row else ""


def _kind(column: Column) -> str:
    return f" class={column.kind}" if column.kind else ""


def number(name: str) -> Callable[[Json], str]:
    """A count, with commas; nothing where it is None."""
    return lambda row: "" if row[name] is None else f"{row[name]:,}"


def duration(name: str) -> Callable[[Json], str]:
    """Seconds as people say them; nothing where it is None."""
    return lambda row: "" if row[name] is None else escape(seconds(row[name]))


def text(name: str) -> Callable[[Json], str]:
    """Words; nothing where it is None."""
    return lambda row: escape(str(row[name] or ""))


def place(row: Json) -> str:
    """Where in the program: ``app/orders.py:41`` and, quieter, its function."""
    where, _, function = str(row["where"]).partition(" in ")
    return f"<code>{escape(where)}</code>" + (f" <span class=quiet>{escape(function)}</span>" if function else "")


def moment(row: Json) -> str:
    """A time of day, UTC."""
    at = datetime.fromtimestamp(row["at"], UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%H:%M:%S}</time>'


def sql(row: Json) -> str:
    """A statement on one line, a long one folded; below it what else is known of its caller."""
    marks = ["<span class=mark>in a transaction</span>"] if row.get("in_transaction") else []
    marks += [f"<span class=mark>{escape(row['doing'])}</span>"] if row.get("doing") else []
    return _statement(row["sql"]) + (f"<div>{''.join(marks)}</div>" if marks else "")


def _statement(statement: str | None) -> str:
    line = " ".join((statement or "").split())
    if len(line) <= SHORT:
        return f"<code>{escape(line)}</code>" if line else ""
    return (
        f"<details><summary><code>{escape(line[: SHORT - 1])}…</code></summary>"
        f"<pre>{escape((statement or '').strip())}</pre></details>"
    )


def stack(row: Json) -> str:
    """Where its task stands now; what led there is folded."""
    frames = row["stack"]
    if not frames:
        return ""
    innermost = f"<code>{escape(frames[-1].partition(' in ')[0])}</code>"
    if len(frames) == 1:
        return innermost
    lines = "\n".join(map(escape, frames))
    return f"<details><summary>{innermost}</summary><pre>{lines}</pre></details>"
