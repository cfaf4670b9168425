"""The functions that a SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or TABLE calls by name.

Every parenthesis is explained: by the grammar, or as a function's arguments. Where the grammar leaves a doubt, the name
before it counts as a function; where a statement has a shape that could hide a call, the answer is None. What is argued
in the comments was tried on PostgreSQL 18; a text that the server refuses may be explained in any way.

Not to be seen in a text, so not found: operators, casts, domain checks, column defaults (a serial column's
``nextval``), triggers, rules, views, policies, foreign tables; and ``x.f``, which calls a user's f(x) if x has no
column f.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from dbpool.core.functions import ATTRIBUTE_FUNCTIONS
from dbpool.core.sqltext import Kind, Token

# Keywords that can stand before a parenthesis and can never be a function's name without a schema before it: the
# categories "reserved" and "cannot be function or type name" of pg_get_keywords().
_SYNTAX_WORDS = """
ALL AND ANY ARRAY AS ASYMMETRIC BETWEEN BIGINT BIT BOOLEAN BOTH CASE CAST CHAR CHARACTER COALESCE CURRENT_TIME
CURRENT_TIMESTAMP DEC DECIMAL DISTINCT ELSE EXCEPT EXISTS EXTRACT FLOAT FOR FROM GREATEST GROUP GROUPING HAVING IN
INT INTEGER INTERSECT INTERVAL JSON JSON_ARRAY JSON_ARRAYAGG JSON_EXISTS JSON_OBJECT JSON_OBJECTAGG JSON_QUERY
JSON_SCALAR JSON_SERIALIZE JSON_VALUE LATERAL LEADING LEAST LIMIT LOCALTIME LOCALTIMESTAMP MERGE_ACTION NCHAR
NORMALIZE NOT NULLIF NUMERIC OFFSET ON ONLY OR OVERLAY POSITION REAL RETURNING ROW SELECT SMALLINT SOME SUBSTRING
SYMMETRIC THEN TIME TIMESTAMP TO TRAILING TRIM UNION USING VALUES VARCHAR VARIADIC WHEN WHERE WITH XMLATTRIBUTES
XMLCONCAT XMLELEMENT XMLEXISTS XMLFOREST XMLNAMESPACES XMLPARSE XMLPI XMLROOT XMLSERIALIZE
"""
_SYNTAX = frozenset(_SYNTAX_WORDS.split())
# treat(x as setseed) calls setseed(x); after operator(s.+) an expression follows, maybe a call
_UNCLEAR = frozenset({"OPERATOR", "TREAT"})
_TABLE_SYNTAX = frozenset({"JSON_TABLE", "XMLTABLE"})
# Two words that no statement can hold side by side with the second as a function's name
_SYNTAX_PAIRS = frozenset(
    {
        *(("GROUP", "BY"), ("ORDER", "BY"), ("PARTITION", "BY"), ("GROUPING", "SETS"), ("UPDATE", "SET")),
        *(("BIT", "VARYING"), ("CHAR", "VARYING"), ("CHARACTER", "VARYING")),
    }
)
_QUERY_WORDS = frozenset({"SELECT", "TABLE", "WITH"})
_WRITE_WORDS = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})


class _Paren(Enum):
    PLAIN = "operands, a list, names of columns, a type's modifiers"
    CALL = "a function's arguments"
    QUERY = "a subquery"
    ITEM = "the query of a WITH item"
    ITEM_COLUMNS = "the column names of a WITH item"


class _Unclear(Exception):
    """The statement has a shape that could hide a call."""


def called_functions(statement: Sequence[Token]) -> frozenset[str] | None:
    """The names of the functions that *statement* calls, as ``name`` or ``schema.name``, each as the catalogs hold it.

    Args:
        statement: The tokens of one statement that begins with one of the words above, without its semicolon.

    Returns: The names, a few too many perhaps; None if a call may be hidden, or a table made (SELECT ... INTO).
    """
    try:
        return frozenset(_Reader(statement).read())
    except _Unclear:
        return None


class _Reader:
    """One walk over one statement."""

    def __init__(self, statement: Sequence[Token]) -> None:
        self._tokens = statement
        # Ended by blanks, so that what is just before the first and behind the last is "" too
        self._texts = [token.text for token in statement] + [""] * 3
        # The keywords; after a dot every word is a name
        self._words = [
            "" if before == "." else token.keyword for before, token in zip(["", *self._texts], statement, strict=False)
        ] + [""] * 3
        self._parens: dict[int, _Paren] = {}  # by index, of opening and closing ones
        self._closings = _closings(statement)
        self._items: set[int] = set()  # where the names of WITH items are
        self._called: set[str] = set()

    def read(self) -> set[str]:
        changes_rows = mentions_settings = False
        for at, token in enumerate(self._tokens):
            if token.kind in (Kind.WORD, Kind.NAME):
                if not token.name:
                    raise _Unclear  # U&"...": the name is written in escapes
                changes_rows |= self._words[at] in _WRITE_WORDS
                mentions_settings |= token.name == "pg_settings"
                self._read_word(at)
            elif token.text == "(":
                self._parens[at] = self._parens[self._closings[at]] = self._explain(at)
            elif token.text == ")" and self._parens[at] is _Paren.ITEM and self._texts[at + 1] == ",":
                self._items.add(at + 2)
        if changes_rows and mentions_settings:
            raise _Unclear  # a rule turns UPDATE pg_settings into set_config
        return self._called

    def _read_word(self, at: int) -> None:
        word = self._words[at]
        if word == "WITH" and (at == 0 or self._texts[at - 1] == "("):
            self._items.add(at + 2 if self._words[at + 1] == "RECURSIVE" else at + 1)
        elif word == "INTO" and not (self._words[at - 1] in ("INSERT", "MERGE") and self._begins_statement(at - 1)):
            raise _Unclear  # it makes a table, as in: select 1 insert into temp t
        elif self._texts[at - 1] == "." and self._texts[at + 1] != "(":
            self._called.update({self._tokens[at].name} & ATTRIBUTE_FUNCTIONS)

    def _begins_statement(self, at: int) -> bool:
        return at == 0 or self._parens.get(at - 1) is _Paren.ITEM  # within a WITH item, or after the last

    def _explain(self, at: int) -> _Paren:
        """What the parenthesis that opens at *at* holds."""
        if at == 0:
            return _Paren.PLAIN
        if self._opens_item(at):
            return _Paren.ITEM
        before = self._tokens[at - 1].kind
        if before not in (Kind.WORD, Kind.NAME, Kind.SYMBOL):
            raise _Unclear
        if self._opens_query(at):
            return _Paren.QUERY  # whatever is before it: no argument begins with one of these words
        if before is Kind.SYMBOL:
            return _Paren.PLAIN
        return self._explain_keyword(at) or self._explain_name(at)

    def _opens_item(self, at: int) -> bool:
        end = at - 1
        if self._words[end] == "MATERIALIZED":
            end -= 2 if self._words[end - 1] == "NOT" else 1
        name = end - 1
        return self._words[end] == "AS" and (name in self._items or self._parens.get(name) is _Paren.ITEM_COLUMNS)

    def _opens_query(self, at: int) -> bool:
        # VALUES can be a column, but not a function
        first = self._words[at + 1]
        return first in _QUERY_WORDS or (first == "VALUES" and self._texts[at + 2] == "(")

    def _explain_keyword(self, at: int) -> _Paren | None:
        """The same if a keyword is before the parenthesis; None if that is a name.

        Words that can name a function count as keywords only where the grammar takes no expression in their place.
        """
        earlier, word = self._words[at - 2], self._words[at - 1]
        if word in _UNCLEAR:
            raise _Unclear
        plain = (
            word in _SYNTAX
            or (earlier, word) in _SYNTAX_PAIRS
            or (word in ("CUBE", "ROLLUP") and (self._words[at - 3], earlier) == ("GROUP", "BY"))
            # Not DISTINCT ON (a) over(b): there the word follows a parenthesis of another kind
            or (word == "OVER" and self._texts[at - 2] == ")" and self._parens[at - 2] is _Paren.CALL)
            # Nothing that ends in a string can go on with a call
            or (word in ("COLUMNS", "PASSING") and self._tokens[at - 2].kind is Kind.STRING)
            # MERGE ... THEN INSERT (a) VALUES: after a call of insert(a) neither word can come
            or (word == "INSERT" and earlier == "THEN" and self._after(at) in ("VALUES", "OVERRIDING"))
            or (word == "CONFLICT" and earlier == "ON" and self._leads_to_do(self._closings[at] + 1))
        )
        if plain:
            return _Paren.PLAIN
        if word in _TABLE_SYNTAX or (word == "FILTER" and self._words[at + 1] == "WHERE"):
            return _Paren.CALL
        return None

    def _after(self, at: int) -> str:
        return self._words[self._closings[at] + 1]

    def _leads_to_do(self, at: int) -> bool:
        """Whether DO comes before another ON: so the ON CONFLICT before *at* is none of a join's conditions."""
        while at < len(self._tokens) and self._texts[at] != ")" and self._words[at] != "ON":
            # Not DO alone: returning 1 as do
            if self._words[at] == "DO" and self._words[at + 1] in ("NOTHING", "UPDATE"):
                return True
            at = self._closings.get(at, at) + 1
        return False

    def _explain_name(self, at: int) -> _Paren:
        first = self._first_of_name(at - 1)
        if first in self._items:
            return _Paren.ITEM_COLUMNS
        if self._words[first - 1] in ("AS", "INTO") or self._texts[first - 1] == "::":
            return _Paren.PLAIN  # an alias, a table to insert into, a type
        if first == at - 1 and self._ends_table(first - 1):
            return _Paren.PLAIN  # an alias: from f(x) t(a, b)
        name = [token.name for token in self._tokens[first:at:2]]
        if any("." in part for part in name):
            raise _Unclear  # "a.b" is not a.b
        self._called.add(".".join(name))
        return _Paren.CALL

    def _first_of_name(self, at: int) -> int:
        """Where the dotted name begins whose last part is at *at*."""
        while self._texts[at - 1] == ".":
            at -= 2
            if at < 0 or self._tokens[at].kind not in (Kind.WORD, Kind.NAME):
                raise _Unclear
        return at

    def _ends_table(self, at: int) -> bool:
        # After a call or a subquery no call can begin; after DISTINCT ON (...) one can
        if self._texts[at] == ")":
            return self._parens[at] in (_Paren.CALL, _Paren.QUERY)
        return (self._words[at - 1], self._words[at]) == ("WITH", "ORDINALITY")


def _closings(statement: Sequence[Token]) -> dict[int, int]:
    """Where the parenthesis closes that opens at an index."""
    opened: list[int] = []
    closings: dict[int, int] = {}
    for at, token in enumerate(statement):
        if token.text == "(":
            opened.append(at)
        elif token.text == ")":
            if not opened:
                raise _Unclear
            closings[opened.pop()] = at
    if opened:
        raise _Unclear
    return closings
