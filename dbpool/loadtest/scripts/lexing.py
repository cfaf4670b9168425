"""The tokens of a backslash command: words, or an expression's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from dbpool.loadtest.scripts.problems import Source


class Kind(Enum):
    """What a token of an expression is."""

    INTEGER = "digits"
    DOUBLE = "digits with a point or an exponent"
    VARIABLE = ":name"
    WORD = "a keyword or a function's name"
    SYMBOL = "an operator, a parenthesis or a comma"
    END = "the line's end"


class Token(NamedTuple):
    """A piece of the source: ``text`` in upper case for a word, without the colon for a variable."""

    kind: Kind
    text: str
    start: int
    end: int


class Word(NamedTuple):
    """What stands between blanks."""

    text: str
    start: int
    end: int


_LETTER = r"A-Za-z_\x80-\U0010ffff"
# a backslash at a line's end: the command goes on
_BLANK = re.compile(r"(?:[ \t\r\f\v]|\\\r?\n)*+")
_WORD = re.compile(r"[^ \t\r\f\v\n]+?(?=\\\r?\n|[ \t\r\f\v\n]|\Z)")
_TOKEN = re.compile(
    "|".join(
        [
            r"(?P<DOUBLE>[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)",
            r"(?P<INTEGER>[0-9]+)",
            rf"(?P<VARIABLE>:[{_LETTER}0-9]+)",
            rf"(?P<WORD>[{_LETTER}][{_LETTER}0-9]*)",
            r"(?P<SYMBOL><>|!=|<=|>=|<<|>>|[-+*/%=<>|&#~(),])",
        ]
    )
)


def next_word(source: Source, position: int) -> Word | None:
    """The next word of the command that *position* lies in; None at its end."""
    start = _end_of_blank(source, position)
    found = _WORD.match(source.text, start)
    return Word(found.group(), start, found.end()) if found else None


def words(source: Source, position: int) -> list[Word]:
    """All words from *position* to the command's end."""
    found: list[Word] = []
    while word := next_word(source, position):
        found.append(word)
        position = word.end
    return found


def end_of_command(source: Source, position: int) -> int:
    """Where the command that *position* lies in has its line end, or the text's end."""
    while word := next_word(source, position):
        position = word.end
    return _end_of_blank(source, position)


def tokens(source: Source, position: int, command: str) -> Iterator[Token]:
    """The tokens of the expression that begins at *position*; END is the last.

    Raises: ScriptError: a character that begins no token.
    """
    text = source.text
    while True:
        position = _end_of_blank(source, position)
        if position == len(text) or text[position] == "\n":
            yield Token(Kind.END, "", position, position)
            return
        found = _TOKEN.match(text, position)
        if found is None:
            raise source.error(
                f"unexpected character ({text[position]})", start=position, end=position + 1, command=command
            )
        kind, piece = Kind[found.lastgroup or ""], found.group()
        if kind is Kind.VARIABLE:
            piece = piece[1:]
        elif kind is Kind.WORD:
            piece = piece.upper()
        yield Token(kind, piece, position, found.end())
        position = found.end()


def _end_of_blank(source: Source, position: int) -> int:
    found = _BLANK.match(source.text, position)
    assert found is not None  # it matches nothing too
    return found.end()
