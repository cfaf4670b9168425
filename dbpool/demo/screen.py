"""Where the demo is shown: a terminal with a live part at its end, or plain lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbpool.demo.words import seconds

WIDEST = 100  # columns: longer lines are hard to read
INDENT = 3
REFRESH_S = 1 / 8  # a picture costs about 2 ms, which the pool that is shown has to do without
SAY_EVERY_S = 2.0  # where there is no live part
SPINNER = "|/-\\"


class Screen:
    """Prints what is done for good, and below it, on a terminal, what is going on.

    No colour carries a meaning alone, and none is used that a light or a dark background would swallow.
    """

    def __init__(self, console: Console) -> None:
        if console.width > WIDEST:
            console.width = WIDEST
        self.console = console
        self.is_live = console.file.isatty() and not console.is_dumb_terminal
        is_unicode = console.encoding.lower().startswith("utf")
        self._tick, self._cross = ("✓", "✗") if is_unicode else ("+", "!")

    def title(self, text: str, detail: str) -> None:
        self._print(Text.assemble((text, "bold"), "  ", detail))

    def act(self, heading: str) -> None:
        self._print(Text())
        self._print(Text(heading, style="bold"))

    def done(self, text: str, took_s: float | None = None) -> None:
        """Say what is accomplished, and perhaps how long it took."""
        took = "" if took_s is None else f"  ({seconds(took_s)})"
        self._print(_marked(Text(self._tick, style="green"), Text.assemble(text, (took, "dim"))))

    def failed(self, text: str) -> None:
        self._print(_marked(Text(self._cross, style="bold red"), Text(text, style="bold")))

    def quote(self, text: str) -> None:
        """Show a message word by word."""
        self._print(Padding(Text(text, style="italic"), (0, 0, 0, 2 * INDENT)))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a few rows; every column but the first two is of numbers."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=number > 0)
        for row in rows:
            table.add_row(*map(Text, row))
        self._print(Padding(table, (0, 0, 0, 2 * INDENT)))

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Show values under their names."""
        self._print(Padding(facts_table(pairs), (0, 0, 0, INDENT)))

    @asynccontextmanager
    async def busy(self, text: str) -> AsyncIterator[None]:
        """Show that *text* is going on, for the length of the block."""
        started_at = perf_counter()

        def line() -> str:
            return f"{text} ({perf_counter() - started_at:.0f} s)"

        def picture() -> RenderableType:
            beat = int((perf_counter() - started_at) / REFRESH_S) % len(SPINNER)
            return _marked(Text(SPINNER[beat], style="bold"), Text(line() if beat_is_late(started_at) else text))

        async with self.live(picture, line):
            yield

    @asynccontextmanager
    async def live(self, picture: Callable[[], RenderableType], line: Callable[[], str]) -> AsyncIterator[None]:
        """Show *picture* again and again for the length of the block; without a terminal, print *line* now and then."""
        shower = asyncio.create_task(self._show(picture) if self.is_live else self._say(line))
        try:
            yield
        finally:
            shower.cancel()
            await asyncio.wait([shower])
            failure = None if shower.cancelled() else shower.exception()
        if failure is not None:
            raise failure

    async def _show(self, picture: Callable[[], RenderableType]) -> None:
        # refreshed from here and not by rich's own thread: nothing changes while a picture is made of it
        with Live(picture(), console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(picture(), refresh=True)
                await asyncio.sleep(REFRESH_S)

    async def _say(self, line: Callable[[], str]) -> None:
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            self._print(Padding(Text(line()), (0, 0, 0, 2 * INDENT)))

    def _print(self, content: RenderableType) -> None:
        self.console.print(content, highlight=False)
        self.console.file.flush()


def beat_is_late(started_at: float) -> bool:
    """Whether it has lasted long enough to tell how long."""
    return perf_counter() - started_at > SAY_EVERY_S


def facts_table(pairs: Sequence[tuple[str, RenderableType]]) -> Table:
    """Names on the left, values on the right; long values wrap."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return table


def _marked(mark: Text, content: RenderableType) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    table.add_row(mark, content)
    return Padding(table, (0, 0, 0, INDENT))
