"""Names in SQL: how a caller writes one, how a statement does."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase

from dbpool.core.identifier import problem_with, quoted

_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def qualified(schema: str | None, name: str) -> str:
    """``"shop"."orders"``, or ``"orders"`` where the search path decides."""
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def quoted_list(names: Iterable[str], of: str = "") -> str:
    """``"a", "b"``, or ``s."a", s."b"`` where they are columns *of* s."""
    return ", ".join((f"{of}." if of else "") + quoted(name) for name in names)


def readings(table: str) -> list[str]:
    """What a caller may mean by *table*, quoted, the likeliest first: as SQL reads it, then as it stands.

    ``Shop.Orders`` is shop.orders to SQL; if there is none, "Shop"."Orders" is meant, or at last "Shop.Orders".

    Raises:
        StatementError: nothing can have this name, however it is read.
    """
    named = [_parts(table, folds=True), _parts(table, folds=False), [table]]
    found = [".".join(map(quoted, parts)) for parts in named if parts and not any(map(problem_with, parts))]
    return list(dict.fromkeys(found)) or [quoted(table)]


def _parts(text: str, *, folds: bool) -> list[str]:
    """The identifiers between the dots of *text*; none where it is not of that form."""
    parts, rest = [], text.strip()
    while rest:
        if rest.startswith('"'):
            name, rest = _until_quote(rest[1:])
        else:
            name, dot, after = rest.partition(".")
            name, rest = name.strip(), dot + after
            if '"' in name:
                return []
            name = name.translate(_TO_LOWER) if folds else name
        rest = rest.lstrip()
        if not name or (rest and not rest.startswith(".")) or rest == ".":
            return []
        parts.append(name)
        rest = rest[1:].lstrip()
    return parts


def _until_quote(text: str) -> tuple[str, str]:
    """The name that begins after a quote, and what follows it; "" if the quote is left open."""
    name, rest = "", text
    while True:
        piece, quote, rest = rest.partition('"')
        name += piece
        if not quote:
            return "", ""
        if not rest.startswith('"'):
            return name, rest
        name, rest = name + '"', rest[1:]
