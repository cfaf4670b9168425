"""A script's statements over asyncpg's interface, which this package's pool has too."""

from __future__ import annotations

from typing import Any

from dbpool.loadtest.scripts.binding import Bind, make_bind
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows


class Statements:
    """Sends them by one protocol.

    PREPARED leaves it to the connection to keep prepared statements, EXTENDED has none kept; the types of parameters
    are asked for once for all connections.
    """

    def __init__(self, mode: QueryMode) -> None:
        self._mode = mode
        self._binds: dict[str, Bind] = {}

    @property
    def cache_size(self) -> int:
        """What ``statement_cache_size`` must be."""
        return 1024 if self._mode is QueryMode.PREPARED else 0

    async def ask(self, connection: Any, query: Query) -> Rows | None:  # noqa: ANN401 - of either library
        """Send *query* on *connection*."""
        if self._mode is QueryMode.SIMPLE and not query.command.capture:
            await connection.execute(query.sql)
            return None
        if not query.parameters:
            rows: Rows = await connection.fetch(query.sql)
            return rows
        bind = self._binds.get(query.sql)
        if bind is None:
            prepared = await connection.prepare(query.sql)
            bind = self._binds[query.sql] = make_bind([parameter.name for parameter in prepared.get_parameters()])
        found: Rows = await connection.fetch(query.sql, *bind(query.parameters))
        return found
