"""Styles and scripts that stand in a page itself, so that it asks for nothing."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files


@cache
def inlined(names: tuple[str, ...]) -> str:
    """Files of this package, one after the other; *names* are paths in it, as ``pages/assets/base.css``."""
    return "\n".join((files("dbpool") / name).read_text("utf-8").strip() for name in names)


@cache
def hash_of(text: str) -> str:
    """Of what may run or style, as a Content-Security-Policy has it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
