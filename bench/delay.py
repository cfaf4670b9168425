"""``python -m bench.delay``: a network that is far, in a process of its own.

What comes in goes on after a fixed time, in order, however much there is: each piece waits for itself, not for those
before it. Bytes are not looked at.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import parse_qsl, urlencode, urlsplit

from bench.process import MeasurementFailed

Upstream = dict[str, str | int]
"""``path`` of a Unix socket, or ``host`` and ``port``."""


@contextmanager
def far_away(dsn: str, *, one_way_s: float) -> Iterator[str]:
    """The DSN of the same database, each direction of whose connections takes *one_way_s* longer."""
    asked = json.dumps({"upstream": _upstream(dsn), "one_way_s": one_way_s})
    with subprocess.Popen(
        [sys.executable, "-m", "bench.delay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        print(asked, file=process.stdin, flush=True)
        port = process.stdout.readline()
        if not port:
            raise MeasurementFailed("the process of bench.delay ended, see above")
        yield _at(dsn, int(port))  # leaving the block closes its stdin, at which it ends


def _upstream(dsn: str) -> Upstream:
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    host = query.get("host", parts.hostname or "127.0.0.1")
    port = int(query.get("port", parts.port or 5432))
    return {"path": f"{host}/.s.PGSQL.{port}"} if host.startswith("/") else {"host": host, "port": port}


def _at(dsn: str, port: int) -> str:
    """*dsn* with the address of the proxy."""
    parts = urlsplit(dsn)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("host", "port", "sslmode")]
    user, at, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user}{at}127.0.0.1:{port}{parts.path}?{urlencode([*query, ('sslmode', 'disable')])}"


class _Late(asyncio.Protocol):
    """One end of a session: what it hears, the other says later."""

    def __init__(self, one_way_s: float) -> None:
        self._one_way_s = one_way_s
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.other: _Late | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.other
        self._loop.call_later(self._one_way_s, self.other.say, data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self._loop.call_later(self._one_way_s, self.other.end)

    def say(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Client(_Late):
    """The end that a client connects to; it is not read before the server is there."""

    def __init__(self, upstream: Upstream, one_way_s: float) -> None:
        super().__init__(one_way_s)
        self._upstream = upstream
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport
        self.transport.pause_reading()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        assert self.transport
        make = partial(_Late, self._one_way_s)
        try:
            if "path" in self._upstream:
                _, server = await self._loop.create_unix_connection(make, str(self._upstream["path"]))
            else:
                _, server = await self._loop.create_connection(make, **self._upstream)  # type: ignore[arg-type]
        except OSError:
            self.transport.abort()
            return
        self.other, server.other = server, self
        self.transport.resume_reading()


async def _serve(upstream: Upstream, one_way_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(_Client, upstream, one_way_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # until it is closed
    server.close()


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    # epoll takes whole milliseconds, select() the time as it is
    with asyncio.Runner(loop_factory=partial(asyncio.SelectorEventLoop, selectors.SelectSelector())) as runner:
        runner.run(_serve(asked["upstream"], asked["one_way_s"]))


if __name__ == "__main__":
    main()
