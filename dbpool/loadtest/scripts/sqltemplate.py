"""A statement of a script with its variables: ``:name`` in the text.

pgbench looks for ``:name`` everywhere, in quotes and comments too, but not after another colon, so that ``::type`` is
left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dbpool.core.sqltext import Kind, tokens
from dbpool.loadtest.scripts.problems import EvaluationError
from dbpool.loadtest.scripts.values import Held, text_of

MAX_PARAMETERS: Final = 255  # as in pgbench

_VARIABLE = re.compile(r"(?<!:):([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)")


class QueryMode(Enum):
    """How statements reach the server: pgbench's -M."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class SqlTemplate:
    """A statement's text, cut at its variables.

    ``sql`` has $1, $2 ... for ``names``, one for each time that a variable stands there. ``quoted`` are the names that
    stand in quotes or comments, where there can be no parameter: in ``sql`` they are as written.
    """

    text: str
    sql: str
    names: tuple[str, ...]
    quoted: tuple[str, ...]

    def with_values(self, variables: Mapping[str, Held]) -> str:
        """The text with the values in it, for the simple protocol; a name that no variable has stays."""
        return _VARIABLE.sub(
            lambda found: text_of(variables[found[1]]) if found[1] in variables else found[0], self.text
        )

    def parameters(self, variables: Mapping[str, Held]) -> tuple[Held, ...]:
        """The values of $1, $2 ... for the extended protocol.

        Raises: EvaluationError: no such variable, or one that stands in quotes.
        """
        for name in self.quoted:
            if name in variables:
                raise EvaluationError(
                    f'variable "{name}" stands in quotes or in a comment, where no parameter can be:'
                    " use the simple protocol, or take it out"
                )
        try:
            return tuple([variables[name] for name in self.names])
        except KeyError as missing:
            raise EvaluationError(f'undefined variable "{missing.args[0]}"') from None


def cut(text: str) -> SqlTemplate:
    """The template for a statement's *text*.

    Raises: SqlTextError.
    """
    # a token that is no quotation; where they end is where a comment may stand
    open_text = [(token.start, token.end) for token in tokens(text) if token.kind not in (Kind.STRING, Kind.NAME)]
    starts = {start for start, _ in open_text}
    pieces: list[str] = []
    names: list[str] = []
    quoted: list[str] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        if found.start() not in starts:
            quoted.append(found[1])
            continue
        names.append(found[1])
        pieces += [text[position : found.start()], f"${len(names)}"]
        position = found.end()
    return SqlTemplate(text, "".join([*pieces, text[position:]]), tuple(names), tuple(dict.fromkeys(quoted)))
