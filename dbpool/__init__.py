"""A fair, bounded, honest pool of PostgreSQL connections."""

from dbpool.core.mailbox import Gap, Notification
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
from dbpool.listening import Subscription
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
    "Gap",
    "Gate",
    "LineFull",
    "MigrationError",
    "Notification",
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
    "Subscription",
    "Transaction",
    "TransactionFailed",
    "TransactionRolledBack",
    "UsageError",
]
