"""Whether the server counts as gone, and when to try it again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dbpool.core.retry import Backoff

# Most outages are restarts: they last seconds, and all who wait want to go on at once. A prober finds the server within
# this, or within a twentieth of how long it was away, which nobody notices then; twenty connects a second are no load.
BRIEF_S = 0.1
SHARE = 1 / 20


@dataclass(slots=True)
class Outage:
    """The run of failed connects since the last that worked.

    A short run is a hiccup: callers wait while it is tried again. Once it has lasted *patience_s*, or the server has
    said no in a way that another try cannot change, callers are refused at once, and one prober goes on. Where nobody
    has tried for *patience_s*, nothing is known of the server any more, and patience begins anew.
    """

    patience_s: float
    backoff: Backoff = field(default_factory=Backoff)
    failures: int = 0
    since: float = 0.0
    failed_at: float = 0.0
    next_try_at: float = 0.0
    is_denied: bool = False

    def begins(self, now: float) -> None:
        """Record that somebody has a connect begin *now*, and none is under way."""
        if self.failures and now >= self.next_try_at and now - self.failed_at > self.patience_s:
            self.since, self.is_denied = now, False

    def failed(self, started: float, now: float, *, denied: bool, chance: float) -> None:
        """Record a connect that failed *now*; *chance* (0..1) sets the jitter of the next."""
        if not self.failures:
            self.since = started
        self.failures += 1
        self.failed_at = now
        self.is_denied = denied
        below_s = math.inf if denied else max(BRIEF_S, (now - self.since) * SHARE)
        self.next_try_at = now + self.backoff.delay_s(self.failures, chance, below_s)

    def ended(self) -> None:
        """Record a connect that worked."""
        self.failures = 0
        self.is_denied = False
        self.next_try_at = 0.0

    def refuses(self, now: float) -> bool:
        """Whether callers are to be refused at once."""
        return self.failures > 0 and (self.is_denied or now - self.since >= self.patience_s)

    def connects_at_once(self, most: int) -> int:
        """How many connects may be under way: *most*, or one prober during an outage."""
        return 1 if self.failures else most
