"""What one connection has asked of types, known to all of its pool."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from dbpool import introspection
from tests.support.databases import Database
from tests.support.pools import pool_of


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[int]]:
    """The types that the server is asked for, a set each time."""
    found: list[frozenset[int]] = []
    ask = asyncpg.Connection._introspect_types  # type: ignore[attr-defined] # noqa: SLF001 - it is what is shared

    async def noted(self: Any, typeoids: Any, timeout: float | None) -> Any:  # noqa: ANN401 - as the driver has it
        found.append(frozenset(typeoids))
        return await ask(self, typeoids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", noted)
    return found


def test_this_release_of_the_driver_asks_in_the_way_that_is_known() -> None:
    assert introspection.IS_KNOWN


async def test_what_one_connection_has_asked_no_other_asks(database: Database, asked: list[frozenset[int]]) -> None:
    async with pool_of(database, 3) as db, db.acquire() as one, db.acquire() as two, db.acquire() as three:
        for connection in (one, two, three):
            assert await connection.fetchval("select $1::int[]", [1, 2]) == [1, 2]
        assert len(asked) == 1


async def test_types_that_have_changed_are_asked_for_anew(database: Database, asked: list[frozenset[int]]) -> None:
    async with pool_of(database, 2) as db, db.acquire() as one, db.acquire() as two:
        await one.execute("create type pair as (a int, b int)")
        assert tuple(await one.fetchval("select '(1,2)'::pair")) == (1, 2)
        assert tuple(await two.fetchval("select '(1,2)'::pair")) == (1, 2)
        assert len(asked) == 1
        await one.execute("alter type pair add attribute c int")
        await one.reload_schema_state()
        assert tuple(await one.fetchval("select '(1,2,3)'::pair")) == (1, 2, 3)
        assert len(asked) == 2


async def test_pools_share_nothing(database: Database, asked: list[frozenset[int]]) -> None:
    for _ in range(2):
        async with pool_of(database, 1) as db:
            assert await db.fetchval("select $1::int[]", [1]) == [1]
    assert len(asked) == 2


async def test_a_release_that_asks_in_another_way_is_left_alone(
    database: Database, asked: list[frozenset[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection, "IS_KNOWN", False)
    async with pool_of(database, 2) as db, db.acquire() as one, db.acquire() as two:
        for connection in (one, two):
            assert await connection.fetchval("select $1::int[]", [1]) == [1]
    assert len(asked) == 2


def test_an_answer_asked_for_before_types_were_forgotten_is_not_kept() -> None:
    types, oids = introspection.SharedTypes(), frozenset({99_999})
    age = types.age
    types.forget()
    types.keep(oids, ["of before"], age)
    assert types.get(oids) is None
    types.keep(oids, ["of now"], types.age)
    assert types.get(oids) == ["of now"]
