"""Connecting to whichever server of several will do: which are asked, and when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, NamedTuple, cast

import pytest

from dbpool.connection import PlainConnection
from dbpool.core.hosts import NoServerSuits
from dbpool.dsn import Dsn
from dbpool.errors import InsecureConnection
from dbpool.faults import is_distrusted
from dbpool.reaching import Reaching
from tests.support.script import NEVER

TURNS_TO_END = 3  # of a connect that is cancelled
REFUSED = ConnectionRefusedError(111, "nobody listens")
STRANGER = InsecureConnection("who are you")


class Login(NamedTuple):
    password: str | None = "secret"


class Opened:
    """A connection, as far as it is looked at here; its address is as asyncpg has it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.address = self._addr = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._transport = None
        self._params = Login()
        self.is_open = True

    def terminate(self) -> None:
        self.is_open = False


class Servers:
    """What the servers of an address do with those who connect, and who of them was asked."""

    def __init__(self, address: str) -> None:
        named = Dsn(address).named
        self.reaching = Reaching(named, named.target, named.order, patience_s=1.0)
        self.asked: list[str] = []
        self.opened: list[Opened] = []
        self.script: defaultdict[str, list[Exception | float]] = defaultdict(list)
        """By host, for its next connects: an error, or how long it takes in seconds. Those after that succeed."""

    async def reach(self, timeout: float = 5.0, *, at: object = None) -> Opened:
        return cast(Opened, await self.reaching.connect(self._connect, timeout, at=at))

    async def _connect(self, *, host: str, port: int | None, **_: object) -> PlainConnection[Any]:
        self.asked.append(host)
        does = self.script[host].pop(0) if self.script[host] else 0.001
        if isinstance(does, Exception):
            raise does
        try:
            await asyncio.sleep(does)
        except asyncio.CancelledError:
            for _turn in range(TURNS_TO_END):
                await asyncio.sleep(0)
            raise
        self.opened.append(Opened(host, port or 5432))
        return cast("PlainConnection[Any]", self.opened[-1])


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


async def test_one_that_refused_and_is_silent_now_is_waited_for_and_not_asked_beside_that() -> None:
    servers = Servers("postgresql://a,b/s")
    servers.script["a"] = [NEVER]
    servers.script["b"] = [REFUSED, REFUSED, *[NEVER] * 50]
    with pytest.raises(NoServerSuits, match="a: no answer; b: ConnectionRefusedError"):
        await servers.reach(2.25)
    assert servers.asked == ["a", "b", "b", "b"]


async def test_one_that_is_no_server_of_postgresql_is_passed_over() -> None:
    servers = Servers("postgresql://a,b/s")
    servers.script["a"] = [STRANGER]
    assert (await servers.reach()).host == "b"
    assert servers.asked == ["a", "b"]


async def test_where_none_suits_a_stranger_is_told_with_the_others() -> None:
    servers = Servers("postgresql://a,b/s")
    servers.script["a"], servers.script["b"] = [STRANGER], [REFUSED]
    with pytest.raises(NoServerSuits, match="a: InsecureConnection: who are you; b: ConnectionRefused") as caught:
        await servers.reach()
    assert not is_distrusted(caught.value)
    servers.script["a"], servers.script["b"] = [STRANGER], [STRANGER]
    with pytest.raises(NoServerSuits) as caught:
        await servers.reach()
    assert is_distrusted(caught.value)


async def test_a_stranger_in_place_of_the_only_server_is_told_as_itself() -> None:
    servers = Servers("postgresql://a/s?target_session_attrs=any")
    servers.script["a"] = [STRANGER]
    with pytest.raises(InsecureConnection):
        await servers.reach()
    assert servers.asked == ["a"]


async def test_a_connect_to_one_server_asks_no_other_and_makes_it_no_favourite() -> None:
    servers = Servers("postgresql://a,b/s")
    at = (await servers.reach()).address
    servers.script["a"] = [REFUSED]
    assert (await servers.reach()).host == "b"
    servers.asked.clear()
    servers.script["a"] = [REFUSED, NEVER]
    for why in ("a: ConnectionRefusedError", "a: no answer"):
        with pytest.raises(NoServerSuits, match=f"^{why}[^;]*$"):
            await servers.reach(0.5, at=at)
    assert (await servers.reach(0.5, at=at)).host == "a"
    assert servers.asked == ["a", "a", "a"]
    assert (await servers.reach()).host == "b"


@pytest.mark.parametrize("b_answers_s", [0.1, 0.05, 0.02])  # with the other one, or first
async def test_whoever_is_cancelled_while_another_attempt_is_given_up_leaves_no_connection_open(
    b_answers_s: float,
) -> None:
    ends = set()
    for turns in range(16):
        servers = Servers("postgresql://a,b/s")
        servers.script["a"], servers.script["b"] = [0.6], [b_answers_s]
        reaching = asyncio.create_task(servers.reach())
        await asyncio.sleep(0.5 + b_answers_s)
        for _ in range(turns):
            await asyncio.sleep(0)
        reaching.cancel()
        await asyncio.wait([reaching])
        kept = [] if reaching.cancelled() else [reaching.result()]
        assert [each for each in servers.opened if each.is_open] == kept, turns
        ends.add(len(kept))
    assert ends == {0, 1}
