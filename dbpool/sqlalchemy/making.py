"""Puts an engine together; importing it imports SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbpool.sqlalchemy.asking import Descriptions
from dbpool.sqlalchemy.checkout import checkout
from dbpool.sqlalchemy.dbapi import Adapter, Module
from dbpool.sqlalchemy.enginedialect import EnginePool

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

    from dbpool.lane import Lane

registry.register("postgresql.dbpool", "dbpool.sqlalchemy.enginedialect", "EngineDialect")


class Creator:
    """What SQLAlchemy's pool calls for each checkout."""

    def __init__(self, lane: Lane, timeout: float | None) -> None:
        self.lane = lane
        self._timeout = timeout
        self._descriptions = Descriptions()
        self.dbapi: Module | None = None  # the dialect's, once there is one

    def __call__(self, connection_record: ConnectionPoolEntry) -> Adapter:  # noqa: ARG002 - SQLAlchemy looks for its name
        assert self.dbapi is not None
        return Adapter(self.dbapi, checkout(self.lane, self._timeout), self._descriptions)


def engine_on(lane: Lane, timeout: float | None, options: dict[str, Any]) -> AsyncEngine:
    """See ``create_engine``."""
    dsn = lane._pool._settings.dsn
    url = URL.create("postgresql+dbpool", dsn.user or None, host=dsn.host or None, database=dsn.database or None)
    creator = Creator(lane, timeout)
    engine = create_async_engine(url, creator=creator, poolclass=EnginePool, **options)
    dbapi = engine.dialect.dbapi
    assert isinstance(dbapi, Module)
    creator.dbapi = dbapi
    return engine
