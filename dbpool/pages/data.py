"""JSON on its way into a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_of(value: Any) -> str:  # noqa: ANN401 - any JSON
    """JSON that may stand in a script element: no text in it can end that."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def message(name: str, data: Mapping[str, Any]) -> bytes:
    """A message of a stream of server-sent events."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
