"""An engine of SQLAlchemy's whose connections come from the pool."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dbpool.compat.pool import AsyncpgPool
from dbpool.errors import SettingsError, UsageError
from dbpool.lane import Lane
from dbpool.settings import positive_seconds

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_INSTALL = "pip install 'dbpool[sqlalchemy]'"
REFUSED = {
    "pool_size": "max_connections of the pool is the bound",
    "max_overflow": "max_connections of the pool is the bound",
    "poolclass": "the pool is the pool",
    "pool": "the pool is the pool",
    "creator": "the pool opens the connections",
    "async_creator": "the pool opens the connections",
    "connect_args": "the pool opens the connections: give it server_settings, ssl and the like",
    "pool_pre_ping": "the pool tests a connection that rested",
    "pool_recycle": "max_lifetime of the pool is for that",
    "pool_use_lifo": "the pool hands out what rested least",
    "module": "the pool has a driver",
}
"""Options of SQLAlchemy's that an engine on a pool cannot have, and why."""


def create_engine(db: Lane, *, pool_timeout: float | None = None, **options: Any) -> AsyncEngine:
    """An ``AsyncEngine`` whose connections are leases of *db*, counted in its bound.

    Args:
        db: a pool, or a lane of one; it may be opened later, and is closed by whoever opened it: ``dispose`` does not.
        pool_timeout: seconds to wait for a connection; None: the pool's ``acquire_timeout``.
        options: as of ``sqlalchemy.ext.asyncio.create_async_engine``: ``echo``, ``isolation_level``,
            ``json_serializer``, ``execution_options`` and the like; none about connecting or pooling.
    Raises:
        UsageError: *db* is no pool, or one of ``create_pool``'s.
        SettingsError: an option that is the pool's affair.
        ImportError: SQLAlchemy 2.1 or greenlet is not there.
    """
    if not isinstance(db, Lane):
        raise UsageError(f"create_engine takes a DatabasePool or a lane of one, not {type(db).__name__}")
    if isinstance(db._pool, AsyncpgPool):
        raise UsageError(
            "create_engine takes no pool of create_pool's, whose connections are asyncpg's own and nobody else's: make "
            "a DatabasePool"
        )
    for name, reason in REFUSED.items():
        if name in options:
            raise SettingsError(f"create_engine takes no {name}: {reason}")
    if pool_timeout is not None:
        positive_seconds(pool_timeout, "pool_timeout")
    if db._pool._leases.gate.is_closed:
        db._pool._check_usable(db._line)
    _check_installed()
    from dbpool.sqlalchemy.making import engine_on

    return engine_on(db, pool_timeout, options)


def _check_installed() -> None:
    if find_spec("sqlalchemy") is None or find_spec("greenlet") is None:  # the latter is missed at the first await only
        raise ImportError(f"create_engine needs SQLAlchemy and greenlet: {_INSTALL}")
    import sqlalchemy

    version = tuple(map(int, re.findall(r"\d+", sqlalchemy.__version__)[:2]))
    if version < (2, 1):
        raise ImportError(f"create_engine needs SQLAlchemy 2.1, and {sqlalchemy.__version__} is installed: {_INSTALL}")
