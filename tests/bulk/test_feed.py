"""What blocks is made in a thread, one ahead, and ends when nobody wants it any more."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Generator

import pytest

from dbpool.bulk.loading.feed import Feed, in_thread
from dbpool.bulk.loading.threads import Threads


async def test_what_is_being_made_ends_when_the_feed_is_closed() -> None:
    is_begun, ended = threading.Event(), []

    def make(is_stopped: Callable[[], bool]) -> Generator[int, None, None]:
        try:
            yield 1
            is_begun.set()
            while not is_stopped():
                pass
        finally:
            ended.append(threading.current_thread())

    with Threads(2) as threads:
        feed = Feed(in_thread(threads, make))
        assert await feed.next() == 1
        while not is_begun.is_set():
            await asyncio.sleep(0)
        await feed.close()
        assert len(ended) == 1
        assert ended[0] is not threading.main_thread()


async def test_each_chunk_goes_to_one_taker_and_the_end_to_all() -> None:
    with Threads(1) as threads:
        feed = Feed(in_thread(threads, lambda _: (n for n in range(100))))
        taken: list[int] = []

        async def take() -> None:
            while (chunk := await feed.next()) is not None:
                taken.append(chunk)

        await asyncio.gather(*(take() for _ in range(5)))
        await feed.close()
    assert sorted(taken) == list(range(100))


async def test_what_goes_wrong_is_told_to_all_takers() -> None:
    def fail(_: Callable[[], bool]) -> Generator[int, None, None]:
        yield 1
        raise KeyError("mine")

    with Threads(1) as threads:
        feed = Feed(in_thread(threads, fail))
        assert await feed.next() == 1
        for _ in range(2):
            with pytest.raises(KeyError, match="mine"):
                await feed.next()
        await feed.close()


async def test_what_stops_a_thread_is_no_news_to_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    is_begun = threading.Event()

    def make(is_stopped: Callable[[], bool]) -> Generator[int, None, None]:
        is_begun.set()
        while not is_stopped():
            pass
        raise KeyError("stopped")
        yield 1

    with Threads(1) as threads:
        feed = Feed(in_thread(threads, make))
        taking = asyncio.ensure_future(feed.next())
        while not is_begun.is_set():
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait([taking])
        await feed.close()
    del feed, taking
    gc.collect()
    assert caplog.records == []
