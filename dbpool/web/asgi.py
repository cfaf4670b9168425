"""The shapes of ASGI, as its specification has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

# Starlette, Litestar and the servers each have types of their own for these, which only Any fits all.
Scope: TypeAlias = Any
Message: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]


def headers_named(scope: Scope, name: bytes) -> list[str]:
    """The values of the headers called *name* (in lower case), in order."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each.lower() == name]
