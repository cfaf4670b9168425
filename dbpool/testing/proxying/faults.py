"""The faults that a proxy has been told to make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dbpool.testing.proxying.messages import Do, Message, Way
from dbpool.testing.proxying.session import Session


@dataclass(slots=True, eq=False)
class Cut:
    """A cut that will happen once; ``await cut.wait()`` until it has."""

    way: Way | None
    reset: bool
    name: str = ""
    says: bytes = b""
    nth: int = 1
    is_behind: bool = False
    at_byte: int | None = None
    session: int | None = None
    """The number of the session that was cut, from 1; None: none was yet."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_happened(self) -> bool:
        return self.session is not None

    async def wait(self, timeout: float = 10.0) -> None:
        """Return once it has happened.

        Raises:
            TimeoutError: it has not in *timeout* seconds.
        """
        async with asyncio.timeout(timeout):
            await self._over.wait()

    def happen(self, session: Session) -> None:
        """Note that it has."""
        self.session = session.number
        self._over.set()

    def meets(self, message: Message) -> bool:
        """Whether *message* is the one; counts those that are like it."""
        if self.at_byte is not None or self.name != message.name or self.way not in (None, message.way):
            return False
        if self.says not in message.body:
            return False
        self.nth -= 1
        return self.nth == 0

    def falls_into(self, session: Session, way: Way, size: int) -> int | None:
        """How many of the next *size* bytes still go on before the cut; None: all do."""
        if self.at_byte is None or self.way is not way:
            return None
        left = self.at_byte - session.bytes_out[way]
        return left if 0 <= left <= size else None


@dataclass(slots=True)
class Pace:
    """How fast a direction lets bytes through."""

    delay_s: float = 0.0
    bytes_per_s: float | None = None


class Faults:
    """All that a proxy was told, until it is told to heal."""

    def __init__(self) -> None:
        self.cuts: list[Cut] = []
        self.paces = {way: Pace() for way in Way}

    def clear(self) -> None:
        self.cuts.clear()
        for way in Way:
            self.paces[way] = Pace()

    def verdict(self, message: Message) -> Do:
        """What the cuts that were asked for make of *message*; one that happens is used up."""
        for each in self.cuts:
            if each.meets(message):
                self._use_up(each, message.session)
                if each.is_behind:
                    return Do.RESET_BEHIND if each.reset else Do.FINISH_BEHIND
                return Do.RESET if each.reset else Do.FINISH
        return Do.PASS

    def cut_within(self, session: Session, way: Way, size: int) -> tuple[int, bool] | None:
        """The bytes of the next *size* that still go on, and whether a reset follows; None: all do."""
        for each in self.cuts:
            left = each.falls_into(session, way, size)
            if left is not None:
                self._use_up(each, session)
                return left, each.reset
        return None

    def _use_up(self, cut: Cut, session: Session) -> None:
        self.cuts.remove(cut)
        cut.happen(session)
