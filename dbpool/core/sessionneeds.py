"""What a text of SQL needs of a session beyond its transaction, where a pooler in transaction mode gives none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from dbpool.core.sqltext import SqlTextError, Token, tokens
from dbpool.core.statements import split

_LONGEST_KEPT = 4096  # characters; 1,024 such texts are 4 MiB


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a session must outlive a transaction for.

    Args:
        what: as it stands in the text.
        instead: what to do.
        within_transaction: it works inside one, whose session it then needs no longer.
    """

    what: str
    instead: str
    within_transaction: bool = False


_LISTEN = "have a second pool with the server's own address, and its listen()"
_SET = "use db.transaction(settings=...) or SET LOCAL, or for every session ALTER ROLE ... SET"
_LOCK = "use pg_advisory_xact_lock() in a transaction"
_TEMPORARY = "create it as a table with ON COMMIT DROP, in the transaction that uses it"
_HOLD = "read it to its end in one transaction, as db.stream() does"
_PREPARE = "leave it out: what is run often is prepared without it"
_SAME = "call it in the db.transaction() that needs it"

_BY_WORD = {
    **dict.fromkeys(("LISTEN", "UNLISTEN"), _LISTEN),
    **dict.fromkeys(("DISCARD", "LOAD", "RESET"), _SET),
    **dict.fromkeys(("DEALLOCATE", "EXECUTE"), _PREPARE),
}
_LOCKS = frozenset(
    f"pg_{name}"
    for lock in ("advisory_lock", "advisory_unlock", "try_advisory_lock")
    for name in (lock, f"{lock}_shared")
) | {"pg_advisory_unlock_all"}
_OF_SESSION = frozenset({"currval", "lastval", "setseed"})
_OF_TRANSACTION = frozenset({"LOCAL", "TRANSACTION", "CONSTRAINTS"})  # after SET
_QUALIFIERS = frozenset({"OR", "REPLACE", "LOCAL", "GLOBAL"})  # between CREATE and TEMP
_TEMP = frozenset({"TEMP", "TEMPORARY"})
_CALLING = frozenset({"DECLARE", "DELETE", "EXPLAIN", "INSERT", "MERGE", "SELECT", "TABLE", "UPDATE", "VALUES", "WITH"})
_FALSE = frozenset({"false", "'false'", "'f'", "'off'", "'no'", "'n'", "'0'", "null"})


def session_need(sql: str, *, in_transaction: bool) -> Need | None:
    """The first thing in *sql* that cannot work; None: there is none, as far as the text shows."""
    needs = _needs_short(sql) if len(sql) <= _LONGEST_KEPT else _needs(sql)
    return next((need for need in needs if not (in_transaction and need.within_transaction)), None)


def _needs(sql: str) -> tuple[Need, ...]:
    try:
        statements = split(list(tokens(sql)))
    except SqlTextError:  # the server will say it better
        return ()
    is_script = len(statements) > 1  # which is one transaction
    needs = (need for each in statements for need in (_of_command(each), _of_calls(each)) if need is not None)
    return tuple(need for need in needs if not (is_script and need.within_transaction))


_needs_short = lru_cache(maxsize=1024)(_needs)


def _of_command(statement: Sequence[Token]) -> Need | None:
    statement = _explained(statement)
    words = [token.keyword for token in statement]
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in _BY_WORD:
        return Need(first, _BY_WORD[first])
    if first == "SET" and second not in _OF_TRANSACTION:
        return Need("SET", _SET)
    if first == "PREPARE" and second != "TRANSACTION":
        return Need("PREPARE", _PREPARE)
    if first == "DECLARE" and _has(words, "WITH", "HOLD"):
        return Need("a cursor WITH HOLD", _HOLD)
    if _makes_temporary(statement, words) and not _has(words, "ON", "COMMIT", "DROP"):
        return Need("a temporary table, view or sequence", _TEMPORARY)
    return None


def _makes_temporary(statement: Sequence[Token], words: Sequence[str]) -> bool:
    if words[0] == "CREATE":
        kind = next((word for word in words[1:] if word not in _QUALIFIERS), "")
        return kind in _TEMP or _names_pg_temp(statement[:9])  # before its columns begin
    if words[0] not in ("SELECT", "WITH"):
        return False
    targets = [
        at + 1 for at in range(1, len(words)) if words[at] == "INTO" and words[at - 1] not in ("INSERT", "MERGE")
    ]
    return any(
        not _TEMP.isdisjoint(words[at : at + 1]) or _names_pg_temp(statement[at : at + 3])  # TABLE may stand before it
        for at in targets
    )


def _names_pg_temp(statement: Sequence[Token]) -> bool:
    return any(token.name == "pg_temp" and after.text == "." for token, after in pairwise(statement))


def _explained(statement: Sequence[Token]) -> Sequence[Token]:
    """What EXPLAIN ANALYZE runs; without ANALYZE it runs nothing."""
    words = [token.keyword for token in statement]
    if words[0] == "EXPLAIN" and len(words) > 1:
        at = 1
        if statement[1].text == "(":
            at = next((n for n, token in enumerate(statement) if token.text == ")"), 0) + 1
        else:
            while at < len(words) and words[at] in ("ANALYZE", "ANALYSE", "VERBOSE"):
                at += 1
        if at < len(words) and not {"ANALYZE", "ANALYSE"}.isdisjoint(words[1:at]):
            return statement[at:]
    return statement


def _of_calls(statement: Sequence[Token]) -> Need | None:
    if statement[0].keyword == "CREATE":
        statement = _query_of(statement)
    if statement[0].keyword not in _CALLING and statement[0].text != "(":
        return None
    for at, (token, after) in enumerate(pairwise(statement)):
        if after.text != "(" or _is_of_another_schema(statement, at):
            continue
        if token.name in _LOCKS:
            return Need(f"{token.name}()", _LOCK)
        if token.name in _OF_SESSION:
            return Need(f"{token.name}()", _SAME, within_transaction=True)
        if token.name == "set_config" and _last_argument(statement, at + 1) in _FALSE:
            return Need("set_config(..., false)", _SET)
    return None


def _query_of(creating: Sequence[Token]) -> Sequence[Token]:
    """What fills a table, or a materialized view; of all else, which calls nothing yet, itself."""
    words, depth = [token.keyword for token in creating], 0
    if {"TABLE", "MATERIALIZED"}.isdisjoint(words[1:4]):
        return creating
    for at, token in enumerate(creating[:-1]):
        depth += (token.text == "(") - (token.text == ")")
        if token.keyword == "AS" and depth == 0:
            return creating[at + 1 :]
    return creating


def _is_of_another_schema(statement: Sequence[Token], at: int) -> bool:
    """Whether the name there is not one of the server's own, but somebody's function or table."""
    return at > 1 and statement[at - 1].text == "." and statement[at - 2].name != "pg_catalog"


def _last_argument(statement: Sequence[Token], opening: int) -> str:
    """The last value before the parenthesis closes that opens at *opening*, without its cast."""
    depth, value, is_read = 0, "", False
    for before, token in pairwise(statement[opening - 1 :]):
        if token.text == "(":
            depth += 1
            is_read = is_read or (depth > 1 and before.name not in ("", "cast"))  # of a function
        elif token.text == ")":
            depth -= 1
            if depth == 0:
                return value
        elif token.text == "," and depth == 1:
            value, is_read = "", False
        elif token.text == "::" or token.keyword == "AS":
            is_read = True
        elif not is_read:
            value = token.text.lower()
    return ""


def _has(words: Sequence[str], *wanted: str) -> bool:
    """Whether *wanted* stand in *words* one behind the other."""
    return any(tuple(words[at : at + len(wanted)]) == wanted for at in range(len(words)))
