"""Docstrings as this project writes them, for the reference: a section may follow the one before at once."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(
    r"^(Args|Attributes|Cancelling|Example|Examples|Raises|Returns|Yields)(::?)(?= |$)(.*)$", re.MULTILINE
)


class Sections(griffe.Extension):
    """Gives each section its empty line, and names those in bold that are one sentence."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - as griffe has it
        if obj.docstring is not None:
            obj.docstring.value = _SECTION.sub(_apart, obj.docstring.value)


def _apart(section: re.Match[str]) -> str:
    name, colons, rest = section.groups()
    if rest:
        return f"\n**{name}:**{rest}"
    if name in ("Cancelling", "Example") or colons == "::":
        return f"\n**{name}:**\n"
    return f"\n{name}:"
