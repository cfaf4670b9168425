"""What the demo is asked to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of one showing; ``dbpool demo --help`` says what each is for."""

    dsn: str | None
    """A server of the user's, on which a database is made and dropped; None: start an embedded one."""
    connections: int
    callers: int
    orders: int
    seconds: float
    """Length of the act with the parallel queries."""
    seed: int

    @property
    def customers(self) -> int:
        """Customers of the data set: one for every twenty orders."""
        return max(1, self.orders // 20)


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence for its user."""


class LeftBehind(DemoError):
    """The demo's database could not be dropped; the cause is what had ended the demo early, if anything had."""
