"""What an SQL text can do to the session that runs it, told from the text alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from dbpool.core.calls import called_functions
from dbpool.core.functions import PURE_FUNCTIONS, TRANSACTION_FUNCTIONS
from dbpool.core.sqltext import Kind, SqlTextError, Token, tokens
from dbpool.errors import StatementError

_QUERIES = frozenset({"SELECT", "TABLE", "VALUES", "WITH"})
_WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_LOCKING = frozenset({"KEY", "NO", "SHARE", "UPDATE"})  # after FOR
_READING_FUNCTIONS = PURE_FUNCTIONS - TRANSACTION_FUNCTIONS
_TRANSACTION_WORDS = frozenset({"ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT"})
_TRANSACTION_PAIRS = frozenset({("PREPARE", "TRANSACTION"), ("START", "TRANSACTION")})

# Texts kept at most: 4,096 of 4 Ki characters and 64 of 256 Ki, 32 Mi characters together. Longer ones are read anew
# each time, at about 3 µs per token.
_SHORT, _LONG = 4 * 1024, 256 * 1024


@dataclass(frozen=True, slots=True)
class Statement:
    """What one SQL text is; a text of several statements is as restricted as the worst of them.

    Args:
        first_word: The first statement's first keyword in upper case; "" if it begins with something else.
        count: Statements that are not empty, >= 1.
        parameters: The highest n of all ``$n``, 0 if there are none.
        keeps_session: Proven to leave the session as it was, as far as a text can tell: see ``calls.py`` for what it
            cannot. False means only "not proven".
        is_copy_stdio: Some statement is COPY from or to the client.
        controls_transaction: One statement alone that begins, ends, prepares, or marks a point in, a transaction.
        reads_only: Proven to keep the session and to write, lock and send nothing; False means "not proven".
    """

    first_word: str
    count: int
    parameters: int
    keeps_session: bool
    is_copy_stdio: bool
    controls_transaction: bool
    reads_only: bool


def refuse_copy(statement: Statement) -> None:
    """Raise StatementError for a COPY that would wait for ever for data that cannot come."""
    if statement.is_copy_stdio:
        raise StatementError(
            "COPY ... FROM STDIN / TO STDOUT as a statement would wait for ever: acquire() a connection and use its "
            "copy_to_table, copy_records_to_table, copy_from_table or copy_from_query"
        )


def classify(sql: str, trusted_functions: frozenset[str] = frozenset()) -> Statement:
    """What *sql* can do; about 0.1 µs for a text seen before.

    Args:
        sql: Any text; what the server would refuse is no error here.
        trusted_functions: Functions that keep the session besides those of ``PURE_FUNCTIONS``, as ``name`` for calls
            without a schema or ``schema.name`` for calls with it, each as ``pg_proc`` holds it (``my_total``, not
            ``My_Total``).

    Raises:
        SqlTextError: there is nothing in the text but blanks, comments and semicolons; or a NUL or a lone surrogate.
    """
    length = len(sql)
    if length <= _SHORT:
        return _classify_short(sql, trusted_functions)
    return (_classify_long if length <= _LONG else _classify)(sql, trusted_functions)


def transaction_commands(sql: str) -> list[str]:
    """The first words of the statements of *sql* that begin, end or prepare a transaction: not those of savepoints."""
    try:
        statements = split(list(tokens(sql)))
    except SqlTextError:  # the server will say it better
        return []
    return [_first_word(each) for each in statements if _controls_transaction(each) and not _is_of_savepoint(each)]


def _classify(sql: str, trusted: frozenset[str]) -> Statement:
    _refuse_unsendable(sql)
    seen: list[Token] = []
    is_whole = True
    try:
        for token in tokens(sql):
            seen.append(token)  # noqa: PERF402 - what came before the error is kept
    except SqlTextError:
        is_whole = False  # the server will say it better
    statements = split(seen)
    if is_whole and not statements:
        raise SqlTextError("no statement: the text is empty, or blanks, comments and semicolons only", position=0)
    calls = [_calls_of_query(statement) for statement in statements] if is_whole else [None]
    keeps_session = all(_all_known(names, PURE_FUNCTIONS, trusted) for names in calls)
    return Statement(
        first_word=_first_word(statements[0]) if statements else "",
        count=max(1, len(statements)),
        parameters=max((_number(token.text) for token in seen if token.kind is Kind.PARAMETER), default=0),
        keeps_session=keeps_session,
        is_copy_stdio=any(_is_copy_stdio(statement) for statement in statements),
        controls_transaction=len(statements) == 1 and _controls_transaction(statements[0]),
        reads_only=all(_all_known(names, _READING_FUNCTIONS, frozenset()) for names in calls)
        and all(_only_reads(statement) for statement in statements),
    )


_classify_short = lru_cache(maxsize=4096)(_classify)
_classify_long = lru_cache(maxsize=64)(_classify)


def _refuse_unsendable(sql: str) -> None:
    nul = sql.find("\0")
    if nul >= 0:
        raise SqlTextError(f"the text has a NUL at character {nul}: PostgreSQL takes none", position=nul)
    if not sql.isascii():
        try:
            sql.encode()
        except UnicodeEncodeError as error:
            message = f"the text has a lone surrogate at character {error.start}: it cannot be sent as UTF-8"
            raise SqlTextError(message, position=error.start) from None


def _number(parameter: str) -> int:
    # Ten digits are more than the protocol can carry, and never too many for int()
    return int(parameter[1:].lstrip("0")[:10] or "0")


def split(seen: Sequence[Token]) -> list[list[Token]]:
    """The statements that are not empty; as in psql, no semicolon in parentheses or a function's body ends one."""
    statements: list[list[Token]] = [[]]
    parens = blocks = 0
    for token in seen:
        if token.text == ";" and not parens and not blocks:
            statements.append([])
            continue
        statement = statements[-1]
        statement.append(token)
        if token.text in ("(", ")"):
            parens = max(0, parens + (1 if token.text == "(" else -1))
        elif token.keyword in ("BEGIN", "CASE", "END") and _creates_routine(statement):
            opens = token.keyword == "BEGIN" or (token.keyword == "CASE" and blocks)
            blocks = max(0, blocks + (1 if opens else -1 if token.keyword == "END" else 0))
    return [statement for statement in statements if statement]


def _creates_routine(statement: Sequence[Token]) -> bool:
    words = [token.keyword for token in statement[:4]]
    return words[0] == "CREATE" and ("FUNCTION" in words or "PROCEDURE" in words)


def _first_word(statement: Sequence[Token]) -> str:
    return next((token.keyword for token in statement if token.text != "("), "")


def _calls_of_query(statement: Sequence[Token]) -> frozenset[str] | None:
    allowed = _QUERIES if statement[0].text == "(" else _QUERIES | _WRITES
    return called_functions(statement) if _first_word(statement) in allowed else None


def _all_known(names: frozenset[str] | None, pure: frozenset[str], trusted: frozenset[str]) -> bool:
    if names is None:
        return False
    return all(name.removeprefix("pg_catalog.") in pure or name in trusted for name in names)


def _is_copy_stdio(statement: Sequence[Token]) -> bool:
    if statement[0].keyword != "COPY":
        return False
    depth = 0
    for before, token, after in zip(statement, statement[1:], statement[2:], strict=False):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.keyword in ("FROM", "TO") and before.text != ".":
            return after.keyword in ("STDIN", "STDOUT")  # either is taken in either direction
    return False


def _controls_transaction(statement: Sequence[Token]) -> bool:
    first, second = statement[0].keyword, statement[1].keyword if len(statement) > 1 else ""
    return first in _TRANSACTION_WORDS or (first, second) in _TRANSACTION_PAIRS


def _is_of_savepoint(statement: Sequence[Token]) -> bool:
    words = [token.keyword for token in statement[:3]]
    return words[0] in ("RELEASE", "SAVEPOINT") or (words[0] == "ROLLBACK" and "TO" in words)


def _only_reads(statement: Sequence[Token]) -> bool:
    words = [token.keyword for token in statement]
    return _WRITES.isdisjoint(words) and not any(word == "FOR" and after in _LOCKING for word, after in pairwise(words))
