"""A fair, bounded, honest pool of PostgreSQL connections."""

from dbpool.bulk.each import for_each
from dbpool.bulk.exporting.exported import Exported, ExportProgress
from dbpool.bulk.files import CsvRows, NdjsonRows
from dbpool.bulk.guard import BatchPlan
from dbpool.bulk.jobs.joblist import JobInfo, JobReject
from dbpool.bulk.jobs.jobs import Job, JobResult
from dbpool.bulk.loading.results import Loaded, Reject
from dbpool.bulk.loading.results import Progress as LoadProgress
from dbpool.bulk.map import Progress, Row, Rows, Value
from dbpool.bulk.writing.written import Written
from dbpool.compat.create import create_pool
from dbpool.compat.pool import AsyncpgPool
from dbpool.core.batches import Form
from dbpool.core.copyformats import Csv
from dbpool.core.mailbox import Gap, Notification
from dbpool.core.pacing import Rate
from dbpool.entering import GateLane
from dbpool.errors import (
    AcquireTimeout,
    BulkFailed,
    CommitOutcomeUnknown,
    ConnectionLost,
    CredentialsError,
    DbPoolError,
    EmbeddedError,
    ExportFailed,
    JobBusy,
    JobChanged,
    JobError,
    JobTablesMissing,
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
    SourceFailed,
    StatementError,
    StoredPart,
    TransactionFailed,
    TransactionRolledBack,
    UsageError,
    WriteFailed,
    WriteOutcomeUnknown,
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
    "BatchPlan",
    "BulkFailed",
    "Caller",
    "CommitOutcomeUnknown",
    "ConnectionLost",
    "CredentialsError",
    "Csv",
    "CsvRows",
    "DatabasePool",
    "DbPoolError",
    "Dsn",
    "EmbeddedError",
    "ExportFailed",
    "ExportProgress",
    "Exported",
    "Form",
    "Gap",
    "Gate",
    "GateLane",
    "Job",
    "JobBusy",
    "JobChanged",
    "JobError",
    "JobInfo",
    "JobReject",
    "JobResult",
    "JobTablesMissing",
    "Lane",
    "LaneStats",
    "LaneUse",
    "LeasesRemain",
    "LineFull",
    "LoadFailed",
    "LoadProgress",
    "Loaded",
    "MigrationError",
    "NdjsonRows",
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
    "Row",
    "RowMappingError",
    "Rows",
    "ServerUnavailable",
    "SettingsError",
    "SiteUse",
    "SourceFailed",
    "StatementError",
    "StoredPart",
    "Subscription",
    "Transaction",
    "TransactionFailed",
    "TransactionRolledBack",
    "UsageError",
    "Value",
    "WriteFailed",
    "WriteOutcomeUnknown",
    "Written",
    "create_pool",
    "for_each",
]
