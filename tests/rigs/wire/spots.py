"""Every place in a session where something can go wrong, and what can."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from dbpool.testing import Damage, Do, FaultProxy, Message, Way
from dbpool.testing.proxying.faults import Fault


class End(Enum):
    """How a connection ends at a byte."""

    RESET = "RST"
    FINISH = "FIN"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class AtByte:
    """A cut at one byte of one connection."""

    session: int
    way: Way
    byte: int
    end: End

    @property
    def row(self) -> int:
        """Its number in docs/faults.md."""
        return 29 if self.end is End.SILENCE else 28

    def arm(self, proxy: FaultProxy) -> Fault:
        if self.end is End.SILENCE:
            return proxy.stall_at_byte(self.byte, self.way, session=self.session)
        return proxy.cut_at_byte(self.byte, self.way, reset=self.end is End.RESET, session=self.session)

    def __str__(self) -> str:
        return f"{self.end.value} at byte {self.byte} {self.way.value} of connection {self.session}"


# Messages whose loss or repetition no client can tell from what a statement may answer: nothing in the protocol counts
# them. TLS does. A request that arrives twice is done twice, one that is lost is not done.
UNCOUNTED = {
    Way.TO_CLIENT: {"DataRow", "CopyData", "ParameterStatus", "NotificationResponse"},
    Way.TO_SERVER: {"Bind", "Execute", "Query", "CopyData", "Parse"},
}


# A segmentation fault in asyncpg 0.32, which copies -5 bytes out of its buffer: test_crashes.py shows it, in a process
# of its own.
ENDS_THE_PROCESS = {("CopyData", Damage.NEGATIVE)}


@dataclass(frozen=True, slots=True)
class AtMessage:
    """Damage to one message of one connection; *name* is for people."""

    session: int
    way: Way
    nth: int
    damage: Damage
    name: str
    met: list[str] = field(default_factory=list, compare=False, repr=False)
    """What stood there when it happened: not every session has the same in each place."""

    @property
    def is_unseen(self) -> bool:
        return (self.met[-1] if self.met else self.name) in UNCOUNTED[self.way]

    @property
    def row(self) -> int:
        return 30 if self.damage is Damage.TWICE else 29

    def arm(self, proxy: FaultProxy) -> Fault:
        numbers = itertools.count()
        fault = Fault(self.damage)

        def rule(message: Message) -> Do | Damage:
            if (message.session.number, message.way) != (self.session, self.way) or next(numbers) != self.nth:
                return Do.PASS
            if (message.name, self.damage) in ENDS_THE_PROCESS:
                return Do.PASS
            self.met.append(message.name)
            fault.happen(message.session)
            return self.damage

        proxy.rule = rule
        return fault

    def __str__(self) -> str:
        return f"{self.damage.name} for {self.name}, message {self.nth} {self.way.value} of connection {self.session}"


@dataclass(frozen=True, slots=True)
class Sliced:
    """The whole session in pieces of so many bytes."""

    piece: int
    row = 31

    def arm(self, proxy: FaultProxy) -> Fault:
        proxy.slice(self.piece)
        return always()

    def __str__(self) -> str:
        return f"slices of {self.piece} bytes"


@dataclass(frozen=True, slots=True)
class Delayed:
    """Every request to cancel arrives so many seconds late."""

    seconds: float
    row = 54

    def arm(self, proxy: FaultProxy) -> Fault:
        proxy.delay_cancels(self.seconds)
        return always()

    def __str__(self) -> str:
        return f"requests to cancel {self.seconds * 1000:.0f} ms late"


def always() -> Fault:
    """What goes on all the time: it has happened, and there is nothing after it."""
    return Fault(Do.PASS)


Spot = AtByte | AtMessage | Sliced | Delayed
HARMLESS = (Sliced, Delayed)
"""Those that nobody may notice."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A message of a session that nothing disturbed."""

    session: int
    way: Way
    nth: int
    """In its connection and direction, from 0."""
    name: str
    begins: int
    """Its first byte's number, as ``nth``."""
    size: int
    is_decisive: bool
    """Whether it asks for a write, or tells of one."""


class Recorder:
    """A rule that lets all pass, and notes it."""

    def __init__(self) -> None:
        self.passed: list[Passed] = []
        self._next: Counter[tuple[int, Way]] = Counter()
        self._bytes: Counter[tuple[int, Way]] = Counter()

    def __call__(self, message: Message) -> Do:
        where = message.session.number, message.way
        size = len(message.body) + (5 if len(message.kind) == 1 else 4)
        is_decisive = any(word in message.body for word in (b"COMMIT", b"INSERT 0", b"insert into wire"))
        self.passed.append(
            Passed(*where, self._next[where], message.name, self._bytes[where], size, is_decisive=is_decisive)
        )
        self._next[where] += 1
        self._bytes[where] += size
        return Do.PASS


@dataclass(frozen=True, slots=True)
class Recorded:
    """What passed in one session that nothing disturbed."""

    passed: Sequence[Passed]

    @property
    def size(self) -> dict[tuple[int, Way], int]:
        """Bytes by connection and direction."""
        sizes: Counter[tuple[int, Way]] = Counter()
        for each in self.passed:
            sizes[each.session, each.way] += each.size
        return dict(sizes)

    def cuts(self) -> Iterator[AtByte]:
        """At every byte of every connection in both directions, by every end."""
        for (session, way), size in self.size.items():
            for byte, end in itertools.product(range(size + 1), End):
                yield AtByte(session, way, byte, end)

    def damages(self) -> Iterator[AtMessage]:
        """To every message, of every kind."""
        for each, damage in itertools.product(self.passed, Damage):
            if (each.name, damage) not in ENDS_THE_PROCESS:
                yield AtMessage(each.session, each.way, each.nth, damage, each.name)

    def spots(self, seed: int) -> list[Spot]:
        """All there are, in an order that the seed chooses: the first few have some of each kind.

        Of the cuts, those between two messages, and those within one that decides what is stored, come as often as all
        the others.
        """
        order = random.Random(seed)
        edges = {(each.session, each.way, each.begins) for each in self.passed}
        decisive = {
            (each.session, each.way, each.begins + n)
            for each in self.passed
            if each.is_decisive
            for n in range(each.size + 1)
        }
        kinds: dict[object, list[Spot]] = {
            "slices": [Sliced(piece) for piece in range(8, 72)],
            "delays": [Delayed(ms / 1000) for ms in range(1, 61)],
        }
        for damage in self.damages():
            kinds.setdefault(damage.damage, []).append(damage)
        for cut in self.cuts():
            at = cut.session, cut.way, cut.byte
            kinds.setdefault((cut.end, cut.way, at in edges, at in decisive), []).append(cut)
        for kind in kinds.values():
            order.shuffle(kind)
        turns = itertools.zip_longest(*kinds.values())
        return [spot for turn in turns for spot in turn if spot is not None]
