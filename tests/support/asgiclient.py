"""Asks an ASGI app as a server would, in this process, and fails at what a server would refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbpool.web.asgi import App, Message, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Response:
    """What has come so far."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False

    def __getitem__(self, name: str) -> str:
        """The only header called *name*."""
        (value,) = [value for each, value in self.headers if each == name]
        return value

    def has(self, name: str) -> bool:
        return any(each == name for each, _ in self.headers)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


def scope_of(
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] | None = ("127.0.0.1", 50_000),
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000),
    scheme: str = "http",
    root_path: str = "",
    http_version: str = "1.1",
) -> Scope:
    """What uvicorn makes of a request; *target* is without *root_path*, as behind a proxy that takes it off."""
    path, _, query = target.partition("?")
    sent = {"host": "127.0.0.1:8000", **(headers or {})}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": http_version,
        "method": method,
        "scheme": scheme,
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": client,
        "server": server,
    }


class Exchange:
    """One request under way."""

    def __init__(self, body: bytes = b"") -> None:
        self.response = Response()
        self.changed = asyncio.Condition()
        self._request: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._gone = asyncio.Event()

    def hang_up(self) -> None:
        self._gone.set()

    async def receive(self) -> Message:
        if self._request is not None:
            request, self._request = self._request, None
            return request
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        response = self.response
        if message["type"] == "http.response.start":
            assert not response.status, "a response begins once"
            response.status = message["status"]
            response.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
            assert all(name == name.lower() for name, _ in response.headers)
        else:
            assert message["type"] == "http.response.body"
            assert response.status, "a response begins with its head"
            assert not response.is_complete, "a response ends once"
            response.body += message.get("body", b"")
            if not message.get("more_body"):
                response.is_complete = True
                self._gone.set()  # as servers tell it
        async with self.changed:
            self.changed.notify_all()

    async def wait_body(self, part: bytes, times: int = 1) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: self.response.body.count(part) >= times)


async def ask(app: App, method: str, target: str, *, body: bytes = b"", **options: Any) -> Response:  # noqa: ANN401
    """The whole response to a request; *options* as ``scope_of`` takes them."""
    exchange = Exchange(body)
    async with asyncio.timeout(10):
        await app(scope_of(method, target, **options), exchange.receive, exchange.send)
    response = exchange.response
    assert response.is_complete
    lengths = [value for name, value in response.headers if name == "content-length"]
    assert method == "HEAD" or lengths in ([], [str(len(response.body))])
    return response


@asynccontextmanager
async def asking(app: App, target: str, **options: Any) -> AsyncIterator[Exchange]:  # noqa: ANN401
    """A request that is under way for the length of the block; then the client hangs up, and the app is done."""
    exchange = Exchange()
    task = asyncio.ensure_future(app(scope_of("GET", target, **options), exchange.receive, exchange.send))
    try:
        yield exchange
    finally:
        exchange.hang_up()
        async with asyncio.timeout(10):
            await task
