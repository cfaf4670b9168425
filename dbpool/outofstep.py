"""A connection whose stream of messages makes no sense is cut off without a word to the event loop."""

from __future__ import annotations

import asyncio
from typing import Any


def cut_quietly(transport: asyncio.BaseTransport) -> None:
    """Have *transport* tell its loop nothing of what the driver cannot read: who uses the connection is told.

    asyncpg raises then, into the loop's reading, an ``AttributeError`` as a rule. The loop cuts the connection, which
    is right, and calls its exception handler, which nobody can do anything about. asyncio's transports are told
    here that it was the connection's end; uvloop's cannot be, and tells.
    """
    inner: Any = getattr(transport, "_ssl_protocol", transport)
    fatal = getattr(inner, "_fatal_error", None)
    if fatal is None or not hasattr(inner, "__dict__"):
        return

    def end(error: BaseException, *message: str) -> None:
        if isinstance(error, Exception) and not isinstance(error, OSError):
            ours = ConnectionAbortedError(f"its messages make no sense: {type(error).__name__}")
            ours.__cause__ = error
            error = ours
        fatal(error, *message)

    inner._fatal_error = end
