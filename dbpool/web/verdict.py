"""Whether all is well with a pool, in one sentence, then why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from dbpool.report import Caller, Report
from dbpool.stats import PoolStats
from dbpool.web.history import Sample
from dbpool.web.telling import seconds
from dbpool.wording import counted, without_addresses

SHORT_WAIT_S: Final = 0.1
"""Nobody notices a shorter wait for a connection."""
LONG_WAIT_S: Final = 1.0
"""Everybody notices a longer one."""
LONG_HELD_S: Final = 60.0
"""A transaction that is open for longer keeps the server from cleaning up."""
RECENT: Final = 60
"""Samples, of a second each, that count as the last minute."""


class State(Enum):
    """What a pool can do for its callers at this moment."""

    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    PAUSED = "paused"
    UNREACHABLE = "unreachable"
    CLOSING = "closing"
    CLOSED = "closed"
    FORKED = "forked"


class Level(Enum):
    """How bad it is."""

    WELL = "well"
    WARNING = "warning"
    BAD = "bad"


COUNTED: Final = (
    ("timeouts_per_s", "One caller waited in vain", "{:,} callers waited in vain"),
    ("refused_per_s", "One caller was refused at once", "{:,} callers were refused at once"),
    ("connect_failures_per_s", "One connect failed", "{:,} connects failed"),
)
SENTENCES: Final = {
    State.NEW: (Level.WARNING, "The pool is not open yet."),
    State.OPENING: (Level.WARNING, "The pool is being opened."),
    State.PAUSED: (Level.WARNING, "The pool is paused: callers wait until it is resumed."),
    State.UNREACHABLE: (Level.BAD, "The server cannot be reached."),
    State.CLOSING: (Level.BAD, "The pool is being closed."),
    State.CLOSED: (Level.BAD, "The pool is closed."),
    State.FORKED: (Level.BAD, "The pool was open when this process was forked, and is of no use here."),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence, and the reasons for it, the weightiest first."""

    level: Level
    sentence: str
    reasons: tuple[str, ...] = ()


def verdict(state: State, stats: PoolStats, report: Report, recent: list[Sample], deadlocks: int) -> Verdict:
    """What to say of a pool; *recent* are the samples of the last minute, *deadlocks* were found in it."""
    found = list(_findings(stats, report, recent, deadlocks))
    reasons = tuple(reason for _, reason in found)
    if state is State.UNREACHABLE:
        cause = [f"The last connect: {without_addresses(stats.last_connect_error or 'no answer')}."]
        return Verdict(*SENTENCES[state], (*cause, *reasons))
    if state is not State.OPEN:
        return Verdict(*SENTENCES[state], reasons)
    if found:
        level = Level.BAD if any(each is Level.BAD for each, _ in found) else Level.WARNING
        return Verdict(level, reasons[0], reasons[1:])
    if stats.waiting:
        return Verdict(Level.WELL, f"All is well: {counted(stats.waiting, 'caller')} in line, and nobody waits long.")
    return Verdict(Level.WELL, f"All is well: {stats.held} of {counted(stats.limit, 'connection')} in use.")


def _findings(stats: PoolStats, report: Report, recent: list[Sample], deadlocks: int) -> Iterator[tuple[Level, str]]:
    """What is wrong, the weightiest first."""
    if deadlocks:
        yield Level.BAD, f"{counted(deadlocks, 'deadlock')} among callers in the last minute: see the events."
    if stats.waiting and stats.oldest_wait_s >= SHORT_WAIT_S:
        level = Level.BAD if stats.oldest_wait_s >= LONG_WAIT_S else Level.WARNING
        who = "One caller waits" if stats.waiting == 1 else f"{stats.waiting:,} callers wait"
        first = "" if stats.waiting == 1 else "the first "
        why = f"{stats.held} of {counted(stats.limit, 'connection')} held"
        yield level, f"{who} for a connection, {first}for {seconds(stats.oldest_wait_s)}: {why}."
        if report.holders:
            yield level, f"Held longest: {_holder(report.holders[0])}."
    for counter, one, many in COUNTED:
        count = round(_sum(recent, counter))
        if count:
            yield Level.WARNING, f"{one if count == 1 else many.format(count)} in the last minute."
    if stats.zombies:
        who = "connection that was" if stats.zombies == 1 else "connections that were"
        yield Level.WARNING, f"{stats.zombies} {who} cut off may live on at the server, and keep their places."
    if stats.limit < stats.capacity and stats.waiting:
        yield Level.WARNING, f"The pool uses {stats.limit} of its {stats.capacity} connections: more made it slower."
    for holder in report.holders:
        if holder.in_transaction and holder.seconds >= LONG_HELD_S:
            yield Level.WARNING, f"A transaction has been open for {_holder(holder)}."
            break


def _holder(holder: Caller) -> str:
    where = f" by {holder.where}" if holder.where else ""
    lane = f" (lane '{holder.lane}')" if holder.lane else ""
    return f"{seconds(holder.seconds)}{where}{lane}"


def _sum(samples: list[Sample], counter: str) -> float:
    """Of a rate, over samples of which each lasts from the one before."""
    total = 0.0
    for before, sample in pairwise(samples):
        total += (getattr(sample, counter) or 0.0) * (sample.at - before.at)
    return total
