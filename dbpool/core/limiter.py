"""How many may hold at once: as many as make the most of the server, found by trying."""

from __future__ import annotations

from math import exp, inf, log, sqrt

UP, DOWN = 1, -1

# How long to look
WINDOW_S = 0.02  # at least: a loop's timers and turns are a tenth of that
SAMPLES = 20  # at least so many leave within a window, ...
GENERATIONS = 4  # ... or so many for each permit
PATIENCE = 8  # windows after which an unclear trial is decided all the same

# How to judge what was seen
WORTH = 0.05  # ten per cent more holders must bring half a per cent more leaves, or fewer holders are better
SURE_BETTER = 2.0  # standard deviations: to move takes more than to stay
SURE_WORSE = 1.0
CHANGED = 0.1  # by so much, as a share, a rate must differ to be that of another load; and by so many
SURE_CHANGED = 3.5  # standard deviations
NOISE = 0.25  # to begin with: the variance of a rate's logarithm, times the number of samples; 1 if leaves were random

# How to move
LARGEST = log(2)  # steps are ratios: the limit is doubled or halved at most, ...
SMALLEST = log(1.25)  # ... and changed by a quarter at least, or by one
COST = 0.01  # share of all leaves that trials which failed may cost
LONGEST_REST = {UP: 10, DOWN: 20}  # windows: some changes of the load show in a trial only


class GradientLimiter:
    """A limit that follows what holders achieve, below a hard maximum.

    While a line waits, it counts how many leave in a second, and now and then tries a limit above or below: it stays
    where more leave, and goes on from there with larger steps. As many with fewer holders is better, too: what more
    holders bring is only longer times for each. This measures throughput itself, so that it needs no belief about what
    a slow query means: when queries wait for something else each holder adds its share, when they share processors or
    locks it does not. Hill climbing as in .NET's thread pool, on the logarithm of the rate over that of the limit; the
    limiters of TCP (Vegas) and Netflix (Gradient2) take longer times for a sign of a queue, which a change of load is
    as well.

    While nobody waits there is nothing to learn, and the limit stays; while somebody does at times, it grows.
    """

    # Always true between two calls:
    #   least <= limit <= hard_max
    #   limit == _base, or limit is on trial against _base

    __slots__ = (
        *("_base", "_count", "_direction", "_enough", "_is_settling", "_known", "_lowest", "_noise", "_pressed"),
        *("_rate", "_rests_until", "_since", "_step", "hard_max", "least", "limit"),
    )

    def __init__(self, hard_max: int, least: int = 1) -> None:
        assert 1 <= least <= hard_max, (least, hard_max)
        self.hard_max = hard_max
        self.least = least
        self.limit = self._base = hard_max
        # What is known of the base: the logarithm of leaves a second, and from how many samples
        self._rate = 0.0
        self._known = 0
        self._noise = NOISE
        # The next trial
        self._direction = DOWN
        self._step = LARGEST
        self._rests_until = {UP: -inf, DOWN: -inf}
        # The window; in one that is settling, those leave who began under another limit
        self._is_settling = True
        self._enough = 1
        self._count = self._pressed = 0
        self._lowest = hard_max
        self._since = 0.0

    def left(self, held: int, waiting: int, now: float) -> int | None:
        """Count one holder that leaves; *held* (itself included) and *waiting* are as they were just before.

        Returns: the limit from now on if it changed.
        """
        self._count += 1
        if waiting:
            self._pressed += 1
        elif held < self._lowest:
            self._lowest = held
        if self._count < self._enough:
            return None
        before = self.limit
        self._end_window(now)
        if self.limit == before:
            return None
        self._is_settling = True
        self._count = 0
        self._enough = held
        return self.limit

    def _begin_window(self, now: float) -> None:
        self._is_settling = False
        self._count = self._pressed = 0
        self._lowest = self.hard_max
        self._since = now
        self._enough = _samples(self.limit)

    def _end_window(self, now: float) -> None:
        lasted_s = now - self._since
        if self._is_settling:
            self._begin_window(now)
        elif lasted_s < WINDOW_S:
            self._enough *= 2
        elif self._pressed < 0.9 * self._count or self._lowest <= self.limit / 2:
            self._follow_demand()
            self._begin_window(now)
        elif self.limit == self._base:
            self._learn(log(self._count / lasted_s), now)
            self._begin_window(now)
            self._try_another(now)
        else:
            self._judge(log(self._count / lasted_s), now)

    def _follow_demand(self) -> None:
        """The line was empty at times: callers decide how many leave, not the limit."""
        self._base = max(self._base, self.limit)
        if self._pressed > 0.1 * self._count:
            self._base = min(self.hard_max, self._base * 5 // 4 + 1)
        self.limit = self._base
        self._known = 0

    def _learn(self, rate: float, now: float) -> None:
        """Take a window at the base into what is known of it; begin anew if the load is another."""
        if self._known:
            off, unsure = abs(rate - self._rate), self._unsure(self._count)
            self._noise *= 1 + (min((off / unsure) ** 2, 4.0) - 1) / 8
            if off > max(CHANGED, SURE_CHANGED * unsure):
                self._known = 0
                self._direction = UP if self.limit < self.hard_max else DOWN  # too low costs more than too high
                self._step = LARGEST if self._direction == UP or rate < self._rate else SMALLEST
                self._rests_until = {UP: now, DOWN: now}
        self._known = min(self._known + self._count, PATIENCE * _samples(self.limit))
        self._rate += (rate - self._rate) * self._count / self._known

    def _try_another(self, now: float) -> None:
        """Put a limit on trial, unless both directions rest."""
        for _ in (UP, DOWN):
            if now >= self._rests_until[self._direction]:
                other = round(self._base * exp(self._direction * self._step))
                if other == self._base:
                    other += self._direction
                self.limit = min(self.hard_max, max(self.least, other))
                if self.limit != self._base:
                    return
            self._turn(SMALLEST)

    def _judge(self, rate: float, now: float) -> None:
        """Stay at the limit on trial, go back, or look for longer."""
        gain = rate - self._rate - WORTH * log(self.limit / self._base)
        is_unclear = -SURE_WORSE < gain / self._unsure(self._count) < SURE_BETTER
        if is_unclear and self._count < PATIENCE * _samples(self.limit):
            self._enough *= 2
        elif gain > 0:
            self._base, self._rate, self._known = self.limit, rate, self._count
            self._step = min(LARGEST, self._step * 2)
            self._begin_window(now)
            self._try_another(now)
        else:
            lost = 1 - exp(min(0.0, rate - self._rate))
            longest_s = LONGEST_REST[self._direction] * _samples(self._base) / exp(self._rate)
            self._rests_until[self._direction] = now + min((now - self._since) * lost / COST, longest_s)
            self._turn(max(SMALLEST, self._step / 2))
            self.limit = self._base

    def _turn(self, step: float) -> None:
        self._direction = -self._direction
        self._step = step

    def _unsure(self, samples: int) -> float:
        """The standard deviation of the difference between the base's rate and one of so many samples."""
        return sqrt(self._noise * (1 / samples + 1 / self._known))


def _samples(limit: int) -> int:
    return max(SAMPLES, GENERATIONS * limit)
