"""What a gate learns from its holders: whom to refuse at once, how many may hold together."""

from __future__ import annotations

from dbpool.core.admission import Admission
from dbpool.core.limiter import GradientLimiter
from dbpool.core.permits import Line, Permits
from dbpool.waiter import Waiter


class Learner:
    """Watches who leaves.

    Args:
        deadline_aware: learn how long the callers of each lane hold.
        adaptive: find the number of holders at which most is done.
    """

    def __init__(self, permits: Permits[Waiter], *, deadline_aware: bool, adaptive: bool) -> None:
        self._permits = permits
        self._is_deadline_aware = deadline_aware
        self._is_adaptive = adaptive
        self._admissions: dict[Line, Admission] = {}
        self._limiter: GradientLimiter | None = None
        self.resized()

    def resized(self) -> None:
        """The gate's capacity, or what its lanes reserve, has changed: begin with all of it."""
        permits = self._permits
        permits.limit = permits.capacity
        if self._is_adaptive:  # each lane has its reserve, and all others one permit
            self._limiter = GradientLimiter(permits.capacity, least=min(permits.reserved + 1, permits.capacity))

    def left(self, waiter: Waiter, now: float) -> None:
        """*waiter* is about to give its permit back."""
        permits = self._permits
        if permits.is_paused:  # what leaves now says nothing of how it goes while others come
            return
        if self._is_deadline_aware:
            self._admission(waiter.line).left(now - waiter.since)
        if self._limiter is not None:
            limit = self._limiter.left(permits.held, permits.waiting, now)
            if limit is not None:
                permits.limit = limit

    def retry_after_s(self, line: Line, remaining_s: float, now: float) -> float | None:
        """When the newest in *line* should come again, if it would not get a permit in *remaining_s*; None: it would.

        What its lane holds now is what it gets, for as long as other lanes wait as well; how long a pause lasts, nobody
        knows.
        """
        permits = self._permits
        if not self._is_deadline_aware or permits.is_paused:
            return None
        share = line.held if permits.waiting > line.waiting else permits.most_for(line)
        paced_s = 0.0 if line.pace is None else line.pace.next_at(now, line.waiting - 1) - now
        return self._admission(line).retry_after_s(line.waiting, max(share, 1), remaining_s, paced_s)

    def _admission(self, line: Line) -> Admission:
        return self._admissions.setdefault(line, Admission())
