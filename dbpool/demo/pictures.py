"""What the live part of the screen shows."""

from __future__ import annotations

from collections import deque

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dbpool import DatabasePool
from dbpool.demo.loading import Loading
from dbpool.demo.plan import Plan
from dbpool.demo.screen import INDENT, facts_table
from dbpool.demo.watch import ServerCount
from dbpool.demo.words import count, milliseconds, percent
from dbpool.demo.workload import Workload

_SPARKS = "▁▂▃▄▅▆▇█"
_PULSE = 24  # pictures, which is three seconds


class LoadingPicture:
    """The data set on its way in."""

    def __init__(self, loading: Loading, plan: Plan) -> None:
        self._loading = loading
        self._plan = plan

    def line(self) -> str:
        rows, orders = self._loading.rows, self._plan.orders
        if rows == orders:
            return f"{orders:,} orders are in; numbering them and bringing the statistics up to date"
        return f"{rows:,} of {orders:,} orders"

    def picture(self) -> RenderableType:
        return _progress(self._loading.rows, self._plan.orders, self.line())


class WorkloadPicture:
    """The pool at work: who holds, who waits, how fast it goes, what the server says."""

    def __init__(self, workload: Workload, server_count: ServerCount, db: DatabasePool, plan: Plan) -> None:
        self._workload = workload
        self._server_count = server_count
        self._db = db
        self._plan = plan
        self._pulse: deque[int] = deque(maxlen=_PULSE)
        self._seen = 0

    def line(self) -> str:
        stats, work = self._db.stats(), self._workload
        return (
            f"{len(work.finished_s):,} queries after {work.elapsed_s:.0f} s: {stats.held} connections held, "
            f"{stats.idle} idle, {count(stats.waiting, 'caller')} in line; the server counts {self._server_count.now}"
        )

    def picture(self) -> RenderableType:
        stats, work, server = self._db.stats(), self._workload, self._server_count
        finished, elapsed_s = len(work.finished_s), work.elapsed_s
        recent = work.recent()
        latency = (
            ""
            if recent is None
            else f"p50 {milliseconds(recent.p50_s * 1000)}   p99 {milliseconds(recent.p99_s * 1000)}"
        )
        is_over = elapsed_s > self._plan.seconds
        clock = "serving those in line" if is_over else f"{elapsed_s:.1f} of {self._plan.seconds:g} s"
        facts = facts_table(
            [
                ("queries", f"{finished:,}   {finished / max(elapsed_s, 0.001):,.0f} a second"),
                ("pulse", self._beat(finished)),
                ("connections", f"{stats.held} held   {stats.idle} idle   of {stats.capacity}"),
                ("callers", f"{stats.waiting:,} wait in line   {self._plan.callers - stats.waiting:,} do not"),
                ("latency", f"{latency}   {percent(work.waited_share())} of it in line" if latency else "..."),
                ("server", f"counts {server.now} of them   at most {server.most} in {count(server.looks, 'look')}"),
            ]
        )
        progress = _progress(min(elapsed_s, self._plan.seconds), self._plan.seconds, clock)
        return Group(progress, Padding(facts, (0, 0, 0, INDENT), expand=False))

    def _beat(self, finished: int) -> str:
        """The queries of the last seconds as a row of bars, one for each picture."""
        self._pulse.append(finished - self._seen)
        self._seen = finished
        highest = max(*self._pulse, 1)
        return "".join(_SPARKS[beat * (len(_SPARKS) - 1) // highest] for beat in self._pulse)


def _progress(done: float, total: float, text: str) -> RenderableType:
    # green from beginning to end: rich's own change of colour says nothing
    bar = ProgressBar(total=total, completed=done, width=24, complete_style="green", finished_style="green")
    row = Table.grid(padding=(0, 2))
    row.add_row(bar, Text(text))
    return Padding(row, (0, 0, 0, INDENT), expand=False)
