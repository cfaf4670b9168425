"""Where the rows of a delimited text end, seen as PostgreSQL's COPY sees them.

COPY takes a quote wherever it stands, in the middle of a value too, for the begin or the end of a quoted part; only
inside one does the escape mean anything. A row end inside a quoted part is data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Dialect:
    """How values are told apart; without a *quote* every line is a row."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b'"'


@cache
def _rest_of_quoted(dialect: Dialect) -> re.Pattern[bytes]:
    """What is left of a quoted part behind its first quote; group 1 is the quote that ends it, if that is there.

    Where quote and escape are the same, a doubled one ends a part and begins another, to the same effect.
    """
    quote, escape = re.escape(dialect.quote), re.escape(dialect.escape)
    if quote == escape:
        return re.compile(rb"[^%b]*+(%b)?" % (quote, quote), re.DOTALL)
    return re.compile(rb"(?:[^%b%b]++|%b.)*+(%b)?" % (quote, escape, escape, quote), re.DOTALL)


def _closed(dialect: Dialect) -> bytes:
    return _rest_of_quoted(dialect).pattern.removesuffix(b"?")


@cache
def _quoted(dialect: Dialect) -> re.Pattern[bytes]:
    """A quoted part, as far as it is there."""
    return re.compile(re.escape(dialect.quote) + _rest_of_quoted(dialect).pattern, re.DOTALL)


@cache
def _whole_rows(dialect: Dialect, end: bytes) -> re.Pattern[bytes]:
    """As many rows as there are; a carriage return ends one if something other than a line feed follows."""
    quote = re.escape(dialect.quote)
    row = rb"(?:[^%b%b]++|%b%b)*+%b" % (quote, end, quote, _closed(dialect), rb"\r(?=[^\n])" if end == b"\r" else end)
    return re.compile(rb"(?:%b)*+" % row, re.DOTALL)


@cache
def _quoted_or_end(dialect: Dialect) -> re.Pattern[bytes]:
    """The same, or what ends a line."""
    ends = rb"\r+\n|\r|\n"  # files that were translated twice have \r\r\n
    return re.compile(_quoted(dialect).pattern + b"|" + ends if dialect.quote else ends, re.DOTALL)


def first_end(text: bytes, dialect: Dialect, *, is_all: bool) -> tuple[int, bytes] | None:
    """The index behind the first row, and what ends it: LF, CR LF or CR; None if that is not in *text*.

    Args:
        is_all: no more text follows; else a CR at the end of *text* may be half of an end.
    """
    for found in _quoted_or_end(dialect).finditer(text):
        token = found.group()
        if token[:1] in (b"\r", b"\n"):
            if token == b"\r" and found.end() == len(text) and not is_all:
                return None
            return found.end(), token[-2:]
    return None


class RowEnds:
    """Finds the last row end of each piece of a text, in order.

    Between two calls, ``is_open`` says whether the text so far ends inside a quoted part.
    """

    def __init__(self, dialect: Dialect, end: bytes = b"\n") -> None:
        self._dialect = dialect
        self._end = end[-1:]
        self.is_open = False
        self._is_escaped = False  # the last piece ended, in a quoted part, with an escape

    def last(self, piece: bytes) -> int:
        """The index behind the last row end in *piece*, 0 if there is none."""
        dialect = self._dialect
        if not dialect.quote:
            return self._unquoted(piece, len(piece)) + 1
        if dialect.escape != dialect.quote and (self._is_escaped or dialect.escape in piece):
            return self._by_scan(piece)
        if dialect.quote not in piece:
            return 0 if self.is_open else self._unquoted(piece, len(piece)) + 1
        was_open = self.is_open
        self.is_open ^= piece.count(dialect.quote) % 2 == 1
        return self._by_parity(piece, was_open)

    def _by_parity(self, piece: bytes, was_open: bool) -> int:  # noqa: FBT001 - as it was before this piece
        """Go back from the end, where it is known whether a quote is open, to a row end where none is."""
        quote, limit, is_open = self._dialect.quote, len(piece), self.is_open
        while (at := self._unquoted(piece, limit)) >= 0:
            if piece.count(quote, at, limit) % 2:
                is_open = not is_open
            if not is_open:
                return at + 1
            limit, is_open = piece.rfind(quote, 0, at), False
            if limit < 0:
                assert was_open
                return 0
        return 0

    def _by_scan(self, piece: bytes) -> int:
        """Go through all of it, for an escape says nothing about what stands before it."""
        dialect, start, last = self._dialect, 0, 0
        if self.is_open:
            start = 1 if self._is_escaped else 0
            found = _rest_of_quoted(dialect).match(piece, start)
            assert found is not None
            self._note(piece, found)
            start = found.end()
        if not self.is_open:
            whole = _whole_rows(dialect, self._end).match(piece, start)
            assert whole is not None
            last = whole.end() if whole.end() > start else 0
            for found in _quoted(dialect).finditer(piece, whole.end()):
                self._note(piece, found)
        return last

    def _note(self, piece: bytes, quoted: re.Match[bytes]) -> None:
        self.is_open = quoted.group(1) is None
        self._is_escaped = self.is_open and quoted.end() < len(piece)

    def _unquoted(self, piece: bytes, limit: int) -> int:
        at = piece.rfind(self._end, 0, limit)
        while at >= 0 and not self._is_end(piece, at):
            at = piece.rfind(self._end, 0, at)
        return at

    def _is_end(self, piece: bytes, at: int) -> bool:
        """Whether a row surely ends at *at*: behind a carriage return, a line feed may follow that belongs to it."""
        if piece[at : at + 1] != self._end:
            return False
        return self._end == b"\n" or (at + 1 < len(piece) and piece[at + 1 : at + 2] != b"\n")


def rows(text: bytes, dialect: Dialect, end: bytes = b"\n") -> Iterator[bytes]:
    """The rows of *text*, each without its end; the last one may have none.

    Where rows end with LF or CR LF, they may do so in turns, but a CR alone ends none; where they end with CR, any of
    the three ends one.
    """
    start = 0
    for found in _quoted_or_end(dialect).finditer(text):
        token = found.group()
        if _ends_row(token, end):
            yield text[start : found.start()]
            start = found.end()
    if start < len(text):
        yield text[start:]


def _ends_row(token: bytes, end: bytes) -> bool:
    return token[:1] in (b"\r", b"\n") and (token != b"\r" or end == b"\r")


def is_mixed(pieces: Iterable[bytes | memoryview], end: bytes) -> bool:
    """Whether a text may have row ends of another kind than its first; those in quotes count, too."""
    feeds = pairs = returns = 0
    ends_with_return = False
    for text in map(bytes, pieces):
        if end == b"\n" and not ends_with_return and b"\r" not in text:
            continue
        feeds += text.count(b"\n")
        returns += text.count(b"\r")
        pairs += text.count(b"\r\n") + (ends_with_return and text[:1] == b"\n")
        ends_with_return = text[-1:] == b"\r"
    return {b"\n": pairs > 0, b"\r\n": not pairs == feeds == returns, b"\r": feeds > 0}[end]


def with_feeds(text: bytes, dialect: Dialect, end: bytes) -> bytes:
    """*text* with LF at the end of each row; see ``rows`` for what ends one."""

    def replaced(found: re.Match[bytes]) -> bytes:
        token = found.group()
        return b"\n" if _ends_row(token, end) else token

    return _quoted_or_end(dialect).sub(replaced, text)


def count_values(row: bytes, dialect: Dialect) -> int:
    """How many values a row has, at least one."""
    return _unquoted(row, dialect).count(dialect.delimiter) + 1


def has_return(row: bytes, dialect: Dialect) -> bool:
    """Whether a row has a carriage return outside of quotes, which COPY refuses."""
    return b"\r" in row and b"\r" in _unquoted(row, dialect)


def _unquoted(row: bytes, dialect: Dialect) -> bytes:
    return _quoted(dialect).sub(b"", row) if dialect.quote and dialect.quote in row else row


def is_left_open(row: bytes, dialect: Dialect) -> bool:
    """Whether a row ends inside a quoted part."""
    if not dialect.quote or dialect.quote not in row:
        return False
    return any(found.group(1) is None for found in _quoted(dialect).finditer(row))


def values(row: bytes, dialect: Dialect, null: bytes = b"") -> list[bytes | None]:
    """The values of a row as COPY reads them; None where one, not quoted anywhere, is *null*."""
    found: list[bytes | None] = []
    value, at, was_quoted, is_open = bytearray(), 0, False, False
    while at < len(row):
        char, at = row[at : at + 1], at + 1
        following = row[at : at + 1]
        if is_open and char == dialect.escape and following and following in (dialect.escape, dialect.quote):
            value += following
            at += 1
        elif char == dialect.quote:
            is_open, was_quoted = not is_open, True
        elif char == dialect.delimiter and not is_open:
            found.append(None if value == null and not was_quoted else bytes(value))
            value, was_quoted = bytearray(), False
        else:
            value += char
    found.append(None if value == null and not was_quoted else bytes(value))
    return found
