"""Serves the report on this machine while a run goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from dbpool.core.loopback import is_loopback
from dbpool.errors import SettingsError
from dbpool.faults import one_line
from dbpool.finish import finish
from dbpool.loadtest.events import Event, Events
from dbpool.loadtest.live.requests import LONGEST, Answer, BadRequest, head_of, path_of
from dbpool.loadtest.live.story import Story
from dbpool.loadtest.live.streams import Stream, Streams
from dbpool.loadtest.report.html import live
from dbpool.pages.data import message

HEAD_S: Final = 5.0  # to send a request's head
END_S: Final = 3.0  # for all who look to get the end
BUFFER: Final = 65_536  # bytes that a connection may keep before it is waited for


class LivePage:
    """The report of a run at ``url``, as long as this is open; who looks at it then keeps the final report.

    Browsers get the document so far, then each tick, and all anew after each point. Drawing happens in a thread, and
    only while somebody looks. The page has what *document_so_far* gives when this closes: end the run before.

    Args:
        document_so_far: the document as JSON has it, made anew on each call or not changed afterwards.
        host: a loopback address.
        port: 0: one that is free.
    Raises:
        SettingsError: *host* can be reached from elsewhere: a report may hold what is nobody else's business.
    On entering: OSError where the port is taken.
    Cancelling: the end is told to all first, for 3 s at most.
    """

    def __init__(
        self,
        events: Events,
        document_so_far: Callable[[], dict[str, Any]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not is_loopback(host):
            raise SettingsError(f"the live page is for this machine alone: give it 127.0.0.1 or ::1, not {host!r}")
        self._host, self._port = host, port
        self._events = events
        self._story = Story(document_so_far)
        self._streams = Streams()
        self._changed = asyncio.Event()
        self._drawing = asyncio.Lock()
        self._drawn: tuple[bytes, bytes] | None = None  # the page, and the message that draws it anew
        self._serving: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._server: asyncio.Server | None = None
        self._redrawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._met, self._host, self._port, limit=LONGEST)
        self._port = self._server.sockets[0].getsockname()[1]
        self._redrawing = asyncio.create_task(self._redraw())
        self._events.listen(self.take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await finish(self._end())

    @property
    def url(self) -> str:
        """Where it is, once it is open."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    def take(self, event: Event) -> None:
        """Listen to the run; waits for nobody."""
        if self._is_over:
            return
        self._streams.tell(self._story.take(event))
        if self._story.is_changed:
            self._changed.set()

    async def _redraw(self) -> None:
        """Draw anew what changed, for those who look; whoever comes later has it drawn for them."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if len(self._streams):
                self._streams.tell([await self._state()])

    async def _state(self) -> bytes:
        """What draws all anew; where that cannot be done, words that say so: no run ends by its page."""
        try:
            return (await self._draw())[1]
        except Exception as error:
            return message("now", {"text": f"there is something that cannot be drawn: {one_line(error)}"})

    async def _draw(self) -> tuple[bytes, bytes]:
        """The page and the state as of now, drawn once for all who ask meanwhile."""
        async with self._drawing:
            if self._drawn is None or self._story.is_changed:
                document, upto_s = self._story.document()
                self._drawn = await asyncio.to_thread(_drawn, document, upto_s)
            return self._drawn

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=BUFFER)
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who does not ask in time and in full, or is gone, gets no answer
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            path = path_of(head)
        except BadRequest as error:
            await _send(writer, Answer(error.status, error.status))
            return
        if path == "/":
            try:
                page, _ = await self._draw()
            except Exception as error:
                await _send(writer, Answer("500 Internal Server Error", one_line(error)))
                return
            await _send(writer, Answer("200 OK", page.decode(), "text/html"))
        elif path == "/events":
            await self._stream(writer)
        elif path == "/favicon.ico":  # browsers ask, and would call it an error
            await _send(writer, Answer("204 No Content"))
        else:
            await _send(writer, Answer("404 Not Found", "There is nothing here."))

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        if self._is_over or self._streams.is_full:
            await _send(writer, Answer("503 Service Unavailable", "Too many look on already."))
            return
        stream = Stream(writer)
        self._streams.add(stream)  # as of now: nothing is to be missed while the state is drawn
        try:
            state = await self._state()
            head = head_of("200 OK", "text/event-stream", length=None) + b"retry: 1000\n\n"
            await stream.run(head, state, *self._story.pending(), message("now", {"text": self._story.now}))
        finally:
            self._streams.remove(stream)

    async def _end(self) -> None:
        """Tell all the final report, then that it was all; close."""
        assert self._server is not None
        assert self._redrawing is not None
        self._server.close()
        self._redrawing.cancel()
        await asyncio.wait([self._redrawing])
        self._is_over = True
        self._story.is_changed = True
        if len(self._streams):
            self._streams.tell([await self._state(), message("end", {}), None])
        if self._serving:
            await asyncio.wait(self._serving, timeout=END_S)
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(answer.encoded())
    async with asyncio.timeout(HEAD_S):
        await writer.drain()


def _drawn(document: dict[str, Any], upto_s: float) -> tuple[bytes, bytes]:
    page, state = live(document)
    return page.encode(), message("state", {"upto": upto_s, **state})
