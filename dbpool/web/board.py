"""All that a status page shows, taken once a second for everybody who looks."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import cached_property
from typing import Any, Final

from dbpool.errors import SettingsError
from dbpool.pool import DatabasePool
from dbpool.web.page import BUILD
from dbpool.web.sections import sections_of
from dbpool.web.verdict import Level
from dbpool.web.watch import Json, Watch

log = logging.getLogger("dbpool.web")

EVERY_S: Final = 1.0
FRESH_S: Final = 0.5  # who asks within this time after another gets the same answer
WORST: Final = (Level.BAD.value, Level.WARNING.value, Level.WELL.value)


class Snapshot:
    """One moment of all pools; what it is asked for is made once. *before*: the sections of the tick before."""

    def __init__(self, title: str, watches: list[Watch], before: dict[str, str]) -> None:
        self.title = title
        self.at = at = time.time()
        self._before = before
        self.pools = [watch.document(at) for watch in watches]
        self.histories = [watch.history for watch in watches]

    @cached_property
    def document(self) -> Json:
        """See docs/status-page.md for its shape."""
        levels = {pool["verdict"]["level"] for pool in self.pools}
        return {
            "version": 1,
            "at": self.at,
            "title": self.title,
            "level": next(level for level in WORST if level in levels),
            "pools": [
                {**pool, "timeline": history.columns()}
                for pool, history in zip(self.pools, self.histories, strict=True)
            ],
        }

    @cached_property
    def sections(self) -> dict[str, str]:
        """HTML by the id of the element that holds it."""
        is_only = len(self.pools) == 1
        return {
            f"{part}-{at}": html
            for at, (pool, history) in enumerate(zip(self.pools, self.histories, strict=True))
            for part, html in sections_of("" if is_only else pool["name"], pool, history.columns()).items()
        }

    @cached_property
    def whole(self) -> Json:
        """What draws all of a page anew."""
        return self._told(self.sections, [history.columns() for history in self.histories])

    @cached_property
    def step(self) -> Json:
        """What brings a page up to date that shows the tick before."""
        changed = {key: html for key, html in self.sections.items() if self._before.get(key) != html}
        return self._told(changed, [history.columns(1) for history in self.histories])

    def _told(self, sections: dict[str, str], timelines: list[dict[str, Any]]) -> Json:
        return {"at": self.at, "build": BUILD, "sections": sections, "timelines": timelines}


class Board:
    """Watches *pools*, and takes a snapshot of them when asked; samples them once a second.

    That begins when the first of them opens, or with the first request, and ends when all of them are closed. It is a
    timer of the event loop, no task: nothing is left of it when the loop ends.

    Raises:
        SettingsError: there is no pool, or two have one name.
    """

    def __init__(self, pools: tuple[DatabasePool, ...], title: str | None) -> None:
        names = [db.settings.name for db in pools]
        if not pools:
            raise SettingsError("a status page needs a pool")
        if len(set(names)) < len(names):
            raise SettingsError(f"two pools of a status page have one name ({', '.join(names)}): give each its name=")
        self.title = title or ", ".join(names)
        self.watches = [Watch(db, self.wake) for db in pools]
        self.ticked = asyncio.Event()
        self.ticks = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._taken: tuple[float, Snapshot] | None = None  # when, by the loop's clock
        self._of_tick: tuple[int, Snapshot] | None = None
        self.wake()

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return all(watch.is_over for watch in self.watches)

    def wake(self) -> None:
        """Begin to sample, if that is not done; where no event loop runs, this does nothing."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is not self._loop:
            self.stop()
            self._loop, self._taken, self._of_tick, self.ticked = loop, None, None, asyncio.Event()
        if self._timer is None and not self.is_over:
            self._timer = loop.call_later(EVERY_S, self._tick)

    def stop(self) -> None:
        """Sample no more, until ``wake``."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def now(self) -> Snapshot:
        """A snapshot that is no older than half a second."""
        self.wake()
        now_s = asyncio.get_running_loop().time()
        if self._taken is None or now_s - self._taken[0] > FRESH_S:
            self._taken = now_s, Snapshot(self.title, self.watches, {})
        return self._taken[1]

    def of_tick(self) -> Snapshot:
        """The snapshot of the last tick, which all who were woken by it share."""
        if self._of_tick is None or self._of_tick[0] != self.ticks:
            is_next = self._of_tick is not None and self._of_tick[0] == self.ticks - 1
            before = self._of_tick[1].sections if is_next and self._of_tick is not None else {}
            snapshot = Snapshot(self.title, self.watches, before)
            self._of_tick, self._taken = (self.ticks, snapshot), (asyncio.get_running_loop().time(), snapshot)
        return self._of_tick[1]

    def _tick(self) -> None:
        self._timer = None
        now = time.time()
        for watch in self.watches:
            try:
                watch.sample(now)
            except Exception:  # the page is no reason to fail for anything else in this loop
                log.exception("pool %r could not be sampled", watch.name)
        self.ticks += 1
        ticked, self.ticked = self.ticked, asyncio.Event()
        ticked.set()
        self.wake()
