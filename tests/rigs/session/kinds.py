"""What a caller can leave behind in a session, kind by kind, and how the next one would meet it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

SETUP = """
create sequence s;
create function sets_by_itself() returns void language plpgsql as $$ begin set maintenance_work_mem = '1234kB'; end $$;
create function last_value() returns bigint language plpgsql as
    $$ begin return lastval(); exception when others then return null; end $$;
"""
SEED = "select setseed(0.25)"


class Hand(Protocol):
    """A connection as a caller has it, whosever pool it is from."""

    async def run(self, sql: str) -> None: ...
    async def rows(self, sql: str) -> list[tuple[object, ...]]: ...
    async def read_json_as(self, text: str) -> None:
        """Have each JSON value come as *text*: a type codec."""
        ...

    async def hear_notices(self, heard: list[str]) -> None: ...


@dataclass(slots=True)
class Trap:
    """What the last caller left in this process."""

    heard: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of state, and what leaves it behind."""

    name: str
    sql: str = ""
    leave: Callable[[Hand, Trap], Awaitable[None]] | None = None

    async def make(self, hand: Hand, trap: Trap) -> None:
        if self.leave is not None:
            await self.leave(hand, trap)
        else:
            await hand.run(self.sql)


async def _codec(hand: Hand, _: Trap) -> None:
    await hand.read_json_as("of the caller before")


async def _notices(hand: Hand, trap: Trap) -> None:
    await hand.hear_notices(trap.heard)


async def _open(hand: Hand, _: Trap) -> None:
    await hand.run("begin")
    await hand.run("select 1")


async def _aborted(hand: Hand, _: Trap) -> None:
    await hand.run("begin")
    try:
        await hand.run("select 1/0")
    except Exception:
        pass


KINDS = (
    Kind("SET", "set work_mem = '65kB'"),
    Kind("SET LOCAL outside of a transaction", "set local temp_buffers = '808kB'"),
    Kind("search_path", "set search_path = pg_temp, public"),
    Kind("TIME ZONE", "set time zone 'Pacific/Chatham'"),
    Kind("set_config by SELECT", "select set_config('app.selected', 'left', false)"),
    Kind("set_config in DO", "do $$ begin perform set_config('app.done', 'left', false); end $$"),
    Kind("a function that does SET", "select public.sets_by_itself()"),
    Kind("application_name", "set application_name = 'left'"),
    Kind("default_transaction_read_only", "set default_transaction_read_only = on"),
    Kind("role", "set role pg_read_all_data"),
    Kind("session authorization", "set session authorization pg_read_all_stats"),
    Kind("temporary table", "create temporary table if not exists left_behind (a int)"),
    Kind("advisory lock", "select pg_advisory_lock(71)"),
    Kind("shared advisory lock", "select pg_advisory_lock_shared(72)"),
    Kind("LISTEN", "listen left_behind"),
    Kind("WITH HOLD cursor", "declare left_behind cursor with hold for select 1"),
    Kind("PREPARE", "prepare left_behind as select 1"),
    Kind("currval", "select nextval('public.s')"),
    Kind("setseed", SEED),
    Kind("type codec", leave=_codec),
    Kind("notice listener", leave=_notices),
    Kind("open transaction", leave=_open),
    Kind("aborted transaction", leave=_aborted),
)
BY_NAME = {kind.name: kind for kind in KINDS}
# Nothing that is left behind them in the same session lasts.
LAST = {"open transaction", "aborted transaction"}
