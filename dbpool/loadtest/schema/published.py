"""The JSON Schema (draft 2020-12) of the document ``dbpool.loadtest/1``.

It is the file ``loadtest.schema.json`` beside this one, which other programs can take as it is. Lines of a time line
have the form ``#/$defs/line`` in it. Unknown values are null, and no key is ever left out.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

LINE: Final = "#/$defs/line"


@cache
def text() -> str:
    """The file's text."""
    return (files("dbpool.loadtest.schema") / "loadtest.schema.json").read_text(encoding="utf-8")


def document_schema() -> dict[str, Any]:
    """The schema of a document; the caller's own copy."""
    schema: dict[str, Any] = json.loads(text())
    return schema


def line_schema() -> dict[str, Any]:
    """The schema of one line of a time line."""
    whole = document_schema()
    return {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": LINE}
