"""What programs read of asyncpg's pool though it is private, as far as it can be true of ours."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dbpool.phase import Phase

if TYPE_CHECKING:
    from dbpool.compat.pool import AsyncpgPool
    from dbpool.gate import Gate

_AS_ASKED_FOR = ["_connect", "_connect_args", "_connect_kwargs", "_connection_class", "_init", "_initsize"]
_AS_ASKED_FOR += ["_max_inactive_connection_lifetime", "_max_queries", "_record_class", "_reset", "_setup"]


class FreePlaces:
    """What asyncpg has in its pool's queue: places of connections that nobody holds, open or not."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def maxsize(self) -> int:
        return self._gate.capacity

    def qsize(self) -> int:
        return max(0, self._gate.capacity - self._gate.held)  # fewer than none, while a smaller pool waits for holders

    def empty(self) -> bool:
        return not self.qsize()

    def full(self) -> bool:
        return not self._gate.held


def _queue(pool: AsyncpgPool) -> FreePlaces | None:
    return FreePlaces(pool._ways.gate) if _initialized(pool) else None


def _initialized(pool: AsyncpgPool) -> bool:
    return pool._phase not in (Phase.NEW, Phase.OPENING)


READ: dict[str, Callable[[AsyncpgPool], Any]] = {
    **{name: attrgetter(f"_recipe.{name}") for name in _AS_ASKED_FOR},
    "_closed": lambda pool: pool._phase is Phase.CLOSED,
    "_generation": attrgetter("_ways.driver.generation"),
    "_initialized": _initialized,
    "_initializing": lambda pool: pool._phase is Phase.OPENING,
    "_maintenance_task": attrgetter("_ways.floor"),
    "_queue": _queue,
}
