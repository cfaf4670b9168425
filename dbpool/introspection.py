"""What one connection of a pool has asked of the server's types, known to all of them.

asyncpg asks, on each connection, for every type that is not built in, and for most arrays: 10 ms for the first batch
on each, 64 ms when ten of them ask at once. What the answer says is the same for all connections to a database.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, TypeAlias

import asyncpg

Answer: TypeAlias = Any  # rows that the driver's type registry reads, and the statement that gave them

# The driver looks at its name alone: one that has a name leaves no unnamed statement of a caller's overwritten.
_NOTHING_RUN = SimpleNamespace(name="shared")

_ASKS: Any = getattr(asyncpg.Connection, "_introspect_types", None)
IS_KNOWN = _ASKS is not None and list(inspect.signature(_ASKS).parameters) == ["self", "typeoids", "timeout"]
"""Whether this release of the driver asks in the way that is known here; else each connection asks by itself."""


class SharedTypes:
    """The answers so far, by the types that were asked for."""

    def __init__(self) -> None:
        self._answers: dict[frozenset[int], Answer] = {}

    def get(self, oids: frozenset[int]) -> Answer | None:
        return self._answers.get(oids)

    def keep(self, oids: frozenset[int], rows: Answer) -> None:
        self._answers[oids] = rows

    def forget(self) -> None:
        """Types have changed."""
        self._answers.clear()


class SharingConnection(asyncpg.Connection):
    """An asyncpg connection that asks for types only what no other has asked."""

    __slots__ = ("types",)

    types: SharedTypes | None  # of its pool

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.types = None

    async def _introspect_types(self, typeoids: Any, timeout: float | None) -> Answer:
        ask: Any = super()
        if self.types is None or not IS_KNOWN:
            return await ask._introspect_types(typeoids, timeout)
        oids = frozenset(typeoids)
        rows = self.types.get(oids)
        if rows is not None:
            return rows, _NOTHING_RUN
        rows, statement = await ask._introspect_types(typeoids, timeout)
        self.types.keep(oids, rows)
        return rows, statement

    def _drop_local_type_cache(self) -> None:
        if self.types is not None:
            self.types.forget()
        super()._drop_local_type_cache()  # type: ignore[misc]
