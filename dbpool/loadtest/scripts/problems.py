"""What a script's author gets to read, with its place."""

from __future__ import annotations

from dataclasses import dataclass

from dbpool.errors import DbPoolError


class ScriptError(DbPoolError, ValueError):
    """A script, or a word about scripts on the command line, was refused, or one of its commands failed.

    Args:
        message: One sentence, with the place where that is known.
        source: The file's name, "" where there is none.
        line: 1 for the first, 0 where it is not known.
        column: 1 for the first character of *line*, 0 where it is not known.
        excerpt: The line and a mark below the column, "" where there is none.
    """

    def __init__(self, message: str, *, source: str = "", line: int = 0, column: int = 0, excerpt: str = "") -> None:
        super().__init__(message)
        self.source, self.line, self.column, self.excerpt = source, line, column, excerpt


class EvaluationError(Exception):
    """An expression has no value; whoever runs the command says where."""


@dataclass(frozen=True, slots=True)
class Source:
    """A script's text, and its name in messages."""

    name: str
    text: str

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def error(self, message: str, *, start: int, end: int, command: str = "") -> ScriptError:
        """The error that lies in ``text[start:end]``, worded as pgbench words it: place, what, command."""
        begin = self.text.rfind("\n", 0, start) + 1
        stop = self.text.find("\n", start)
        line = self.text[begin : stop if stop >= 0 else None].rstrip("\r")
        number, column = self.line_of(start), start - begin + 1
        blank = "".join(char if char == "\t" else " " for char in line[: column - 1])
        mark = "^" * max(1, min(end, begin + len(line)) - start)
        inside = f' in command "{command}"' if command else ""
        return ScriptError(
            f"{self.name}:{number}: {message} at column {column}{inside}",
            source=self.name,
            line=number,
            column=column,
            excerpt=f"{line}\n{blank}{mark}",
        )
