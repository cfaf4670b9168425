r"""Where a statement of a script ends: at a semicolon outside quotes, comments and parentheses, or at a backslash.

As psql has it, ``\;`` is a semicolon that ends nothing, and neither do the semicolons in the body of a routine that
BEGIN ATOMIC opens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dbpool.core.sqltext import Kind, SqlTextError, Token, tokens
from dbpool.loadtest.scripts.problems import Source

# before a statement this is nothing; a comment between /* and */ may be a hint, which belongs to it
_NOTHING = re.compile(r"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+")
_ROUTINES: Final = ("FUNCTION", "PROCEDURE")


@dataclass(frozen=True, slots=True)
class Statement:
    r"""A statement's text, with its semicolon; ``joined`` if there are several, with ``\;`` between them."""

    text: str
    start: int
    joined: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """What came before ``end``: a statement or nothing. ``backslash`` is where a command begins, -1 for none."""

    statement: Statement | None
    end: int
    backslash: int = -1


class Cutter:
    """Reads one source from its start to its end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._nesting = _Nesting()

    def next(self, position: int) -> Cut:
        """What comes next from *position*.

        Raises: ScriptError: a quote or comment has no end.
        """
        tail, nesting, seen = self._source.text[position:], self._nesting, False
        forced: list[int] = []  # backslashes before a character that they make plain
        try:
            for token in tokens(tail):
                if forced and token.start == forced[-1] + 1:
                    continue
                if token.kind is Kind.SYMBOL and token.text == "\\":
                    following = tail[token.end : token.end + 1]
                    if following not in (";", ":"):
                        statement = _statement(tail, position, token.start, forced) if seen else None
                        return Cut(statement, position + token.end, position + token.start)
                    forced.append(token.start)
                    if following == ";":
                        nesting.forget_words()
                seen = True
                if nesting.is_end(token):
                    return Cut(_statement(tail, position, token.end, forced), position + token.end)
        except SqlTextError as error:
            begin = position + error.position
            raise self._source.error("this quote or comment has no end", start=begin, end=begin + 1) from None
        return Cut(_statement(tail, position, len(tail), forced) if seen else None, len(self._source.text))


def _statement(tail: str, position: int, end: int, forced: list[int]) -> Statement:
    found = _NOTHING.match(tail)
    start = found.end() if found else 0
    edges = [start, *(at + shift for at in forced for shift in (0, 1)), end]
    text = "".join(tail[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)).rstrip()
    return Statement(text, position + start, any(tail[at + 1] == ";" for at in forced))


class _Nesting:
    """How deep in parentheses and in a routine's body; a backslash command in between changes nothing."""

    def __init__(self) -> None:
        self._opening: list[str] = []
        self._parentheses = self._blocks = 0

    def is_end(self, token: Token) -> bool:
        """Take *token*; whether it is the semicolon that ends the statement."""
        if token.kind is Kind.WORD:
            self._take_word(token.keyword)
        elif token.kind is Kind.SYMBOL:
            if token.text == "(":
                self._parentheses += 1
            elif token.text == ")":
                self._parentheses = max(0, self._parentheses - 1)
            elif token.text == ";" and not self._parentheses and not self._blocks:
                self.forget_words()
                return True
        return False

    def forget_words(self) -> None:
        """Another statement begins, unless it is one of a body."""
        if not self._blocks:
            self._opening.clear()

    def _take_word(self, word: str) -> None:
        if len(self._opening) < 4:
            self._opening.append(word)
        if self._parentheses or not self._is_routine():
            return
        if word == "BEGIN" or (word == "CASE" and self._blocks):
            self._blocks += 1
        elif word == "END" and self._blocks:
            self._blocks -= 1

    def _is_routine(self) -> bool:
        match self._opening:
            case ["CREATE", "OR", "REPLACE", kind, *_] | ["CREATE", kind, *_]:
                return kind in _ROUTINES
        return False
