"""Connecting to whichever server of several will do: which are asked, and when."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pytest

from dbpool.connection import PlainConnection
from dbpool.dsn import Dsn
from dbpool.reaching import Reaching


class Login(NamedTuple):
    password: str | None = "secret"


class Opened:
    """A connection, as far as it is looked at here; its address is as asyncpg has it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self._addr = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._transport = None
        self._params = Login()

    def terminate(self) -> None:
        """It has no socket."""


class Servers:
    """What the servers of an address do with those who connect, and who of them was asked."""

    def __init__(self, address: str) -> None:
        named = Dsn(address).named
        self.reaching = Reaching(named, named.target, named.order, patience_s=1.0)
        self.asked: list[str] = []

    async def reach(self, timeout: float = 5.0) -> Opened:
        return cast(Opened, await self.reaching.connect(self._connect, timeout))

    async def _connect(self, *, host: str, port: int | None, **_: object) -> PlainConnection[Any]:
        self.asked.append(host)
        return cast("PlainConnection[Any]", Opened(host, port or 5432))


@pytest.mark.parametrize(
    ("address", "first", "at", "second"),
    [
        ("postgresql://a,b/s", "a", ("a", 5432), "b"),
        ("postgresql://a:1,b/s", "a", ("a", 1), "b"),
        ("postgresql:///s?host=/run/a,/run/b", "/run/a", "/run/a/.s.PGSQL.5432", "/run/b"),
    ],
)
async def test_a_server_that_takes_no_writes_any_more_is_tried_after_the_others(
    address: str, first: str, at: object, second: str
) -> None:
    servers = Servers(address)
    assert (await servers.reach()).host == first
    servers.reaching.demoted(at)
    assert (await servers.reach()).host == second
    assert servers.asked == [first, second]
