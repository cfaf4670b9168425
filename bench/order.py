"""Who comes after whom in each round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def order_of_round(names: Sequence[T], number: int) -> list[T]:
    """*names* in an order in which, over the rounds, each stands everywhere and follows each other one.

    Merely rotating would leave everyone behind the same neighbour. The steps +0, +1, -1, +2, -2, ... meet each
    neighbour once in len(names) rounds (Williams); where that number is odd, every other round goes backwards.
    """
    count = len(names)
    steps = [(step + 1) // 2 * (1 if step % 2 else -1) for step in range(count)]
    order = [names[(number + step) % count] for step in steps]
    return order[::-1] if count % 2 and number % 2 else order
