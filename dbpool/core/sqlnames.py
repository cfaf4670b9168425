"""What an SQL text could call, by name: perhaps too many names, never too few."""

from __future__ import annotations

from dbpool.core.planshape import OPERATOR
from dbpool.core.sqltext import Kind, tokens


def names_in(sql: str) -> set[str]:
    """All identifiers and keywords, as the catalogs hold them; "" for one that is written as U&"..."."""
    return {token.name for token in tokens(sql) if token.kind in (Kind.WORD, Kind.NAME)}


def operators_in(sql: str) -> set[str]:
    """All that could be operators: of ``<=>-1`` the server may see ``<=>-``, or ``<=>`` and ``-``."""
    shown = [" "] * len(sql)
    for token in tokens(sql):
        if token.kind is Kind.SYMBOL:
            shown[token.start] = token.text[0]  # the second colon of a cast is none
    found: set[str] = set()
    for run in OPERATOR.findall("".join(shown)):
        bare = run.rstrip("+-")
        found |= {run, bare, *run[len(bare) :]} - {""}
    return found
