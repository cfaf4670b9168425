"""What happens to a pool, as it happens."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from dbpool.report import Caller

log = logging.getLogger("dbpool")


class Reason(Enum):
    """Why a connection was closed."""

    TOO_OLD = "older than max_lifetime"
    IDLE = "idle for longer than max_idle"
    DRAINED = "drained"
    SURPLUS = "more than the pool may have since it was resized"
    PAUSED = "the pool was paused"
    UNANSWERED = "it did not answer when asked whether it lives"
    LOST = "the server or the network closed it, or its holder did"
    BROKEN = "what happened on it leaves its state unknown"
    OTHER_SERVER = "its server is not, or no longer, of the kind that is wanted"
    CANCELLED = "a statement on it was cancelled through a pooler, which may pass the request on later"
    RESET_FAILED = "its session could not be reset"
    POOL_CLOSED = "the pool was closed"


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """A new connection is ready."""

    took_s: float


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A connection has ended; ``is_gone``: so has its backend, as far as is known."""

    reason: Reason
    is_gone: bool = True


@dataclass(frozen=True, slots=True)
class PoolerFound:
    """What is between the pool and its server was found to be other than before; at first it is taken for nothing.

    ``pooler`` is none, session or transaction, ``route`` all of it in words.
    """

    pooler: str
    route: str
    keeps_prepared: bool
    is_certain: bool


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A connect failed; *failures* of them in a row have. *error* is in words what *cause* is."""

    error: str
    failures: int
    cause: Exception | None = None


@dataclass(frozen=True, slots=True)
class OutageEnded:
    """Connecting works again."""

    failures: int
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A connection was cut off, and its backend may live on: its permit is kept back."""

    zombies: int


@dataclass(frozen=True, slots=True)
class QuarantineEnded:
    """A permit came out of quarantine; ``is_gone``: the backend has ended, else the time for it was over.

    Of a connect that was given up half-way only the latter is told.
    """

    is_gone: bool
    zombies: int


@dataclass(frozen=True, slots=True)
class LeakSuspected:
    """Somebody holds a connection for longer than ``leak_after``; ``holder`` says since where, and where it stands."""

    holder: Caller


@dataclass(frozen=True, slots=True)
class LeakReturned:
    """A suspected one came back after all; ``holder`` says for how long it was held in all."""

    holder: Caller


@dataclass(frozen=True, slots=True)
class LeaseReclaimed:
    """Nobody had an acquired connection any more, and it was not released: the pool took it back."""

    where: str
    lane: str = ""


@dataclass(frozen=True, slots=True)
class DeadlockFound:
    """Everyone who could free a permit waited for one; the newest waiter was told so."""

    message: str


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """A statement took longer than ``slow_query``; it may have failed."""

    sql: str
    """Its text, without parameters."""
    took_s: float
    """From when it had a connection to its end."""
    waited_s: float
    """Before that, for the connection."""
    where: str
    """Where in the program it was asked for."""
    lane: str


@dataclass(frozen=True, slots=True)
class SlowAcquire:
    """A caller waited for a connection for longer than ``slow_acquire``; it may have got none."""

    waited_s: float
    where: str
    lane: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is granted any more."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Permits are granted again."""


@dataclass(frozen=True, slots=True)
class Resized:
    """The bound has changed."""

    before: int
    now: int


@dataclass(frozen=True, slots=True)
class Draining:
    """Every connection open now is to be replaced."""

    connections: int
    spread_over_s: float


@dataclass(frozen=True, slots=True)
class Closing:
    """Newcomers are refused, and those in line were told."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Every connection is closed; *cut_off* held theirs until the time for it was over."""

    cut_off: tuple[Caller, ...]


Event: TypeAlias = (
    ConnectionOpened
    | PoolerFound
    | ConnectionClosed
    | ConnectFailed
    | OutageEnded
    | Quarantined
    | QuarantineEnded
    | LeakSuspected
    | LeakReturned
    | LeaseReclaimed
    | DeadlockFound
    | SlowQuery
    | SlowAcquire
    | Paused
    | Resumed
    | Resized
    | Draining
    | Closing
    | Closed
)
Listener: TypeAlias = Callable[[Event], object]


class Events:
    """Tells listeners what happens, each event to everyone before the next."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}
        self._untold: deque[Event] = deque()
        self._is_telling = False

    def on(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* with each event from now on, until what this returns is called."""
        key = object()
        self._listeners[key] = listener

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def tell(self, event: Event) -> None:
        """Call every listener; what one of them brings about is told when all have heard this."""
        if not self._listeners:
            return
        self._untold.append(event)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for key, listener in list(self._listeners.items()):
                    if key not in self._listeners:  # another one had it stopped
                        continue
                    try:
                        listener(event)
                    except Exception:  # a listener's fault is no reason to lose a connection
                        log.exception("a listener failed at %r", event)
                    except BaseException as error:  # nor is its wish to end the program, which is granted a turn later
                        asyncio.get_running_loop().call_soon(_raise, error)
        finally:
            self._is_telling = False


def _raise(error: BaseException) -> None:
    raise error
