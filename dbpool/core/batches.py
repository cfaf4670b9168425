"""One statement for many parameter sets: which forms a text allows, how each is written.

The rules are argued, with what was tried on PostgreSQL 18, beside each; what a text cannot tell (types, plans, volatile
functions) is asked of the server by ``bulk/guard.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from dbpool.core.columnnames import may_be_named_by_parameter
from dbpool.core.functions import TRANSACTION_FUNCTIONS
from dbpool.core.identifier import quoted
from dbpool.core.sqltext import Kind, SqlTextError, Token, tokens
from dbpool.core.statements import classify

_OWN = "_dbp_"  # how the names begin that a batch's statement brings in
ORDINAL = f"{_OWN}i"
"""The name of the last column of a batch's rows: which item it belongs to, from 1."""


class Form(Enum):
    """How a batch is sent; the later ones keep more of what one statement for each item does, and are slower."""

    LATERAL = "one statement over arrays, fenced so that each item is planned like one of its own"
    UNFENCED = "one statement over arrays, which the planner may join as a whole"
    MANY = "one statement for each item, sent together"
    SINGLE = "one statement for each item, one by one"


ARRAYS = (Form.LATERAL, Form.UNFENCED)

_WHOLE = (str, bytes, bytearray, memoryview, tuple, Mapping)  # to the driver no arrays
_READS = frozenset({"SELECT", "TABLE", "VALUES", "WITH"})
_WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_LOCKING = frozenset({"KEY", "NO", "SHARE", "UPDATE"})  # after FOR
_LASTING = TRANSACTION_FUNCTIONS | {"set_config"}  # what they do is done until the transaction ends


@dataclass(frozen=True, slots=True)
class Text:
    """What a statement's text allows.

    Args:
        body: the statement without the semicolon that ends it.
        parameters: how many values it takes: the highest n of all ``$n``.
        forms: those that may be tried, the quickest first; ``SINGLE`` is always the last.
        on_demand: those that give the same rows, but for another reason are used only if asked for.
        why: why there are no others; "" if all are there.
        writes: it begins with INSERT, UPDATE, DELETE or MERGE.
        returns: such a one that gives rows back.
    """

    body: str
    parameters: int
    forms: tuple[Form, ...]
    on_demand: tuple[Form, ...]
    why: str
    writes: bool
    returns: bool


@lru_cache(1024)
def read(sql: str) -> Text:
    """What *sql* allows.

    Raises:
        StatementError: there is nothing in it, or what cannot be sent.
    """
    statement = classify(sql)
    try:
        seen = list(tokens(sql))
    except SqlTextError:
        seen = []
    body = _body(sql, seen)

    def text(
        why: str, *forms: Form, writes: bool = False, returns: bool = False, on_demand: tuple[Form, ...] = ()
    ) -> Text:
        return Text(body, statement.parameters, (*forms, Form.SINGLE), on_demand, why, writes, returns)

    words = [token.keyword for token in seen]
    if not seen or statement.count > 1:
        return text("it is more than one statement" if seen else "its text cannot be read")
    if statement.first_word in _WRITES:
        returns = "RETURNING" in _outside_parentheses(seen)
        return text("it writes, so each item must be a statement", Form.MANY, writes=True, returns=returns)
    if statement.first_word not in _READS:
        return text(f"{statement.first_word or 'it'} is no query")
    if not _WRITES.isdisjoint(words) and _modifies(words):
        return text("it writes within a WITH")
    if "INTO" in _outside_parentheses(seen):
        return text("it makes a table")
    if _OWN in sql.lower():
        return text(f"it has a name with {_OWN}, as those of a batch have")
    if lasting := _lasts(seen):
        return text(lasting, on_demand=(Form.MANY,))
    if not statement.parameters:
        return text("it has no parameters", Form.MANY)
    if may_be_named_by_parameter(seen):
        return text("a column within it may have its name from a parameter", Form.MANY)
    return text("", Form.LATERAL, Form.MANY)


def lateral(text: Text, types: Sequence[str], columns: Sequence[str], *, fenced: bool, first_row: bool) -> str:
    """The statement over arrays of *types*, one for each parameter; its last column is ORDINAL.

    OFFSET 0 is a fence: without it the planner may pull the statement up and join it as a whole, which for large
    batches is another plan.

    Args:
        types: each as SQL has it, quoted.
        columns: the statement's own names, which the rows must keep.
        first_row: only the first row of each item.
    """
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
    values = "".join(f"_dbp_a{number}, " for number in range(1, len(types) + 1))
    body = with_parameters(text.body, lambda number: f"_dbp_p._dbp_a{number}")
    if first_row:
        body = f"{_stopping(body)} SELECT * FROM _dbp_s LIMIT 1"
    elif fenced:
        body = f"SELECT * FROM ({body}\n) _dbp_s OFFSET 0"
    names = f"({', '.join(map(quoted, columns))})" if columns else ""
    return (
        f"SELECT _dbp_q.*, _dbp_p.{ORDINAL} FROM unnest({arrays}) WITH ORDINALITY "
        f"AS _dbp_p({values}{ORDINAL}) CROSS JOIN LATERAL ({body}\n) _dbp_q{names}"
    )


def many(text: Text, *, first_row: bool) -> str:
    """The statement with one more parameter, which comes back as the last column of each of its rows."""
    ordinal = f"${text.parameters + 1}::bigint AS {ORDINAL}"
    if text.writes:
        return f"{text.body}\n, {ordinal}" if text.returns else text.body
    if first_row:
        return f"{_stopping(text.body)} SELECT _dbp_s.*, {ordinal} FROM _dbp_s LIMIT 1"
    return f"SELECT _dbp_q.*, {ordinal} FROM ({text.body}\n) _dbp_q"


def _stopping(body: str) -> str:
    """The head of a statement that reads from *body*, as _dbp_s, only so many rows as it needs.

    Such a query is planned by itself, as if all of its rows were wanted, and gives them one by one, as to ``fetchrow``.
    A LIMIT beside the query itself would be taken into account, by the planner and by a sort: another join, another one
    of equal rows, the errors of other rows not met.
    """
    return f"WITH _dbp_s AS MATERIALIZED ({body}\n)"


def from_text(text: Text, types: Sequence[str]) -> str:
    """The statement that takes each of its values as text, and casts it as the server reads such text."""
    return with_parameters(text.body, lambda number: f"(${number}::text::{types[number - 1]})")


def with_parameters(body: str, replaced: Callable[[int], str]) -> str:
    """*body* with each ``$n`` replaced; blanks around, for ``2-$1`` and ``a$1`` are read differently."""
    pieces: list[str] = []
    end = 0
    for token in tokens(body):
        if token.kind is Kind.PARAMETER:
            pieces += [body[end : token.start], f" {replaced(int(token.text[1:]))} "]
            end = token.end
    return "".join([*pieces, body[end:]])


def could_be_items(values: Iterable[object]) -> bool:
    """Whether the driver would take one of *values* for an array within the array of them: a list, a record.

    It flattens lists of equal length without a word, and a batch's items would be other items.
    """
    kinds = set(map(type, values))
    return any(
        issubclass(kind, Iterable) and issubclass(kind, Sized) and not issubclass(kind, _WHOLE) for kind in kinds
    )


def _body(sql: str, seen: Sequence[Token]) -> str:
    """Up to the semicolons at its end."""
    end = len(sql)
    for token in reversed(seen):
        if token.text != ";":
            break
        end = token.start
    return sql[:end]


def _outside_parentheses(seen: Sequence[Token]) -> set[str]:
    depth, words = 0, set()
    for token in seen:
        depth += (token.text in "([") - (token.text in ")]")
        if depth == 0:
            words.add(token.keyword)
    return words


def _lasts(seen: Sequence[Token]) -> str:
    """What of a statement a batch, which is one transaction, would keep for the items behind it; "" if nothing."""
    for token, after in pairwise(seen):
        if token.keyword == "FOR" and after.keyword in _LOCKING:
            return "it locks rows, and a batch would hold them until its end"
        if token.name in _LASTING and after.text == "(":
            return f"what {token.name}() does lasts until the transaction ends, and a batch is one"
    return ""


def _modifies(words: Sequence[str]) -> bool:
    """Whether one of the words that write begins a statement: after a parenthesis, or at the end of a WITH."""
    return any(
        word in ("INSERT", "DELETE", "MERGE") or (word == "UPDATE" and before not in ("FOR", "KEY"))
        for before, word in zip(["", *words], words, strict=False)
        if word in _WRITES
    )
