"""Places in the program that hold permits, and for how long they did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

PACKAGE = str(Path(__file__).parent) + os.sep
ASYNCIO = str(Path(asyncio.__file__).parent) + os.sep
EXIT_STACKS = str(contextlib.__file__)  # they enter what others give them
USERS_OWN = PACKAGE + "demo" + os.sep  # comes with the package, and uses it as any program does
# Places are lines of a program, so there are few; a program that makes code as it runs is counted as one more place.
MOST_SITES = 10_000


class Site:
    """One call in the program's source; counts what its calls held."""

    __slots__ = ("_text", "calls_total", "code", "held_s_total", "instruction")

    def __init__(self, code: CodeType | None, instruction: int) -> None:
        self.code = code
        self.instruction = instruction  # what ``f_lasti`` says: its line is looked up only when somebody asks
        self.calls_total = 0
        self.held_s_total = 0.0
        self._text = ""

    def __str__(self) -> str:
        self._text = self._text or self._described()
        return self._text

    def _described(self) -> str:
        if self.code is None:
            return "elsewhere"
        if self.code.co_filename.startswith(ASYNCIO):
            return "a task made of the call itself"
        where = f"{short_path(self.code.co_filename)}:{_line(self.code, self.instruction)}"
        name = self.code.co_qualname
        return where if name == "<module>" else f"{where} in {name}"

    def position(self) -> tuple[str, int]:
        """The file, and the line in it, from 1."""
        return ("<elsewhere>", 1) if self.code is None else (self.code.co_filename, _line(self.code, self.instruction))


@dataclass(frozen=True, slots=True)
class SiteUse:
    """What the calls of one place have held, since the pool was made."""

    where: str
    calls_total: int
    held_s_total: float


class Sites:
    """Every place that used a gate."""

    def __init__(self) -> None:
        self._sites: dict[tuple[int, int], Site] = {}
        self._elsewhere = Site(None, 0)
        self.passed_over: tuple[str, ...] = (PACKAGE, EXIT_STACKS)
        """Folders whose code is nobody's place."""

    def of(self, depth: int) -> Site:
        """The place of the caller *depth* calls above this one, or the first above that outside this package."""
        frame = sys._getframe(depth)  # noqa: SLF001 - the public inspect.currentframe() is no quicker
        # not the code itself, whose hash costs more than all of this
        return self._sites.get((id(frame.f_code), frame.f_lasti)) or self._search(frame)

    def at(self, frame: FrameType | None) -> Site:
        """The place of *frame*, or the first above it outside this package."""
        return self._search(frame)

    def _search(self, frame: FrameType | None) -> Site:
        while frame is not None:
            code = frame.f_code
            key = id(code), frame.f_lasti
            site = self._sites.get(key) or self._new(key, code)
            if site is not None:
                return site
            frame = frame.f_back
        return self._elsewhere

    def _new(self, key: tuple[int, int], code: CodeType) -> Site | None:
        if code.co_filename.startswith(self.passed_over) and not code.co_filename.startswith(USERS_OWN):
            return None
        if len(self._sites) >= MOST_SITES:
            return self._elsewhere
        site = self._sites[key] = Site(code, key[1])
        return site

    def busiest(self, most: int) -> list[SiteUse]:
        """The lines that held longest, at most *most* of them, the busiest first."""
        uses: dict[str, list[Site]] = {}
        for site in [*self._sites.values(), self._elsewhere]:
            if site.calls_total:
                uses.setdefault(str(site), []).append(site)
        lines = [
            SiteUse(where, sum(one.calls_total for one in same), sum(one.held_s_total for one in same))
            for where, same in uses.items()
        ]
        return sorted(lines, key=lambda use: -use.held_s_total)[:most]


def short_path(path: str) -> str:
    """The end of a path: what tells two files apart in a report."""
    return "/".join(path.replace(os.sep, "/").split("/")[-2:])


def _line(code: CodeType, instruction: int) -> int:
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return line
