"""Rigs at work and what they found, for a terminal or a file."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any, Protocol

import click

from tests.rigs.findings import Findings

EVERY_S = 5.0


class Progress(Protocol):
    """Shows what is said, now and then."""

    def show(self, elapsed_s: float, says: Mapping[str, str]) -> None: ...


class Lines:
    """A line every few seconds, for a log."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = 0.0

    def show(self, elapsed_s: float, says: Mapping[str, str]) -> None:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + EVERY_S
            said = "; ".join(f"{name}: {text}" for name, text in sorted(says.items()))
            click.echo(f"{elapsed_s:.0f} of {self._seconds:.0f} s  {said}", err=True)


class Screen:
    """A table that is painted again and again, by rich."""

    def __init__(self, seconds: float, live: Any) -> None:  # noqa: ANN401 - rich is not always there
        self._seconds = seconds
        self._live = live

    def show(self, elapsed_s: float, says: Mapping[str, str]) -> None:
        from rich.table import Table

        table: Any = Table.grid(padding=(0, 2))
        table.add_row(f"{elapsed_s:.0f} of {self._seconds:.0f} s", "")
        for name, text in sorted(says.items()):
            table.add_row(f"  {name}", text)
        self._live.update(table)


def progress(seconds: float) -> tuple[AbstractContextManager[Any], Progress]:
    """What to enter, and what shows: a screen where stderr is a terminal and rich is there."""
    if sys.stderr.isatty() and find_spec("rich") is not None:
        from rich.console import Console
        from rich.live import Live

        live: Any = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
        return live, Screen(seconds, live)
    return nullcontext(), Lines(seconds)


def as_text(found: Iterable[Findings], took_s: float) -> Iterator[str]:
    """A paragraph for each rig, then faults by row, then each violation with what makes it happen again."""
    found = sorted(found, key=lambda each: each.rig)
    faults: Counter[int] = Counter()
    for each in found:
        faults.update(each.faults)
        if not (each.violations or each.done or each.figures):
            yield f"{each.rig}: was stopped before it had anything to say"
            continue
        yield f"{each.rig}: {len(each.violations)} violations in {each.took_s:.0f} s"
        for what, times in sorted(each.done.items()):
            yield f"  {times:>13,}  {what}"
        for what, figure in sorted(each.figures.items()):
            yield f"  {_shown(figure):>13}  {what}"
    if faults:
        rows = "  ".join(f"{row}: {times:,}" for row, times in sorted(faults.items()))
        yield f"faults by row of docs/faults.md ({sum(faults.values()):,} of {len(faults)} rows): {rows}"
    violations = [violation for each in found for violation in each.violations]
    for violation in violations:
        yield f"{violation.goal} VIOLATED: {violation.text}"
        yield f"  again: {violation.replay}"
    yield f"{len(violations)} violations; {took_s:.0f} s"


def _shown(figure: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return f"{figure:,.4g}" if isinstance(figure, float) else f"{figure:,}" if isinstance(figure, int) else str(figure)
