"""In which order to try the servers of an address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum


class Heard(IntEnum):
    """What was last heard of a server, the best first."""

    ANSWERED = 0
    NOTHING_YET = 1
    REFUSED = 2  # or it was no server of the kind that is wanted
    SILENT = 3


class NoServerSuits(ConnectionError):
    """No server of an address was reached, or none was of the kind wanted; the message has the reason of each."""

    def __init__(self, message: str, reasons: Sequence[BaseException] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)
        """What each of them failed with; a TimeoutError for one that did not answer."""


class Hosts:
    """What is known of the servers of an address, which are numbered from 0 as they stand in it."""

    # Always true between two calls: at most one ANSWERED, the one that did last, unless they are tried at random

    def __init__(self, count: int, *, at_random: bool = False) -> None:
        self._heard = [Heard.NOTHING_YET] * count
        self._at_random = at_random

    def __len__(self) -> int:
        return len(self._heard)

    def order(self, shuffle: Callable[[list[int]], object]) -> Sequence[int]:
        """All of them, in the order in which to try them: those that are likely to be silent last.

        Args:
            shuffle: puts a list into random order, in place.
        """
        numbers = list(range(len(self._heard)))
        if self._at_random:
            shuffle(numbers)
            return sorted(numbers, key=lambda number: self._heard[number] is Heard.SILENT)
        return sorted(numbers, key=lambda number: self._heard[number])

    def answered(self, number: int) -> None:
        """Note that it is the one that is used now."""
        if not self._at_random:
            self._heard = [Heard.NOTHING_YET if heard is Heard.ANSWERED else heard for heard in self._heard]
        self._heard[number] = Heard.ANSWERED

    def refused(self, number: int) -> None:
        self._heard[number] = Heard.REFUSED

    def silent(self, number: int) -> None:
        self._heard[number] = Heard.SILENT
