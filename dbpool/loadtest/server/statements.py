"""Which statements the server spent its time on, where pg_stat_statements is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from dbpool.loadtest.server.connecting import LOOKS, Session, rows

MOST: Final = 10
LONGEST: Final = 160  # characters of a text

_STATEMENTS: Final = f"""
    SELECT {LOOKS} queryid, min(query) AS text, sum(calls)::bigint AS calls, sum(total_exec_time)::float8 AS total_ms
    FROM pg_stat_statements(true)
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND strpos(query, $1) = 0
    GROUP BY queryid
"""


@dataclass(frozen=True, slots=True)
class StatementUse:
    """A statement, shortened, with how often it was called and how long all calls together took on the server."""

    text: str
    calls: int
    total_ms: float


StatementUses: TypeAlias = Mapping[int | None, StatementUse]
"""By the server's id of the statement; None is of others' statements that may not be seen."""


async def read_statements(session: Session) -> StatementUses | None:
    """All statements of the database so far, but ours; None where that cannot be seen."""
    found = await rows(session, _STATEMENTS, LOOKS)
    if found is None:
        return None
    return {row["queryid"]: StatementUse(short(row["text"]), row["calls"], row["total_ms"]) for row in found}


def most_used(before: StatementUses | None, after: StatementUses | None, most: int = MOST) -> list[StatementUse] | None:
    """What took most time between two readings, the longest first; None: there are no two readings."""
    if before is None or after is None:
        return None
    nothing = StatementUse("", 0, 0.0)
    uses = [
        StatementUse(use.text, use.calls - then.calls, use.total_ms - then.total_ms)
        for query, use in after.items()
        if use.calls > (then := before.get(query, nothing)).calls and use.total_ms >= then.total_ms  # not reset since
    ]
    return sorted(uses, key=lambda use: -use.total_ms)[:most]


def short(text: str) -> str:
    """A statement on one line; the server keeps the literals of one that sets a password."""
    text = re.sub(r"\s+", " ", text).strip()
    if re.search("password", text, re.IGNORECASE):
        return " ".join(text.split(" ")[:2]) + " …"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
