"""Where the demo is shown: a terminal with a live part at its end, or plain lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from rich.console import Console, Group, RenderableType
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


@dataclass(slots=True)
class Going:
    """Something that is going on."""

    picture: Callable[[], RenderableType]
    line: Callable[[], str]
    """The same in words, for where there is no live part."""
    said_at: float


class Screen:
    """Prints what is done for good, and below it, on a terminal, what is going on.

    Used as ``async with``: a task of its own shows what is going on, so that showing it never has to be waited for.
    No colour carries a meaning alone, and none is used that a light or a dark background would swallow.
    """

    def __init__(self, console: Console) -> None:
        if console.width > WIDEST:
            console.width = WIDEST
        self._console = console
        self._going: Going | None = None
        is_live = console.file.isatty() and not console.is_dumb_terminal
        # refreshed from here and not by rich's own thread: nothing changes while a picture is made of it
        self._live = (
            Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
            if is_live
            else None
        )
        is_unicode = console.encoding.lower().startswith("utf")
        self._tick, self._cross = ("✓", "✗") if is_unicode else ("+", "!")

    async def __aenter__(self) -> Self:
        self._shower = asyncio.create_task(self._show())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._shower.cancel()
        await asyncio.wait([self._shower])
        if not self._shower.cancelled():
            self._shower.result()

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
        self._print(Padding(Text(text, style="italic"), (0, 0, 0, 2 * INDENT), expand=False))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a few rows; every column but the first two is of numbers."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=number > 0)
        for row in rows:
            table.add_row(*map(Text, row))
        self._print(Padding(table, (0, 0, 0, 2 * INDENT), expand=False))

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Show values under their names."""
        self._print(Padding(facts_table(pairs), (0, 0, 0, INDENT), expand=False))

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show that *text* is going on, for the length of the block."""
        started_at = perf_counter()

        def line() -> str:
            lasted_s = perf_counter() - started_at
            return text if lasted_s < SAY_EVERY_S else f"{text} ({lasted_s:.0f} s)"

        def picture() -> RenderableType:
            beat = int((perf_counter() - started_at) / REFRESH_S) % len(SPINNER)
            return _marked(Text(SPINNER[beat], style="bold"), Text(line()))

        with self.live(picture, line):
            yield

    @contextmanager
    def live(self, picture: Callable[[], RenderableType], line: Callable[[], str]) -> Iterator[None]:
        """Show *picture* again and again for the length of the block; without a terminal, print *line* now and then."""
        self._going = Going(picture, line, perf_counter())
        try:
            yield
        finally:
            self._going = None

    async def _show(self) -> None:
        with self._live or nullcontext():
            while True:
                if self._live is not None:
                    self._live.update(self._going.picture() if self._going else Group(), refresh=True)
                elif self._going and perf_counter() - self._going.said_at > SAY_EVERY_S:
                    self._going.said_at = perf_counter()
                    self._print(Padding(Text(self._going.line()), (0, 0, 0, 2 * INDENT), expand=False))
                await asyncio.sleep(REFRESH_S)

    def _print(self, content: RenderableType) -> None:
        if self._live is not None:
            self._live.update(Group(), refresh=True)  # the picture comes back with the next beat
            self._console.print(content)
            return
        with self._console.capture() as capture:
            self._console.print(content)
        # cells are filled up with blanks, which nobody wants in a file
        self._console.out("\n".join(line.rstrip() for line in capture.get().splitlines()), highlight=False)
        self._console.file.flush()


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
    return Padding(table, (0, 0, 0, INDENT), expand=False)
