"""A fair, bounded, honest pool of PostgreSQL connections."""

from dbpool.errors import (
    AcquireTimeout,
    CommitOutcomeUnknown,
    ConnectionLost,
    DbPoolError,
    EmbeddedError,
    LineFull,
    MigrationError,
    Outcome,
    PoolClosed,
    QueryTimeout,
    RowMappingError,
    ServerUnavailable,
    SettingsError,
    StatementError,
    TransactionFailed,
    TransactionRolledBack,
    UsageError,
)
from dbpool.gate import Gate
from dbpool.pool import DatabasePool
from dbpool.settings import Dsn, PoolSettings, Reset
from dbpool.stats import PoolStats
from dbpool.transaction import Transaction

__version__ = "0.1.0"

__all__ = [
    "AcquireTimeout",
    "CommitOutcomeUnknown",
    "ConnectionLost",
    "DatabasePool",
    "DbPoolError",
    "Dsn",
    "EmbeddedError",
    "Gate",
    "LineFull",
    "MigrationError",
    "Outcome",
    "PoolClosed",
    "PoolSettings",
    "PoolStats",
    "QueryTimeout",
    "Reset",
    "RowMappingError",
    "ServerUnavailable",
    "SettingsError",
    "StatementError",
    "Transaction",
    "TransactionFailed",
    "TransactionRolledBack",
    "UsageError",
]
