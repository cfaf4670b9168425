"""The faults that a proxy has been told to make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dbpool.errors import UsageError
from dbpool.testing.proxying.damage import Damage
from dbpool.testing.proxying.messages import CANCEL, Do, Message, Way
from dbpool.testing.proxying.session import Session, Standing


@dataclass(slots=True, eq=False)
class Fault:
    """Something that will happen once; ``await fault.wait()`` until it has."""

    does: Do | Damage
    way: Way | None = None
    name: str = ""
    says: bytes = b""
    nth: int = 1
    standing: Standing | None = None
    within: int | None = None
    """The number of the only session that it may happen to; None: any."""
    at_byte: int | None = None
    losing: int = 0
    """So many bytes from *at_byte* on do not arrive."""
    session: int | None = None
    """The number of the session that it happened to, from 1; None: it has not happened yet."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Refuse what would never happen."""
        for name, given, kinds in (
            ("by", self.does, (Damage, Do)),
            ("way", self.way, (Way,)),
            ("standing", self.standing, (Standing,)),
        ):
            if not (given is None or isinstance(given, kinds)):
                of = ", ".join(map(str, kinds[0]))
                raise UsageError(f"{name} must be one of {of}, not {given!r}")

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
        if self.standing not in (None, message.session.standing) or self.within not in (None, message.session.number):
            return False
        if self.says not in message.body:
            return False
        self.nth -= 1
        return self.nth == 0

    def falls_into(self, session: Session, way: Way, size: int) -> int | None:
        """How many of the next *size* bytes still go on before it; None: all do."""
        if self.at_byte is None or self.way is not way or self.within not in (None, session.number):
            return None
        left = self.at_byte - session.bytes_out[way]
        return left if 0 <= left <= size else None


@dataclass(slots=True)
class Pace:
    """How fast, and in how large pieces, a direction lets bytes through."""

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    piece: int | None = None


class Faults:
    """All that a proxy was told, until it is told to heal."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.paces = {way: Pace() for way in Way}
        self.cancel_delay_s = 0.0

    def clear(self) -> None:
        self.planned.clear()
        self.cancel_delay_s = 0.0
        for way in Way:
            self.paces[way] = Pace()

    def verdict(self, message: Message) -> Do | Damage:
        """What is to become of *message*; what happens is used up."""
        for each in self.planned:
            if each.meets(message):
                self._use_up(each, message.session)
                return each.does
        return Do.PASS

    def falling_into(self, session: Session, way: Way, size: int) -> tuple[Fault, int] | None:
        """What happens within the next *size* bytes, and how many of them are before it; None: nothing does."""
        for each in self.planned:
            left = each.falls_into(session, way, size)
            if left is not None:
                if not each.losing:
                    self._use_up(each, session)
                return each, left
        return None

    def lose(self, fault: Fault, session: Session, count: int) -> None:
        """Note that *count* of the bytes that *fault* is to lose are lost."""
        fault.losing -= count
        if not fault.losing:
            self._use_up(fault, session)

    def delay_s(self, message: Message) -> float:
        """How much later than it came *message* goes on."""
        return self.paces[message.way].delay_s + (self.cancel_delay_s if message.kind == CANCEL else 0.0)

    def _use_up(self, fault: Fault, session: Session) -> None:
        self.planned.remove(fault)
        fault.happen(session)
