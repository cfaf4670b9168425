"""A fair, bounded, honest pool of PostgreSQL connections."""

from importlib import import_module
from typing import TYPE_CHECKING

from dbpool.core.pacing import Rate
from dbpool.dsn import Dsn
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
    FleetFull,
    InsecureConnection,
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
    ResultUnreadable,
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
from dbpool.pool import DatabasePool
from dbpool.report import Caller, LaneUse, Report
from dbpool.settings import PoolSettings, Reset
from dbpool.sites import SiteUse
from dbpool.transaction import Transaction

if TYPE_CHECKING:
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
    from dbpool.core.identifier import Identifier
    from dbpool.core.mailbox import Gap, Notification
    from dbpool.core.replaying import Lsn
    from dbpool.listening import Subscription
    from dbpool.replicas import Replica, Replicas
    from dbpool.stats import LaneStats, PoolStats

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
    "FleetFull",
    "Form",
    "Gap",
    "Gate",
    "GateLane",
    "Identifier",
    "InsecureConnection",
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
    "Lsn",
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
    "Replica",
    "Replicas",
    "Report",
    "Reset",
    "ResultUnreadable",
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

# Loaded by those only who use it: to import bulk work alone takes longer than all the rest.
_LATER = {
    "PoolStats": ("dbpool.stats", "PoolStats"),
    "LaneStats": ("dbpool.stats", "LaneStats"),
    "Subscription": ("dbpool.listening", "Subscription"),
    "Notification": ("dbpool.core.mailbox", "Notification"),
    "Gap": ("dbpool.core.mailbox", "Gap"),
    "AsyncpgPool": ("dbpool.compat.pool", "AsyncpgPool"),
    "create_pool": ("dbpool.compat.create", "create_pool"),
    "BatchPlan": ("dbpool.bulk.guard", "BatchPlan"),
    "Csv": ("dbpool.core.copyformats", "Csv"),
    "CsvRows": ("dbpool.bulk.files", "CsvRows"),
    "ExportProgress": ("dbpool.bulk.exporting.exported", "ExportProgress"),
    "Exported": ("dbpool.bulk.exporting.exported", "Exported"),
    "Form": ("dbpool.core.batches", "Form"),
    "Identifier": ("dbpool.core.identifier", "Identifier"),
    "Job": ("dbpool.bulk.jobs.jobs", "Job"),
    "JobInfo": ("dbpool.bulk.jobs.joblist", "JobInfo"),
    "JobReject": ("dbpool.bulk.jobs.joblist", "JobReject"),
    "JobResult": ("dbpool.bulk.jobs.jobs", "JobResult"),
    "LoadProgress": ("dbpool.bulk.loading.results", "Progress"),
    "Loaded": ("dbpool.bulk.loading.results", "Loaded"),
    "Lsn": ("dbpool.core.replaying", "Lsn"),
    "NdjsonRows": ("dbpool.bulk.files", "NdjsonRows"),
    "Progress": ("dbpool.bulk.map", "Progress"),
    "Reject": ("dbpool.bulk.loading.results", "Reject"),
    "Replica": ("dbpool.replicas", "Replica"),
    "Replicas": ("dbpool.replicas", "Replicas"),
    "Row": ("dbpool.bulk.map", "Row"),
    "Rows": ("dbpool.bulk.map", "Rows"),
    "Value": ("dbpool.bulk.map", "Value"),
    "Written": ("dbpool.bulk.writing.written", "Written"),
    "for_each": ("dbpool.bulk.each", "for_each"),
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'dbpool' has no attribute {name!r}")
    module, real_name = _LATER[name]
    return getattr(import_module(module), real_name)
