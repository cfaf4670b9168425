"""The tokens of an SQL text, cut where PostgreSQL cuts them.

This is the server's scanner (src/backend/parser/scan.l) with ``standard_conforming_strings = on``, the default since
9.1. A server or role that turns it off reads backslashes in plain strings differently: nothing here holds there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from dbpool.errors import StatementError


class SqlTextError(StatementError):
    """The text is no statement: nothing in it, a character that cannot be sent, or a quote or comment left open.

    Args:
        message: What is wrong, without any of the text.
        position: Index of the character where it begins.
    """

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message)
        self.position = position


class Kind(Enum):
    """What a token is."""

    WORD = "an unquoted identifier or keyword"
    NAME = "a quoted identifier"
    STRING = "a constant in quotes or dollars; one that goes on over a line end is one token"
    NUMBER = "a number"
    PARAMETER = "$1"
    SYMBOL = "any other character, except that :: and .. are one token"


_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Token(NamedTuple):
    """A piece of SQL that is neither blank nor comment.

    ``keyword`` is the word in upper case, "" for anything but an unquoted ASCII word.
    """

    kind: Kind
    text: str
    start: int
    keyword: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def name(self) -> str:
        """The identifier as the catalogs hold it, "" for anything else and for U&"..."."""
        if self.kind is Kind.WORD:
            return self.text.translate(_TO_LOWER)
        if self.kind is Kind.NAME and self.text.startswith('"'):
            return self.text[1:-1].replace('""', '"')
        return ""


_LETTER = r"A-Za-z_\x80-\U0010ffff"
_QUOTED = r"'[^']*+(?:''[^']*+)*+'"
_BITS = "'[^']*+'"
_ESCAPED = r"'(?:[^'\\]++|\\.|'')*+'"
# A string goes on after blanks and comments that hold a line end
_LINE_END = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+"
# Every repetition is possessive: no text makes the matching go back
_TOKEN = "|".join(
    [
        r"(?P<BLANK>(?:[ \t\n\r\f\v]++|--[^\n\r]*+)++)",
        rf"(?P<WORD>(?![eEnNbBxX]'|[uU]&['\"])[{_LETTER}][{_LETTER}0-9$]*+)",
        r"(?P<COMMENT>/\*)",
        rf"(?P<STRING>[eE]{_ESCAPED}(?:{_LINE_END}{_ESCAPED})*+"
        rf"|[bBxX]{_BITS}(?:{_LINE_END}{_BITS})*+"
        rf"|(?:[nN]|[uU]&)?{_QUOTED}(?:{_LINE_END}{_QUOTED})*+)",
        r'(?P<NAME>(?:[uU]&)?"[^"]*+(?:""[^"]*+)*+")',
        r"""(?P<OPEN>(?:[eEnNbBxX]|[uU]&)?'|(?:[uU]&)?")""",
        r"(?P<PARAMETER>\$[0-9]++)",
        rf"(?P<DOLLAR>\$(?:[{_LETTER}][{_LETTER}0-9]*+)?\$)",
        r"(?P<NUMBER>0[xXoObB][0-9A-Fa-f_]++"
        r"|(?:[0-9][0-9_]*+(?:\.(?!\.)[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9_]++)?)",
        r"(?P<SYMBOL>::|\.\.|.)",
    ]
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KINDS = {kind.name: kind for kind in Kind} | {"DOLLAR": Kind.STRING}


@cache
def _token() -> re.Pattern[str]:
    return re.compile(_TOKEN, re.DOTALL)  # at first use: a tenth of the package's import otherwise


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of *sql* in order.

    Raises:
        SqlTextError: a string, quoted identifier, dollar quote or comment has no end; the tokens before it were given.
    """
    start, length = 0, len(sql)
    match = _token().match
    while start < length:
        found = match(sql, start)
        assert found is not None, start  # the last alternative takes any character
        group, end = found.lastgroup or "", found.end()
        if group == "COMMENT":
            end = _end_of_comment(sql, start)
        elif group == "DOLLAR":
            end = _end_of_dollar_quote(sql, start, found.group())
        elif group == "OPEN":
            raise _unterminated("quoted identifier" if found.group().endswith('"') else "string", start)
        kind = _KINDS.get(group)
        if kind is not None:
            text = sql[start:end]
            # Only ASCII: "ſ".upper() is "S", but to the server it is another letter
            yield Token(kind, text, start, text.upper() if kind is Kind.WORD and text.isascii() else "")
        start = end


def _end_of_comment(sql: str, start: int) -> int:
    depth, end = 1, start + 2
    while depth:
        edge = _COMMENT_EDGE.search(sql, end)
        if edge is None:
            raise _unterminated("comment", start)
        depth += 1 if edge.group() == "/*" else -1
        end = edge.end()
    return end


def _end_of_dollar_quote(sql: str, start: int, tag: str) -> int:
    closing = sql.find(tag, start + len(tag))
    if closing < 0:
        raise _unterminated("dollar quote", start)
    return closing + len(tag)


def _unterminated(what: str, position: int) -> SqlTextError:
    return SqlTextError(f"a {what} that begins at character {position} has no end", position=position)
