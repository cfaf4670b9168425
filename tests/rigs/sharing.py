"""Which rig runs where and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

# How much of the time a rig gets beside one that is not named here: what counts by the million needs more of it.
# A thousand faults of each of the rows of misuse take three minutes of a processor for itself.
WEIGHTS = {"sim": 8.0, "ledger": 3.0, "misuse": 2.5}
# Run as a whole, for their figures are of a long time; all others begin anew, with the next seed, after ROUND_S.
WHOLE = frozenset({"availability", "ledger"})
ROUND_S = 60.0
STRIDE = 1_000_000  # a rig may count its seeds up from the one that it gets
LAST_S = 5.0  # a round shorter than this is not worth its start
SOAKED = "ledger"


@dataclass(frozen=True, slots=True)
class Turn:
    """A rig's time in a lane, in which one runs after the other."""

    name: str
    seconds: float
    is_beside: bool = False
    """It takes only what processor time the others leave."""
    is_whole: bool = False
    """One round, however long."""

    def rounds(self, seed: int) -> Iterator[tuple[float, int]]:
        """Seconds and seed of each; a rest that is too short goes to the last one."""
        if self.is_whole or self.name in WHOLE or self.seconds < 2 * ROUND_S:
            yield self.seconds, seed
            return
        count = int(self.seconds // ROUND_S)
        for number in range(count):
            is_last = number == count - 1
            yield (self.seconds - ROUND_S * (count - 1) if is_last else ROUND_S), seed + number * STRIDE


def lanes_of_chaos(names: Iterable[str], seconds: float, processors: int) -> list[list[Turn]]:
    """Everyone shares *processors* lanes of *seconds* each; nobody gets more than one lane."""
    shares = _shares(sorted(set(names)), seconds * processors, seconds)
    lanes: list[list[Turn]] = [[] for _ in range(processors)]
    for name, share in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        emptiest = min(lanes, key=_length)
        emptiest.append(Turn(name, max(LAST_S, min(share, seconds - _length(emptiest)))))
    return [lane for lane in lanes if lane]


def lanes_of_soak(names: Iterable[str], seconds: float, processors: int) -> list[list[Turn]]:
    """The ledger has a lane for itself the whole time; the others share the rest, and yield to it."""
    others = sorted(set(names) - {SOAKED})
    lanes = [[Turn(SOAKED, seconds)]] if SOAKED in names else []
    left = max(1, processors - len(lanes))
    beside = lanes_of_chaos(others, seconds, left) if others else []
    return lanes + [[replace(turn, is_beside=bool(lanes)) for turn in lane] for lane in beside]


def _length(lane: list[Turn]) -> float:
    return sum(turn.seconds for turn in lane)


def _shares(names: list[str], together: float, most: float) -> dict[str, float]:
    """By weight, none above *most*; what one cannot take goes to the others."""
    shares: dict[str, float] = {}
    waiting = {name: WEIGHTS.get(name, 1.0) for name in names}
    while waiting:
        unit = together / sum(waiting.values())
        full = [name for name, weight in waiting.items() if weight * unit >= most]
        for name in full or list(waiting):
            shares[name] = min(most, waiting.pop(name) * unit)
            together -= shares[name] if full else 0.0
    return shares
