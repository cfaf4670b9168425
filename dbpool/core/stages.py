"""The shape of a load over time: stages, each a straight line from one level to the next.

A level is arrivals a second or a number of clients; nothing here depends on which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from dbpool.errors import SettingsError
from dbpool.settings import positive_seconds, seconds_from_zero

MOST: Final = 1e9  # levels above this mean a typing error

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Stage:
    """A load that goes from *start* to *end* in *duration_s* seconds; constant where the two are equal.

    Raises:
        SettingsError: the duration is not above 0, or a level is not in 0 to 1e9.
    """

    duration_s: float
    start: float
    end: float

    def __post_init__(self) -> None:
        positive_seconds(self.duration_s, "a stage's duration")
        for level in (self.start, self.end):
            if isinstance(level, bool) or not 0 <= level <= MOST:
                raise SettingsError(f"a stage's level must be a number from 0 to 1e9, not {level!r}")

    @property
    def area(self) -> float:
        """Levels times seconds: how many arrivals are expected, if the level is a rate."""
        return (self.start + self.end) / 2 * self.duration_s

    def level_at(self, t: float) -> float:
        """The level *t* seconds into the stage."""
        return self.start + (self.end - self.start) * t / self.duration_s

    def time_at(self, area: float) -> float:
        """The second by which *area*, 0 <= area < ``area``, lies behind: the inverse of the integrated level."""
        if not area:
            return 0.0
        # of the two forms of a quadratic's root the one that neither cancels nor divides by end - start
        root = sqrt(max(0.0, self.start**2 + 2 * area * (self.end - self.start) / self.duration_s))
        return min(2 * area / (self.start + root), self.duration_s) if self.start + root else 0.0  # it was below 1e-300


def level_at(stages: Sequence[Stage], t: float) -> float:
    """The level *t* seconds after the first stage began; after the last stage it is 0."""
    for stage in stages:
        if t < stage.duration_s:
            return stage.level_at(t)
        t -= stage.duration_s
    return 0.0


def reached_at(stages: Sequence[Stage], level: float, t: float) -> float | None:
    """The first second from *t* on, 0 where the first stage began, at which there is *level* or more; None: never."""
    began = 0.0
    for stage in stages:
        ended = began + stage.duration_s
        if t < ended:
            now = max(t, began)
            if stage.level_at(now - began) >= level:
                return now
            if stage.end >= level:  # it rises to it
                return max(now, began + (level - stage.start) / (stage.end - stage.start) * stage.duration_s)
        began = ended
    return None


def shared(stages: Sequence[Stage], workers: int) -> list[Stage]:
    """What each of *workers* does so that all of them together do *stages*."""
    return [replace(stage, start=stage.start / workers, end=stage.end / workers) for stage in stages]


def seconds_of(text: str) -> float:
    """Seconds from ``30s``, ``1m30s``, ``500ms``, ``2h`` or a plain number.

    Raises:
        SettingsError: it is none of these.
    """
    try:
        return seconds_from_zero(float(text), "a duration")
    except ValueError:  # SettingsError is one, too: the message below says it all
        parts = _PART.findall(text)
        if not parts or "".join(map("".join, parts)) != text:
            raise SettingsError(f"a duration is like 30s, 1m30s, 500ms or 10, not {text!r}") from None
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


def stages_of(text: str) -> list[Stage]:
    """Stages from ``30s:10,1m:50``: from 0 to 10 in 30 s, then to 50 in a minute (k6's stages).

    ``10s:50,1m:50`` holds a level, and ``0s:50,1m:50`` begins with it.

    Raises:
        SettingsError: it does not read like that, or takes no time at all.
    """
    stages, level = [], 0.0
    for part in text.split(","):
        duration, colon, target = part.strip().partition(":")
        if not colon:
            raise SettingsError(f"stages are like 30s:10,1m:50 (duration:target), not {text!r}")
        before, level = level, _level_of(target)
        if seconds := seconds_of(duration):
            stages.append(Stage(seconds, before, level))
    if not stages:
        raise SettingsError(f"stages must take some time, and {text!r} takes none")
    return stages


def line_of(text: str, duration_s: float) -> Stage:
    """The one stage of ``100`` (constant) or ``100:200`` (a ramp).

    Raises:
        SettingsError: it reads like neither.
    """
    start, colon, end = text.partition(":")
    return Stage(duration_s, _level_of(start), _level_of(end if colon else start))


def _level_of(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"a rate or a number of clients is like 100 or 0.5, not {text!r}") from None
