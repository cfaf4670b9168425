"""The orders of the data set: skewed, seasonal, the same for the same seed."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TypeAlias

OrderRow: TypeAlias = tuple[int, int, datetime, str, int, str | None]
ORDER_COLUMNS = ("id", "customer_id", "placed_at", "status", "amount_cents", "note")
BATCH = 2500  # rows made at a stretch: about 10 ms, so that the display stays alive

# fixed, not "until today": the same seed shall give the same rows next year
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 731

_WEEKDAYS = (1.05, 1.0, 1.0, 1.05, 1.1, 0.85, 0.8)
# few at night, most in working hours, a second peak in the evening
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 15, 13, 13, 14, 14, 13, 12, 11, 12, 13, 11, 7, 4)
_MEDIAN_CENTS, _SPREAD = 4500, 0.9  # of a log-normal distribution: many small amounts, a few very large ones
_NOTES = ("please gift-wrap", "leave it with the neighbours", "ring twice", "deliver after 17:00", "invoice by post")
_NOTE_SHARE = 0.04
# Zipf's law with a flattened head: the best customer places under 1 % of 200,000 orders, the best hundredth a quarter
_ZIPF_EXPONENT, _ZIPF_OFFSET = 0.85, 8

# Age in days up to which a row holds, then the share of each status in hundredths: an order is paid, then shipped.
_STATUSES = (
    (1.0, {"new": 40, "paid": 45, "shipped": 10, "cancelled": 5}),
    (4.0, {"new": 5, "paid": 40, "shipped": 49, "cancelled": 6}),
    (math.inf, {"paid": 2, "shipped": 92, "cancelled": 6}),
)


class Skew:
    """Who orders how often: a few customers much, most of them little."""

    def __init__(self, seed: int, customers: int) -> None:
        self._ids = Random(f"ranks {seed}").sample(range(1, customers + 1), customers)
        weights = ((rank + _ZIPF_OFFSET) ** -_ZIPF_EXPONENT for rank in range(1, customers + 1))
        self._cumulated = list(accumulate(weights))

    def draw(self, random: Random, count: int) -> list[int]:
        """The ids of *count* customers, with repetitions."""
        return random.choices(self._ids, cum_weights=self._cumulated, k=count)


def batches(seed: int, orders: int, skew: Skew) -> Iterator[list[OrderRow]]:
    """Yield *orders* >= 1 rows for ``ORDER_COLUMNS`` in lists of up to ``BATCH``, oldest first."""
    hours = list(accumulate(_busyness(hour) for hour in range(DAYS * 24)))
    for first in range(0, orders, BATCH):
        yield _batch(Random(f"orders {seed} {first}"), range(first, min(first + BATCH, orders)), orders, skew, hours)


def _batch(random: Random, numbers: range, orders: int, skew: Skew, hours: list[float]) -> list[OrderRow]:
    rows: list[OrderRow] = []
    chance, total = random.random, hours[-1]
    for number, customer in zip(numbers, skew.draw(random, len(numbers)), strict=True):
        hour = bisect(hours, (number + chance()) / orders * total, hi=len(hours) - 1)
        placed_at = FIRST_DAY + timedelta(hours=hour, seconds=int(chance() * 3600))
        cents = int(random.lognormvariate(math.log(_MEDIAN_CENTS), _SPREAD)) // 10 * 10 + 9
        note = random.choice(_NOTES) if chance() < _NOTE_SHARE else None
        rows.append((number + 1, customer, placed_at, _status(DAYS - hour / 24, chance()), cents, note))
    return rows


def _busyness(hour: int) -> float:
    day = hour // 24
    date = FIRST_DAY + timedelta(days=day)
    growth = 1 + 0.6 * day / DAYS
    season = 1.6 if (11, 20) <= (date.month, date.day) <= (12, 23) else 1 - 0.1 * math.sin(2 * math.pi * day / 365)
    return growth * season * _WEEKDAYS[date.weekday()] * _HOURS[hour % 24]


def _status(age_days: float, chance: float) -> str:
    shares = next(shares for oldest, shares in _STATUSES if age_days <= oldest)
    for status, share in shares.items():
        chance -= share / 100
        if chance < 0:
            return status
    return status
