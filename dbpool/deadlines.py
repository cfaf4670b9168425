"""Deadlines by the thousand on a handful of timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

# A deadline is rounded up to the next tick, so members that are due together share one timer: a timer each would
# cost about 3 us a call on asyncio's loop, sharing costs about 0.3 us. Never early; at most one tick late.
TICKS_PER_S = 100
# A timer that is later than this found the loop blocked, or the machine asleep. What arrived meanwhile is read in the
# same turn, and has its effect in the next ones: an answer frees a connection, which goes to the next in line.
LATE_S = 0.05
TURNS_IF_LATE = 5


class Member(Protocol):
    """Something that is due: ``deadline`` is in seconds of the loop's clock and may be moved later at any time."""

    deadline: float
    bucket: Bucket | None


class Bucket(dict[Member, None]):
    """The members that share a timer, in the order in which they were added."""

    __slots__ = ("owner", "tick", "timer", "turns")

    owner: Deadlines[Any]
    tick: int
    timer: asyncio.Handle
    turns: int  # of the loop that its members have been given since it was due


def forget(member: Member) -> None:
    """Take *member* out of whatever deadlines it was added to, if any."""
    bucket = member.bucket
    if bucket is not None:
        member.bucket = None
        del bucket[member]
        if not bucket:
            bucket.owner.emptied(bucket)


M = TypeVar("M", bound=Member)


class Deadlines(Generic[M]):
    """Calls *expire* with each member whose deadline has passed."""

    # Always true between two calls: an empty bucket is the newest one (kept, so that one caller at a time does not
    # start and cancel a timer for each call).

    __slots__ = ("_buckets", "_expire", "_newest")

    def __init__(self, expire: Callable[[M], None]) -> None:
        self._expire = expire
        self._buckets: dict[int, Bucket] = {}
        self._newest: Bucket | None = None

    def add(self, member: M, loop: asyncio.AbstractEventLoop) -> None:
        tick = int(member.deadline * TICKS_PER_S) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._open(tick, loop)
        bucket[member] = None
        member.bucket = bucket

    def close(self) -> None:
        """Forget every member and stop every timer."""
        self._newest = None
        for bucket in list(self._buckets.values()):
            for member in bucket:
                member.bucket = None
            self._drop(bucket)

    def _open(self, tick: int, loop: asyncio.AbstractEventLoop) -> Bucket:
        if self._newest is not None and not self._newest:
            self._drop(self._newest)
        bucket = self._buckets[tick] = self._newest = Bucket()
        bucket.owner = self
        bucket.tick, bucket.turns = tick, 0
        bucket.timer = loop.call_at(tick / TICKS_PER_S, self._due, bucket, loop)
        return bucket

    def emptied(self, bucket: Bucket) -> None:
        """Its last member was forgotten: stop its timer, unless it may soon be used again."""
        if bucket is not self._newest:
            self._drop(bucket)

    def _drop(self, bucket: Bucket) -> None:
        bucket.timer.cancel()
        del self._buckets[bucket.tick]

    def _due(self, bucket: Bucket, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        if bucket.turns < TURNS_IF_LATE and now > bucket.tick / TICKS_PER_S + LATE_S:
            bucket.turns += 1
            bucket.timer = loop.call_soon(self._due, bucket, loop)
            return
        del self._buckets[bucket.tick]
        if bucket is self._newest:
            self._newest = None
        for member in list(bucket):
            if member.bucket is not bucket:  # forgotten by an earlier member's expiry
                continue
            member.bucket = None
            if member.deadline > now:  # moved later since it was added
                self.add(member, loop)  # type: ignore[arg-type]
                continue
            try:
                self._expire(member)  # type: ignore[arg-type]
            except Exception as error:  # must not hold back the others
                loop.call_exception_handler({"message": "a deadline's expiry failed", "exception": error})
