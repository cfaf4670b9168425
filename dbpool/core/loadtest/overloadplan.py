"""At which rates an overload is measured, and when its work is given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from dbpool.errors import SettingsError

SHARES: Final = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5)
NORMAL: Final = 0.7  # of the peak: a load that leaves room, and to which it returns
PUSHED: Final = 10.0  # times the service p99: later than that is late, unless somebody says otherwise
LEAST_LIMIT_MS: Final = 20.0
MOST_IN_FLIGHT: Final = 100_000
BUSY: Final = 2  # times the mean service, which is room for most of them


@dataclass(frozen=True, slots=True)
class OverloadPlan:
    """What to offer, in arrivals a second.

    Args:
        steps: share of the peak, and rate, ascending.
        normal_rate: that of before and after.
        skip_after_s: work that waited so long for a connection is not begun: it would be late.
        max_in_flight: room for all that waits so long.
    """

    steps: tuple[tuple[float, float], ...]
    normal_rate: float
    skip_after_s: float
    max_in_flight: int


def usual_limit_ms(service_p99_ms: float | None) -> float:
    """Up to where a response is in time if nobody says so, for a service that has this p99; None: not known."""
    return max(LEAST_LIMIT_MS, PUSHED * (service_p99_ms or 0.0))


def overload_plan(
    peak_tps: float, size: int, limit_s: float, shares: Sequence[float] = SHARES, *, most_in_flight: int = 1000
) -> OverloadPlan:
    """The plan for a pool of *size* that did *peak_tps* when all its connections were busy.

    While they are, a transaction takes size / peak_tps on average (Little's law). What waited for longer than the
    limit less twice that would be late: whoever waits first in, first out, and begins all that can still be begun,
    ends with each of them just beyond the limit.

    Raises:
        SettingsError: there is no share, or something is not above 0.
    """
    if not shares or min(*shares, peak_tps, size, limit_s) <= 0:
        raise SettingsError("an overload needs shares of a peak, a pool and a limit above 0")
    service_s = size / peak_tps
    skip_after_s = max(limit_s / 2, limit_s - BUSY * service_s)
    waiting = ceil(max(shares) * peak_tps * limit_s)
    return OverloadPlan(
        steps=tuple((share, share * peak_tps) for share in sorted(shares)),
        normal_rate=NORMAL * peak_tps,
        skip_after_s=skip_after_s,
        max_in_flight=min(MOST_IN_FLIGHT, max(most_in_flight, 2 * (size + waiting))),
    )
