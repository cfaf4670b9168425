"""Where the items of map come from, and how far they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from tests.support.databases import Database
from tests.support.pools import pool_of, settled

SQUARE = "select $1::int as n, $1::int * $1::int as square"


async def test_the_source_is_read_no_further_than_its_results_are(database: Database) -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for n in range(1_000_000):
            read = n
            yield n

    async with pool_of(database, 2) as db:
        async with aclosing(db.map_val(SQUARE, numbers(), at_once=2)) as values:  # type: ignore[type-var]
            async for key, _, _ in values:
                if key == 5000:
                    break
        assert read < 5000 + 4 * 500 + 1
        await settled(db)


async def test_an_async_source_is_answered_as_it_comes(database: Database) -> None:
    answered = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await asyncio.wait_for(answered.wait(), 20)
        for n in range(2, 1000):
            yield n

    async with pool_of(database, 2) as db:
        seen = []
        async for key, value, _ in db.map_val(SQUARE, numbers()):
            answered.set()
            seen.append((key, value))
        assert seen == [(n, n) for n in range(1, 1000)]


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_was_read_before_the_source_failed_is_answered(database: Database, is_async: bool) -> None:
    def numbers() -> Iterator[int]:
        yield from range(700)
        raise OSError("the file is gone")

    async def async_numbers() -> AsyncIterator[int]:
        for n in numbers():
            yield n

    async with pool_of(database) as db:
        seen = []
        with pytest.raises(OSError, match="the file is gone"):
            async for key, _, _ in db.map(SQUARE, async_numbers() if is_async else numbers()):
                seen.append(key)
        assert seen == list(range(700))


async def test_ending_early_closes_the_source(database: Database) -> None:
    closed: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.append("sync")

    async def async_numbers() -> AsyncIterator[int]:
        try:
            for n in range(10_000):
                yield n
        finally:
            closed.append("async")

    async with pool_of(database) as db:
        for source in (numbers(), async_numbers()):
            async with aclosing(db.map(SQUARE, source)) as items:  # type: ignore[type-var]
                async for _ in items:
                    break
    assert closed == ["sync", "async"]
