"""Whether it is an item's own data that a statement failed for, told from the SQLSTATE.

Such an item can be put aside. Anything else (a missing table or right, a full disk, a conflict, a time limit) would
meet the next item, too, so that putting aside would empty the source into the rejects.
"""

from __future__ import annotations

# Cardinality, data, integrity, trigger, SQL routine, external routine, WITH CHECK OPTION, limits, PL/pgSQL's RAISE.
_CLASSES = frozenset({"21", "22", "23", "27", "2F", "38", "39", "44", "54", "P0"})
_CODES = frozenset({"42804", "42846"})  # types that do not go together, as a function meets them while it runs
_NOT = frozenset({"54001"})  # the statement is too complex


def blames_item(sqlstate: str | None) -> bool:
    """Whether another item may succeed where this one failed."""
    if sqlstate is None or sqlstate in _NOT:
        return False
    return sqlstate[:2] in _CLASSES or sqlstate in _CODES
