"""What leaving a long line costs, counted in looks at who stands in it, which no machine's speed changes."""

from __future__ import annotations

import random
from typing import Final

from dbpool.gate import Gate
from dbpool.testing.virtualtime import run
from dbpool.waiter import Waiter
from tests.support.loops import JumpingLoop, running_loop

LENGTH: Final = 1_000
MOST_LOOKS: Final = 20  # at each who comes and leaves, itself included


class _Counting(Waiter):
    """Counts how often anybody of its kind is looked for, or compared."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        _Counting.looks += 1
        return id(self) >> 4

    def __eq__(self, other: object) -> bool:
        _Counting.looks += 1
        return self is other


def check_long_line(seed: int) -> None:
    """Have many stand in line and leave it: the oldest first, the newest first, and in the order that *seed* makes.

    Raises:
        AssertionError: M8: it cost more than a few looks for each.
    """

    async def leave(order: list[int]) -> None:
        loop = running_loop()
        gate = Gate(1)
        async with gate:
            line = [_Counting(gate.line) for _ in order]
            _Counting.looks = 0
            for waiter in line:
                gate.request(waiter, 30.0, loop)
            for number in order:
                gate.leave(line[number])
            looks = _Counting.looks / LENGTH
            assert looks <= MOST_LOOKS, f"M8: to leave a line of {LENGTH:,} takes {looks:,.0f} looks at who is in it"

    oldest_first = list(range(LENGTH))
    shuffled = random.Random(seed).sample(oldest_first, LENGTH)
    for order in (oldest_first, oldest_first[::-1], shuffled):
        run(leave(order), JumpingLoop)
