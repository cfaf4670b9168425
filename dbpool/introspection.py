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

FIRST_OWN_OID = 16384
"""Types below are PostgreSQL's own, and stay as they are (FirstNormalObjectId of access/transam.h)."""


class SharedTypes:
    """The answers so far, by the types that were asked for."""

    def __init__(self) -> None:
        self._answers: dict[frozenset[int], Answer] = {}
        self.age = 0
        """How often they were forgotten."""

    def get(self, oids: frozenset[int]) -> Answer | None:
        return self._answers.get(oids)

    def keep(self, oids: frozenset[int], rows: Answer, age: int) -> None:
        """Keep an answer that was asked for at *age*, unless all was forgotten meanwhile: it may be of before."""
        if age == self.age:
            self._answers[oids] = rows

    def forget(self) -> None:
        """Types have changed."""
        self._answers.clear()
        self.age += 1


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
        oids, age = frozenset(typeoids), self.types.age
        rows = self.types.get(oids)
        if rows is not None:
            return rows, _NOTHING_RUN
        rows, statement = await ask._introspect_types(typeoids, timeout)
        self.types.keep(oids, rows, age)
        return rows, statement

    def _drop_local_type_cache(self) -> None:
        if self.types is not None:
            self.types.forget()
        super()._drop_local_type_cache()  # type: ignore[misc]

    def _drop_global_statement_cache(self) -> None:
        self._drop_of_pool("statement")

    def _drop_global_type_cache(self) -> None:
        self._drop_of_pool("type")

    def _drop_of_pool(self, what: str) -> None:
        """As asyncpg does for a connection whose handle somebody has: here also for one that has none."""
        me: Any = self
        holder = getattr(me, "_holder", None)
        if holder is None:
            getattr(me, f"_drop_local_{what}_cache")()
        else:
            getattr(holder._pool, f"_drop_{what}_cache")()

    def forget_schema(self) -> None:
        """Have every connection of the pool prepare its statements anew, and ask for types anew."""
        me: Any = self
        me._drop_global_type_cache()
        me._drop_global_statement_cache()

    def forget_statement(self, sql: str) -> bool:
        """Have this connection prepare *sql* anew, and ask for its types anew; whether that can change its arguments.

        False, and nothing is forgotten: all that it takes is built in, or scalar.
        """
        me: Any = self
        cache = me._stmt_cache
        entries = [entry for key, entry in cache._entries.items() if key[0] == sql]
        if entries and not any(_takes_own_types(entry._statement) for entry in entries):
            return False
        for entry in entries:
            cache._clear_entry_callback(entry)
            cache._on_entry_expired(entry)
        me._drop_local_type_cache()
        return True


def _takes_own_types(statement: Any) -> bool:
    """Whether a parameter is of a type that ALTER TYPE can give another shape, or is made of one."""
    try:
        parameters = statement._get_parameters()
    except asyncpg.InternalClientError:  # its types were forgotten since
        return True
    return any(each.oid >= FIRST_OWN_OID and each.kind != "scalar" for each in parameters)
