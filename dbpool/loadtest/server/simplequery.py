"""Rows by the simple query protocol, the only one that a pooler's console speaks, and of which asyncpg returns none."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

import asyncpg

from dbpool.loadtest.server.connecting import Session

TextRow: TypeAlias = dict[str, str | None]
_HEADER: Final = 5  # a message's kind and its length, which counts itself but not the kind


async def simple_rows(session: Session, sql: str, *, timeout_s: float) -> list[TextRow]:
    """The rows of *sql*, all values as texts; nobody else uses *session* meanwhile.

    Raises:
        asyncpg.PostgresError: the other side refuses it; the session goes on.
        ConnectionError: it is gone.
        TimeoutError: no answer came in time: the session has been cut off.
    Cancelling: cuts the session off.
    """
    transport: asyncio.Transport = session._transport  # type: ignore[attr-defined]  # noqa: SLF001 - see the first line
    if transport.is_closing():
        raise ConnectionResetError("the connection is closed")
    drivers = transport.get_protocol()
    exchange = _Exchange(drivers)
    transport.set_protocol(exchange)
    try:
        transport.write(_query(sql))
        async with asyncio.timeout(timeout_s):
            return await exchange.done
    finally:
        transport.set_protocol(drivers)
        if exchange.is_unfinished:
            session.terminate()


def _query(sql: str) -> bytes:
    payload = sql.encode() + b"\0"
    return b"Q" + (len(payload) + 4).to_bytes(4, "big") + payload


class _Exchange(asyncio.Protocol):
    """Takes the answer to one query; *drivers* is who else must know when the connection is lost."""

    def __init__(self, drivers: asyncio.BaseProtocol) -> None:
        self.done: asyncio.Future[list[TextRow]] = asyncio.get_running_loop().create_future()
        self._drivers = drivers
        self._buffer = b""
        self._names: list[str] = []
        self._rows: list[TextRow] = []
        self._error: asyncpg.PostgresError | None = None
        self.is_unfinished = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            end = 1 + int.from_bytes(self._buffer[1:_HEADER], "big")
            if len(self._buffer) < end:
                return
            kind, payload = self._buffer[:1], self._buffer[_HEADER:end]
            self._buffer = self._buffer[end:]
            self._take(kind, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_unfinished = False  # there is nothing left to cut off
        if not self.done.done():
            self.done.set_exception(ConnectionResetError("the connection was lost"))
        self._drivers.connection_lost(exc)

    def _take(self, kind: bytes, payload: bytes) -> None:
        match kind:
            case b"T":
                self._names = _names(payload)
            case b"D":
                self._rows.append(dict(zip(self._names, _values(payload), strict=True)))
            case b"E":
                self._error = _error(payload)
            case b"Z":  # ready for the next
                self.is_unfinished = False
                if self.done.done():  # nobody waits any more
                    return
                if self._error is not None:
                    self.done.set_exception(self._error)
                else:
                    self.done.set_result(self._rows)


def _names(payload: bytes) -> list[str]:
    names, at = [], 2
    for _ in range(int.from_bytes(payload[:2], "big")):
        end = payload.index(b"\0", at)
        names.append(payload[at:end].decode())
        at = end + 1 + 18  # table, column, type, size, modifier, format
    return names


def _values(payload: bytes) -> list[str | None]:
    values: list[str | None] = []
    at = 2
    for _ in range(int.from_bytes(payload[:2], "big")):
        length = int.from_bytes(payload[at : at + 4], "big", signed=True)
        at += 4
        values.append(None if length < 0 else payload[at : at + length].decode())
        at += max(0, length)
    return values


def _error(payload: bytes) -> asyncpg.PostgresError:
    fields = {part[:1].decode(): part[1:].decode(errors="replace") for part in payload.split(b"\0") if part}
    make: Any = asyncpg.PostgresError
    error: asyncpg.PostgresError = make.new(fields)
    return error
