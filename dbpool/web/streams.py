"""Server-sent events: all who look on get the same messages, and none outlives its client or the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dbpool.pages.data import message
from dbpool.web.answers import PRIVATE
from dbpool.web.asgi import Receive, Send
from dbpool.web.board import Board
from dbpool.web.leaving import is_server_leaving

MOST: Final = 64  # who look on at once; others ask again and again
LONGEST_S: Final = 60.0  # a browser comes again by itself: so a server that tells nothing ends within this
LOOKED_EVERY_S: Final = 0.1  # whether the server is leaving
RETRY_MS: Final = 500


class Streams:
    """Streams of a board's snapshots, one for each who looks on."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._open: set[asyncio.Timeout] = set()
        self._is_leaving: Callable[[], bool] = lambda: False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        return len(self._open) >= MOST

    async def run(self, receive: Receive, send: Send) -> None:
        """Answer with what changes each second, until the client has gone, the server leaves or a minute is over.

        Cancelling: ends it at once.
        """
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"), *PRIVATE]
        gone = asyncio.ensure_future(_wait_gone(receive))
        try:
            async with asyncio.timeout(LONGEST_S) as limit:
                self._add(limit)
                gone.add_done_callback(lambda _: _end(limit))
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await self._tell(send)
        except (TimeoutError, OSError):  # it was ended, or nobody is there any more
            pass
        finally:
            self._open.discard(limit)
            is_gone = gone.done()
            gone.cancel()
            await asyncio.wait([gone])
        if not is_gone:
            await _send_end(send)

    def end(self) -> None:
        """End all of them."""
        for limit in list(self._open):
            _end(limit)

    async def _tell(self, send: Send) -> None:
        board = self._board
        first = f"retry: {RETRY_MS}\n\n".encode() + message("whole", board.now().whole)
        await send({"type": "http.response.body", "body": first, "more_body": True})
        told = -1
        while not board.is_over:
            await board.ticked.wait()
            tick, snapshot = board.ticks, board.of_tick()
            body = message("step", snapshot.step) if tick == told + 1 else message("whole", snapshot.whole)
            told = tick
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": message("over", {}), "more_body": True})

    def _add(self, limit: asyncio.Timeout) -> None:
        if not self._open:
            self._is_leaving = is_server_leaving()
            self._look()
        self._open.add(limit)

    def _look(self) -> None:
        """End all when the server leaves; look again soon, as long as there is one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._is_leaving():
            self.end()
        else:
            self._timer = asyncio.get_running_loop().call_later(LOOKED_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        if self._open:
            self._look()


def _end(limit: asyncio.Timeout) -> None:
    try:
        limit.reschedule(asyncio.get_running_loop().time())
    except RuntimeError:  # it has ended already
        pass


async def _wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_end(send: Send) -> None:
    """Complete the response; a client that reads no more is not waited for."""
    try:
        async with asyncio.timeout(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (TimeoutError, OSError):
        pass
