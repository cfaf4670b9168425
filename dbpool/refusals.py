"""What callers who get nothing are told."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from dbpool.core.permits import Line, Permits
from dbpool.errors import AcquireTimeout, LineFull, Overloaded, PoolClosed, PoolDeadlock
from dbpool.knots import Tangle
from dbpool.report import Report, place_of, report
from dbpool.sites import Sites
from dbpool.waiter import Waiter

REPORT_KEEPS_S = 0.1  # many time out together: they share one look at the holders


class Refusals:
    """Makes the errors of one gate, with the numbers of the moment."""

    def __init__(self, name: str, permits: Permits[Waiter], sites: Sites, advice: Callable[[], str]) -> None:
        self.name = name
        self.advice = advice
        """For one in line, where neither a pause nor its lane's own limits kept a permit from it."""
        self.notes: Callable[[], tuple[str, ...]] = tuple
        """What else a report should say."""
        self._permits = permits
        self._sites = sites
        self._report: Report | None = None
        self._reported_at = 0.0
        self._reported_of = (0, 0)  # as long as both numbers stay, those who hold do

    def report(self, now: float) -> Report:
        return report(self.name, self._permits, self._sites, now, self.notes())

    def acquire_timeout(self, line: Line, waited_s: float, now: float, advice: str | None = None) -> AcquireTimeout:
        """For a caller that waited *waited_s* seconds for nothing.

        Args:
            advice: for one that had a permit; None: for one in line, by what kept the permit from it.
        """
        line.timeouts_total += 1
        advice = advice or self._advice(line, now)
        report = self._recent_report(now)
        return AcquireTimeout(
            f"nothing from {self.named(line)} after {waited_s:.2f} s: {self._numbers(line)}. {advice}"
            f"{report.holders_in_short(line.name)}",
            waited_s=waited_s,
            report=report,
            **self._attributes(line),
        )

    def closed(self, line: Line) -> PoolClosed:
        """For a caller of *line* that came too late."""
        return PoolClosed(f"{self.named(line)} is closed: it takes no more callers")

    def _advice(self, line: Line, now: float) -> str:
        permits, pace = self._permits, line.pace
        if permits.is_paused:
            return f"{self.name} is paused: call resume()."
        if pace is not None and permits.has_room(line, inf) and (wait_s := pace.next_at(now) - now) > 0:
            return f"Its rate, {pace}, held it back: the next permit is due in {wait_s:.2f} s. Send fewer, or raise it."
        if line.at_most is not None and line.held >= line.at_most:
            return f"The lane's at_most, {line.at_most}, held it back: hold permits for less time, or raise it."
        try:
            return self.advice()
        except Exception as error:  # the caller must be told all the same
            return f"(No advice: {error!r})"

    def line_full(self, line: Line) -> LineFull:
        return LineFull(
            f"{self.named(line)} refuses at once: {self._numbers(line)}, which is max_waiting. Send fewer at a time, "
            f"or raise max_waiting.",
            **self._attributes(line),
        )

    def overloaded(self, line: Line, remaining_s: float, late_s: float) -> Overloaded:
        """For a caller that would get its permit *late_s* seconds after the *remaining_s* that it may wait."""
        line.refused_total += 1
        return Overloaded(
            f"{self.named(line)} refuses at once: at its present pace this caller would wait for "
            f"{remaining_s + late_s:.2f} s and may for {remaining_s:.2f} s ({self._numbers(line)}). Come again in "
            f"{late_s:.2f} s, or send fewer.",
            retry_after=late_s,
            **self._attributes(line),
        )

    def deadlock(self, knot: Tangle, now: float) -> PoolDeadlock:
        """For the last of those who wait for each other."""
        victim = knot.victim
        report = self.report(now)
        waiting_at = place_of(victim)
        held_at = tuple(place_of(holder) for holder in knot.own)
        who = "its own task" if any(holder.task is victim.task for holder in knot.own) else "the task that awaits it"
        many = len(knot.holders)
        if many == 1:
            others = "the only one that it could get is held by a task that waits in line, or for one that does"
        else:
            others = f"all {many} that it could get are held by tasks that wait in line, or for some that do"
        return PoolDeadlock(
            f"{self.named(victim.line)} can never serve this caller, which asks from {waiting_at}: {who} holds a "
            f"permit asked for from {' and '.join(held_at)}, and {others}. Pass the first connection on instead of "
            f"asking for a second, or leave its block first.{report.holders_in_short()}",
            waiting_at=waiting_at,
            held_at=held_at,
            report=report,
        )

    def _recent_report(self, now: float) -> Report:
        holders = self._permits.turn, self._permits.held
        if self._report is None or now - self._reported_at > REPORT_KEEPS_S or holders != self._reported_of:
            self._report, self._reported_at, self._reported_of = self.report(now), now, holders
        return self._report

    def _attributes(self, line: Line) -> dict[str, Any]:
        permits = self._permits
        return {"capacity": permits.capacity, "held": permits.held, "waiting": permits.waiting, "lane": line.name}

    def named(self, line: Line) -> str:
        """What to call it in a message to a caller of *line*."""
        return f"lane '{line.name}' of {self.name}" if line.name else self.name

    def _numbers(self, line: Line) -> str:
        permits = self._permits
        held = f"{permits.held} of {permits.capacity} permits held"
        if line.name:
            at_most = "" if line.at_most is None else f" of its {line.at_most}"
            held += f", {line.held}{at_most} by this lane"
        if permits.is_paused:
            held += ", paused"
        elif permits.limit < permits.capacity:
            held += f", {permits.limit} in use as it adapts"
        return f"{held}, {line.waiting} other callers in line"
