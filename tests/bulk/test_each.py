"""A function for many items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from dbpool import Progress, Rate, UsageError, for_each
from tests.support.databases import Database
from tests.support.pools import pool_of, settled


async def double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


async def inverse(n: int) -> float:
    await asyncio.sleep(0)
    return 1 / n


async def test_each_item_comes_with_what_the_function_made_of_it_in_order() -> None:
    async def slower_first(n: int) -> int:
        await asyncio.sleep((10 - n) / 1000)
        return -n

    assert [tuple(value) async for value in for_each(range(10), slower_first)] == [(n, -n, None) for n in range(10)]


async def test_unordered_values_come_as_they_end() -> None:
    first_may_end = asyncio.Event()

    async def wait_for_the_last(n: int) -> int:
        if n == 0:
            await first_may_end.wait()
        if n == 4:
            first_may_end.set()
        return n

    seen = [item async for item, _, _ in for_each(range(5), wait_for_the_last, ordered=False, at_once=5)]
    assert seen[-1] == 0
    assert sorted(seen) == list(range(5))


async def test_at_most_at_once_are_under_way_and_the_source_is_read_no_further() -> None:
    under_way = most = read = 0

    async def count(_: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    def numbers() -> Iterator[int]:
        nonlocal read
        for n in range(10_000):
            read = n
            yield n

    async with aclosing(for_each(numbers(), count, at_once=3)) as values:  # type: ignore[type-var]
        async for item, _, _ in values:
            assert read <= item + 2 * 3 + 1, (read, item)
            if item == 60:
                break
    assert most == 3


async def test_a_call_that_fails_costs_only_its_item() -> None:
    seen = [value async for value in for_each([4, 0, 2], inverse, on_error="collect")]
    assert [value.value for value in seen] == [0.25, None, 0.5]
    error = seen[1].error
    assert isinstance(error, ZeroDivisionError)
    assert error.__notes__ == ["item 2"]


async def test_the_first_error_is_raised_and_the_calls_under_way_are_cancelled() -> None:
    cancelled: list[int] = []
    third_has_begun = asyncio.Event()

    async def fail_or_wait(n: int) -> None:
        try:
            if n == 1:
                await third_has_begun.wait()
                raise ValueError("one")
            if n == 3:
                third_has_begun.set()
            await asyncio.sleep(0 if n == 0 else 1000)
        except asyncio.CancelledError:
            cancelled.append(n)
            raise

    with pytest.raises(ValueError, match="one"):
        async for _ in for_each(range(10), fail_or_wait, at_once=4):
            pass
    assert {2, 3} <= set(cancelled)
    assert len(asyncio.all_tasks()) == 1


async def test_a_call_is_tried_again_as_often_as_asked() -> None:
    calls: list[int] = []

    async def fail_twice(n: int) -> int:
        calls.append(n)
        if len(calls) < 3:
            raise OSError("try again")
        return n

    assert [value async for _, value, _ in for_each([7], fail_twice, retry=3)] == [7]
    assert calls == [7, 7, 7]


async def test_a_call_that_takes_too_long_is_cancelled() -> None:
    async def hang(_: int) -> None:
        await asyncio.sleep(1000)

    seen = [value.error async for value in for_each([1], hang, timeout=0.01, on_error="collect")]
    assert [type(error) for error in seen] == [TimeoutError]


async def test_a_rate_is_kept() -> None:
    clock = asyncio.get_running_loop().time
    times = [clock() async for _ in for_each(range(20), double, rate=Rate(200))]
    assert times[-1] - times[0] >= 18 / 200


async def test_an_async_source_that_fails_is_told_after_all_values() -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(25):
            yield n
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        async for item, _, _ in for_each(numbers(), double):
            seen.append(item)
    assert seen == list(range(25))


async def test_progress_ends_with_all_of_it() -> None:
    told: list[Progress] = []
    async for _ in for_each([1, 0, 2], inverse, on_error="collect", progress=told.append):
        pass
    assert (told[-1].items, told[-1].failed, told[-1].total) == (3, 1, 3)


async def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="source is a str"):
        for_each("abc", double)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be called"):
        for_each([1], None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at_once must be"):
        for_each([1], double, at_once=0)
    with pytest.raises(UsageError, match="on_error must be"):
        for_each([1], double, on_error="log")
    with pytest.raises(UsageError, match=r"there is no option retries=; there are at_once=, "):
        for_each([1], double, retries=7)  # type: ignore[call-arg]


async def test_the_rows_of_a_query_go_through_a_function_that_uses_the_pool(database: Database) -> None:
    async with pool_of(database, 3) as db:
        sql = "select n from generate_series(1, 500) as n order by n"

        async def square(row: dict[str, int]) -> int:
            return int(await db.fetchval("select $1::int * $1::int", row["n"]))

        seen = [value async for _, value, _ in db.for_each(sql, square, at_once=2)]
        assert seen == [n * n for n in range(1, 501)]
        async for _ in db.for_each(sql, square):
            break
        await settled(db)
