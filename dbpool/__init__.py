"""A fair, bounded, honest pool of PostgreSQL connections."""

from dbpool.bulk.loading.results import Loaded, Progress, Reject
from dbpool.compat.create import create_pool
from dbpool.compat.pool import AsyncpgPool
from dbpool.core.mailbox import Gap, Notification
from dbpool.core.pacing import Rate
from dbpool.entering import GateLane
from dbpool.errors import (
    AcquireTimeout,
    CommitOutcomeUnknown,
    ConnectionLost,
    CredentialsError,
    DbPoolError,
    EmbeddedError,
    LeasesRemain,
    LineFull,
    LoadFailed,
    MigrationError,
    NestedAcquire,
    Outcome,
    Overloaded,
    PoolClosed,
    PoolDeadlock,
    QueryTimeout,
    RowMappingError,
    ServerUnavailable,
    SettingsError,
    StatementError,
    StoredPart,
    TransactionFailed,
    TransactionRolledBack,
    UsageError,
)
from dbpool.gate import Gate
from dbpool.lane import Lane
from dbpool.listening import Subscription
from dbpool.pool import DatabasePool
from dbpool.report import Caller, LaneUse, Report
from dbpool.settings import Dsn, PoolSettings, Reset
from dbpool.sites import SiteUse
from dbpool.stats import LaneStats, PoolStats
from dbpool.transaction import Transaction

__version__ = "0.1.0"

__all__ = [
    "AcquireTimeout",
    "AsyncpgPool",
    "Caller",
    "CommitOutcomeUnknown",
    "ConnectionLost",
    "CredentialsError",
    "DatabasePool",
    "DbPoolError",
    "Dsn",
    "EmbeddedError",
    "Gap",
    "Gate",
    "GateLane",
    "Lane",
    "LaneStats",
    "LaneUse",
    "LeasesRemain",
    "LineFull",
    "LoadFailed",
    "Loaded",
    "MigrationError",
    "NestedAcquire",
    "Notification",
    "Outcome",
    "Overloaded",
    "PoolClosed",
    "PoolDeadlock",
    "PoolSettings",
    "PoolStats",
    "Progress",
    "QueryTimeout",
    "Rate",
    "Reject",
    "Report",
    "Reset",
    "RowMappingError",
    "ServerUnavailable",
    "SettingsError",
    "SiteUse",
    "StatementError",
    "StoredPart",
    "Subscription",
    "Transaction",
    "TransactionFailed",
    "TransactionRolledBack",
    "UsageError",
    "create_pool",
]
