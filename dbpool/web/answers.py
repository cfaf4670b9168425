"""Answers over ASGI, each with the headers that keep it to itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from dbpool.web.asgi import Headers, Scope, Send

ODD: Final = "backslashreplace"
"""What becomes of a lone surrogate, as in a task that is named after a file: ``\\udc80``, which is JSON's own form."""
PRIVATE: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of one piece."""

    status: int
    body: bytes
    kind: str
    headers: tuple[tuple[str, str], ...] = ()

    async def send(self, scope: Scope, send: Send) -> None:
        """Send it; to HEAD without its body."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.head()})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})

    def head(self) -> Headers:
        return [
            (b"content-type", self.kind.encode()),
            (b"content-length", str(len(self.body)).encode()),
            *PRIVATE,
            *((name.encode(), value.encode()) for name, value in self.headers),
        ]


def text(status: int, sentence: str, *headers: tuple[str, str]) -> Answer:
    """A sentence."""
    return Answer(status, f"{sentence}\n".encode(errors=ODD), "text/plain; charset=utf-8", headers)


def html(status: int, page: str, policy: str, *headers: tuple[str, str]) -> Answer:
    """A page that may do no more than *policy* says."""
    return Answer(
        status, page.encode(errors=ODD), "text/html; charset=utf-8", (("content-security-policy", policy), *headers)
    )


def json_answer(status: int, value: Any, *headers: tuple[str, str]) -> Answer:  # noqa: ANN401 - any JSON
    """JSON."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(errors=ODD)
    return Answer(status, body, "application/json", headers)
