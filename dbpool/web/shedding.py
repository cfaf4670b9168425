"""Middleware that answers what a pool refuses with 503, so that clients come back later."""

from __future__ import annotations

import json
import logging
import random
import sys
from collections.abc import Callable, Iterator
from math import ceil
from typing import Final

from dbpool.errors import AcquireTimeout, DbPoolError, LineFull, Overloaded, PoolClosed, ServerUnavailable
from dbpool.faults import one_line
from dbpool.settings import positive_seconds
from dbpool.web.asgi import App, Headers, Message, Receive, Scope, Send, headers_named
from dbpool.wording import counted

log = logging.getLogger("dbpool.web")

REFUSALS: Final = (LineFull, AcquireTimeout, PoolClosed, ServerUnavailable)
"""Nothing was sent to the server for these, and the same may work a moment later, or on another instance."""
SPREAD: Final = 2
"""Who was refused together is to come back apart: between the time said and about twice it."""
INTERNAL_ERROR: Final = 500


class Shedding:
    """An ASGI app that answers with 503 and ``Retry-After`` where *app* was refused by a pool or a gate.

    That is where *app* ends with LineFull, Overloaded, AcquireTimeout, PoolClosed or ServerUnavailable before its
    response has begun, where it answers with 500 because of one of them, as frameworks do with errors that nobody
    handles, and where one of them is the cause of another library's error. All else, and what an application's own
    handler answers in their stead, passes through. The answer says when to come again, nothing of what was refused or
    why; that is logged by ``dbpool.web`` at level INFO.

    Args:
        app: any ASGI app, that of a framework too; or add this class as a framework's middleware.
        retry_after: seconds, for errors that do not know better (Overloaded does). ``Retry-After`` has whole seconds,
            by chance from this to about twice as many, so that not all come back at once.
        choose: gives a whole number from its first to its second argument; for tests.
    Raises:
        SettingsError: *retry_after* is not above 0.
    Example: ``app.add_middleware(Shedding)``, or ``app = Shedding(app)``
    """

    def __init__(
        self, app: App, *, retry_after: float = 1.0, choose: Callable[[int, int], int] = random.randint
    ) -> None:
        self.app = app
        self._retry_after = positive_seconds(retry_after, "retry_after")
        self._choose = choose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False
        shed: Exception | None = None

        async def send_or_shed(message: Message) -> None:
            nonlocal has_begun, shed
            if shed is not None:  # the rest of the answer that this one stands for
                return
            if message["type"] == "http.response.start" and message["status"] == INTERNAL_ERROR and not has_begun:
                # Frameworks answer with 500 while they handle the error, so that it can be seen from here.
                error = sys.exception()
                if isinstance(error, Exception) and (refusal := refusal_in(error)) is not None:
                    has_begun, shed = True, error
                    await self._answer(scope, send, refusal)
                    return
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_or_shed)
        except Exception as error:
            if error is shed:
                return
            refusal = refusal_in(error)
            if refusal is None or has_begun:
                raise
            await self._answer(scope, send, refusal)

    async def _answer(self, scope: Scope, send: Send, refusal: DbPoolError) -> None:
        known = refusal.retry_after if isinstance(refusal, Overloaded) else 0.0
        least = ceil(max(known, self._retry_after))
        seconds = self._choose(least, SPREAD * least + 1)
        log.info("503 for %r, retry after %d s: %s", scope["path"], seconds, one_line(refusal))
        kind, body = _body(scope, seconds)
        headers: Headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(seconds).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def refusal_in(error: BaseException) -> DbPoolError | None:
    """The refusal that *error* is, wraps as its cause, or has nothing but, as a group of errors; None: it has not."""
    for each in _causes(error):
        if isinstance(each, REFUSALS):
            return each
        if isinstance(each, BaseExceptionGroup):
            found = [refusal_in(member) for member in each.exceptions]
            return found[0] if all(found) else None
        if isinstance(each, DbPoolError):  # says itself what its cause means: some of a bulk write may be stored
            return None
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _body(scope: Scope, seconds: int) -> tuple[bytes, bytes]:
    """Its type and itself: JSON as RFC 9457 has it, or a sentence for who asks for text and not for JSON."""
    text = f"The service cannot answer now. Try again in {counted(seconds, 'second')}."
    accepted = ",".join(headers_named(scope, b"accept"))
    if "text/" in accepted and "json" not in accepted:
        return b"text/plain; charset=utf-8", text.encode()
    problem = {"title": "Service Unavailable", "status": 503, "detail": text, "retry_after": seconds}
    return b"application/problem+json", json.dumps(problem).encode()
