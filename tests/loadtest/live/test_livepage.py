"""The live page, asked by plain sockets: what it tells, to whom, and that nobody can hold the run up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dbpool.errors import SettingsError
from dbpool.loadtest.events import Events
from dbpool.loadtest.live import livepage
from dbpool.loadtest.live.livepage import LivePage
from dbpool.loadtest.live.streams import MOST, WAITING
from tests.support.loadtestdocument import sample_document
from tests.support.replay import Replay

LIMIT_S = 20.0


class Running:
    """A page with the run that it shows."""

    def __init__(self) -> None:
        self.events = Events()
        self.replay = Replay(sample_document())
        self.page = LivePage(self.events, self.replay.so_far)
        self.replay.listen(self.page.take)

    @property
    def port(self) -> int:
        return int(self.page.url.rsplit(":", 1)[1].strip("/"))

    async def ask(self, path: str = "/", host: str = "localhost", method: str = "GET") -> tuple[str, str]:
        """The head of the answer, and its body."""
        reader, writer = await self.connect(path, host, method)
        async with asyncio.timeout(LIMIT_S):
            whole = (await reader.read()).decode()
        writer.close()
        head, _, body = whole.partition("\r\n\r\n")
        return head, body

    async def connect(
        self, path: str = "/events", host: str = "localhost", method: str = "GET", limit: int = 10_000_000
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return reader, writer

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Looker]:
        reader, writer = await self.connect()
        try:
            yield Looker(reader)
        finally:
            writer.close()


class Looker:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader

    async def next(self) -> tuple[str, Any]:
        """The next message, past the head and hints; ``("", None)`` when there are no more."""
        async with asyncio.timeout(LIMIT_S):
            while line := (await self.reader.readline()).decode():
                if line.startswith("event: "):
                    data = (await self.reader.readline()).decode().removeprefix("data: ")
                    return line.removeprefix("event: ").strip(), json.loads(data)
        return "", None

    async def until(self, name: str) -> Any:  # noqa: ANN401 - as JSON has it
        while (found := await self.next())[0] != name:
            assert found[0], f"it ended before {name}"
        return found[1]


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    made = Running()
    async with made.page:
        yield made


async def test_the_page_has_what_was_measured_so_far_and_lets_no_one_else_read_it(running: Running) -> None:
    running.replay.measure(3)
    head, body = await running.ask()
    assert head.startswith("HTTP/1.1 200 OK")
    assert "X-Frame-Options: DENY" in head
    assert "Cache-Control: no-store" in head
    assert "access-control" not in head.lower()
    assert "Table: All points <span class=quiet>(3 rows)" in body


async def test_whoever_looks_on_gets_the_state_then_each_second_then_the_state_anew(running: Running) -> None:
    running.replay.measure(2)
    async with running.looking() as looker:
        state = await looker.until("state")
        assert "timeline" in state["figures"]
        before = len(state["figures"]["timeline"]["xs"])
        await looker.until("now")
        point = running.replay.load()
        assert "connections" in (await looker.until("now"))["text"]
        running.replay.seconds(1)
        second = await looker.until("tick")
        assert second["t"] == pytest.approx(point["started_s"])
        running.replay.point()
        state = await looker.until("state")
        assert len(state["figures"]["timeline"]["xs"]) > before
        assert state["upto"] >= second["t"]


async def test_whoever_comes_within_a_point_gets_its_seconds(running: Running) -> None:
    running.replay.measure(1)
    async with running.looking() as first:
        await first.until("state")
        running.replay.load()
        running.replay.seconds(2)
        async with running.looking() as second:
            await second.until("state")
            assert (await second.until("tick"))["stage"] == "sweep"
            assert (await second.until("tick"))["stage"] == "sweep"


async def test_the_first_seconds_of_a_run_make_a_line_at_once(running: Running) -> None:
    async with running.looking() as looker:
        assert "timeline" not in (await looker.until("state"))["figures"]
        running.replay.load()
        running.replay.seconds(3)
        assert len((await looker.until("state"))["figures"]["timeline"]["xs"]) == 3


async def test_at_the_end_all_who_look_get_the_final_report_and_their_streams_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(livepage, "END_S", 10 * LIMIT_S)  # a stream that does not end by itself fails the test
    running = Running()
    opened = AsyncExitStack()
    await opened.enter_async_context(running.page)
    async with opened:
        running.replay.measure(2)
        async with running.looking() as looker:
            await looker.until("state")
            running.replay.measure(len(running.replay.document["points"]) - 2)
            running.replay.end()
            closing = asyncio.create_task(opened.aclose())
            states = []
            while (found := await looker.next())[0] != "end":
                states += [found[1]] if found[0] == "state" else []
            assert await looker.next() == ("", None)
            await closing
    assert "complete" in states[-1]["heading"]
    assert "throughput" in states[-1]["figures"]


async def test_after_the_end_events_are_heard_by_nobody() -> None:
    running = Running()
    async with running.page:
        pass
    running.replay.measure(1)


@pytest.mark.parametrize(
    ("method", "host", "status"),
    [("POST", "localhost", 405), ("GET", "evil.example", 403), ("GET", "localhost", 404)],
)
async def test_others_are_refused(running: Running, method: str, host: str, status: int) -> None:
    head, _ = await running.ask("/nothing", host, method)
    assert head.startswith(f"HTTP/1.1 {status} ")


async def test_an_endless_head_is_not_read_to_its_end(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x" * 1_000_000)
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(LIMIT_S):
            await reader.read()
            await writer.drain()
    writer.close()


async def test_who_does_not_keep_up_is_let_go_and_holds_nobody_up(running: Running) -> None:
    reader, writer = await running.connect(limit=1_000)  # it reads no more than that
    async with running.looking() as looker:
        await looker.until("state")
        for number in range(40 * WAITING):
            running.page.take({"t": number + 1.0, "type": "tick", "stage": "s" * 2000, "second": number})
            assert (await looker.until("tick"))["t"] == number  # this one does
    async with asyncio.timeout(LIMIT_S):
        assert len(await reader.read()) < 20 * WAITING * 2000  # it was cut off, long before all was told
    writer.close()


async def test_one_more_than_may_look_on_is_sent_away(running: Running) -> None:
    open_ones = [await running.connect() for _ in range(MOST)]
    for reader, _ in open_ones:
        await Looker(reader).until("state")
    head, _ = await running.ask("/events")
    assert head.startswith("HTTP/1.1 503 ")
    for _, writer in open_ones:
        writer.close()


async def test_a_document_that_cannot_be_drawn_ends_nothing() -> None:
    events = Events()

    def broken() -> dict[str, Any]:
        return {"points": [{"no": "point"}]}

    running = Running()
    running.page = LivePage(events, broken)
    async with running.page:
        head, _ = await running.ask()
        assert head.startswith("HTTP/1.1 500 ")
        async with running.looking() as looker:
            assert "cannot be drawn" in (await looker.until("now"))["text"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_a_page_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="this machine alone"):
        LivePage(Events(), dict, host=host)
