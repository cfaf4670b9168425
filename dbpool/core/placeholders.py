"""Constants in the places of $1, $2, ..., where a statement can take no parameters."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.core.sqltext import Kind, tokens


def constant(text: str | None, type_name: str) -> str:
    """*text* as a constant that the server reads as that type; None is NULL.

    In the form that means the same whatever standard_conforming_strings is.
    """
    quoted = "NULL" if text is None else "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return f"({quoted}::{type_name})"


def with_constants(sql: str, constants: Sequence[str]) -> str:
    """*sql* with ``constants[n - 1]`` for each ``$n`` that is none inside of quotes or comments."""
    pieces, done = [], 0
    for token in tokens(sql):
        if token.kind is Kind.PARAMETER:
            pieces += [sql[done : token.start], constants[int(token.text[1:]) - 1]]
            done = token.end
    return "".join([*pieces, sql[done:]])
