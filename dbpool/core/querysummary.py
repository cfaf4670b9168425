"""What an SQL text does, in a few words: the operations in it, each with the tables that it names.

This is OpenTelemetry's ``db.query.summary`` (semantic conventions, "Generating a summary of the query"): few different
ones, whatever the values, so that calls can be grouped by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.core.sqltext import Kind, SqlTextError, Token, tokens

LONGEST_SHOWN = 16_384  # characters of a text that is shown
LONGEST = 255  # characters, by the convention; what does not fit whole is left out

_OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"})
# UPDATE and the like behind one of these is part of another operation: FOR UPDATE, ON CONFLICT DO UPDATE, WHEN ... THEN
_NO_OPERATION_AFTER = frozenset({"FOR", "KEY", "DO", "ON", "THEN", "OF", "BEFORE", "AFTER", "OR", "INSTEAD"})
_BETWEEN = frozenset({"UNION", "INTERSECT", "EXCEPT", "ALL", "DISTINCT"})  # two queries
_CAN_READ_FUNCTIONS = frozenset({"SELECT", "UPDATE", "DELETE", "MERGE"})
_BEFORE_TABLE = frozenset({"FROM", "INTO", "JOIN", "USING"})
_BESIDE_TABLE = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "TABLE", "CONCURRENTLY"})
_ENDS_FROM = frozenset(
    {
        *("WHERE", "GROUP", "ORDER", "HAVING", "WINDOW", "LIMIT", "OFFSET", "FETCH", "FOR", "SET", "RETURNING"),
        *("UNION", "INTERSECT", "EXCEPT", "VALUES", "SELECT"),
    }
)
_OF_A_TABLE = frozenset({"ALTER", "CREATE", "DROP", "TRUNCATE", "COPY", "LOCK", "VACUUM", "ANALYZE", "CLUSTER", "CALL"})
_MADE = frozenset(
    {
        *("DATABASE", "DOMAIN", "EXTENSION", "FUNCTION", "INDEX", "MATERIALIZED", "POLICY", "PROCEDURE", "ROLE"),
        *("SCHEMA", "SEQUENCE", "TABLE", "TRIGGER", "TYPE", "USER", "VIEW"),
    }
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a text.

    Args:
        text: such as ``SELECT orders customers``; "" if it is no SQL.
        operation: the only one in it, "" if there are several.
        table: the only one that is named, as it is written, if there is only one operation.
        procedure: that a CALL names.
    """

    text: str = ""
    operation: str = ""
    table: str = ""
    procedure: str = ""


@dataclass(slots=True)
class _Level:
    """Between two parentheses: whether a query is there, and its list of tables."""

    has_query: bool = False
    in_tables: bool = False


class _Reader:
    """Reads one text, token by token."""

    def __init__(self, sql: str) -> None:
        self._tokens = list(tokens(sql))
        self._at = 0
        self._levels = [_Level()]
        self._made_here: set[str] = set()  # by WITH: no tables
        self.parts: list[str] = []
        self.operations: list[str] = []
        self.tables: list[str] = []

    def read(self) -> None:
        is_first = True
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.text == ";":
                self._levels, self._made_here = [_Level()], set()
                is_first = True
                self._at += 1
            elif is_first and token.text != "(":
                is_first = False
                self._begin(token)
            else:
                self._go_on(token)

    def _begin(self, token: Token) -> None:
        """The first word of a statement."""
        word = token.keyword
        self._at += 1
        if word in ("WITH", "EXPLAIN"):
            if word == "EXPLAIN":
                self._operation(word)
            return
        if word in _OPERATIONS:
            self._at -= 1
            self._go_on(token)
            return
        if word in _OF_A_TABLE:
            self._levels[-1].has_query = True
            made = next((each.keyword for each in self._tokens[self._at : self._at + 4] if each.keyword in _MADE), "")
            if word in ("ALTER", "CREATE", "DROP") and made:
                while self._tokens[self._at].keyword != made:
                    self._at += 1
                self._at += 1
                self._operation(f"{word} {made}")
                if made != "TABLE":
                    self._skip_statement()
                    return
            else:
                self._operation(word)
            self._table()
            if word != "COPY" or self.tables:
                self._skip_statement()
        elif word:
            self._operation(word)
            self._skip_statement()

    def _skip_statement(self) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at].text != ";":
            self._at += 1

    def _go_on(self, token: Token) -> None:
        level, word, before = self._levels[-1], token.keyword, self._before
        self._at += 1
        if token.text == "(":
            self._levels.append(_Level())
        elif token.text == ")":
            if len(self._levels) > 1:
                self._levels.pop()
        elif token.text == "," and level.in_tables:
            self._table()
        elif word == "AS" and self._follows_with():
            pass
        elif word in _OPERATIONS and before not in _NO_OPERATION_AFTER and not self._is_column:
            self._begin_operation(word, level)
        elif word in _BEFORE_TABLE and level.has_query and before != "DISTINCT":
            level.in_tables = word in ("FROM", "USING", "JOIN") or level.in_tables
            self._table()
        elif word in _ENDS_FROM:
            level.in_tables = False

    def _begin_operation(self, word: str, level: _Level) -> None:
        is_list = word == "VALUES" and level.has_query and self._tokens[self._at - 2].keyword not in _BETWEEN
        level.has_query, level.in_tables = True, False
        if is_list:
            return
        self._operation("SELECT" if word == "TABLE" else word)
        if word in ("UPDATE", "TABLE"):
            self._table()

    def _follows_with(self) -> bool:
        """At AS: whether a name made by WITH stands before it, which is noted."""
        at = self._at - 2
        if at >= 0 and self._tokens[at].text == ")":
            while at >= 0 and self._tokens[at].text != "(":
                at -= 1
            at -= 1
        following = self._tokens[self._at].text.upper() if self._at < len(self._tokens) else ""
        if at < 1 or following not in ("(", "MATERIALIZED", "NOT"):
            return False
        if self._tokens[at - 1].keyword not in ("WITH", "RECURSIVE") and self._tokens[at - 1].text != ",":
            return False
        self._made_here.add(self._tokens[at].name)
        return True

    @property
    def _before(self) -> str:
        return self._tokens[self._at - 1].keyword if self._at else ""

    @property
    def _is_column(self) -> bool:
        """Whether a word that is no reserved one stands as a name: ``values.x``, ``t.table``."""
        before = self._tokens[self._at - 2].text if self._at > 1 else ""
        return before == "." or (self._at < len(self._tokens) and self._tokens[self._at].text == ".")

    def _operation(self, name: str) -> None:
        self.operations.append(name)
        self.parts.append(name)

    def _table(self) -> None:
        """A table's name, if one comes next: no function, no query in parentheses, no name made by WITH."""
        while self._at < len(self._tokens) and self._tokens[self._at].keyword in _BESIDE_TABLE:
            self._at += 1
        begin, found = self._at, self._tokens
        at = begin
        while at < len(found) and found[at].name:
            at += 1
            if at < len(found) and found[at].text == ".":
                at += 1
            else:
                break
        if at == begin:
            return
        is_call = at < len(found) and found[at].text == "(" and self.operations[-1] in _CAN_READ_FUNCTIONS
        self._at = at
        name = "".join(each.text for each in found[begin:at])
        if not is_call and not (at == begin + 1 and found[begin].name in self._made_here):
            self.tables.append(name)
            self.parts.append(name)


def summary_of(sql: str) -> Summary:
    """Raises: SqlTextError: a quote or comment has no end."""
    reader = _Reader(sql)
    reader.read()
    text = _fitting(reader.parts)
    if len(reader.operations) != 1:
        return Summary(text)
    (operation,), tables = reader.operations, reader.tables
    table = tables[0] if len(tables) == 1 else ""
    return Summary(text, operation, "" if operation == "CALL" else table, table if operation == "CALL" else "")


def _fitting(parts: Sequence[str]) -> str:
    text = ""
    for part in parts:
        longer = f"{text} {part}" if text else part
        if len(longer) > LONGEST:
            break
        text = longer
    return text


def without_literals(sql: str) -> str:
    """The same statement with ``?`` for each constant, and without comments; what it does can still be read.

    Raises: SqlTextError.
    """
    parts: list[str] = []
    end = 0
    for token in tokens(sql):
        if token.start > end and parts:
            parts.append(" ")
        parts.append("?" if token.kind in (Kind.STRING, Kind.NUMBER) else token.text)
        end = token.end
    return "".join(parts)


def shown_text(sql: str) -> str:
    """What may be shown of a text: all of it where it has parameters, for then values are not in it by the convention.

    Else it is without its constants; "" if nobody can tell where they are. Cut after 16,384 characters.
    """
    try:
        has_parameters = any(token.kind is Kind.PARAMETER for token in tokens(sql))
        text = sql if has_parameters else without_literals(sql)
    except SqlTextError:
        return ""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
