"""create_pool: an instrumentation of asyncpg's classes sees what it would see of asyncpg's pool."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.support.both import Create, both, opened
from tests.support.databases import Database


class Proxy:
    """Around a function, and passes for it, as those of wrapt do."""

    def __init__(self, wrapped: Any, seen: list[str]) -> None:  # noqa: ANN401
        self.__dict__.update(wrapped=wrapped, seen=seen)

    def __get__(self, one: object, owner: object) -> Any:  # noqa: ANN401
        return Proxy(self.wrapped.__get__(one, owner), self.seen)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.__dict__["wrapped"], name)

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    def __hash__(self) -> int:
        return hash(self.wrapped)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # noqa: ANN401
        return type(self.__dict__["wrapped"])

    def __call__(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        self.seen.append(next(each for each in args if isinstance(each, str)))
        return self.wrapped(*args, **options)


@both
@pytest.mark.parametrize("when", ["before it is made", "when it is open", "when it has prepared the statement"])
@pytest.mark.parametrize("name", ["fetch", "fetchrow", "fetchval", "execute", "_execute"])
async def test_an_instrumentation_of_asyncpgs_connections_sees_every_statement(
    create: Create, database: Database, monkeypatch: pytest.MonkeyPatch, when: str, name: str
) -> None:
    seen: list[str] = []
    call = "fetch" if name == "_execute" else name
    if when == "before it is made":
        monkeypatch.setattr(asyncpg.Connection, name, Proxy(getattr(asyncpg.Connection, name), seen))
    async with opened(create, database, min_size=1) as pool:
        if "prepared" in when:
            await getattr(pool, call)("select 1")
        if "before" not in when:
            monkeypatch.setattr(asyncpg.Connection, name, Proxy(getattr(asyncpg.Connection, name), seen))
        for _ in range(2):
            await getattr(pool, call)("select 1")
    assert [sql for sql in seen if sql == "select 1"] == ["select 1"] * 2


@both
async def test_an_instrumentation_of_asyncpgs_pool_sees_who_acquires(
    create: Create, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    original = asyncpg.Pool.acquire

    def acquire(self: Any, **options: Any) -> Any:  # noqa: ANN401
        seen.append(options)
        return original(self, **options)

    async with opened(create, database) as pool:
        monkeypatch.setattr(asyncpg.Pool, "acquire", acquire)
        async with pool.acquire(timeout=9):
            pass
        assert seen == [{"timeout": 9}]
