"""Every public coroutine there is, found by looking."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType

import dbpool
from dbpool.acquiring import Acquiring
from dbpool.compat.lane import AsyncpgLane
from dbpool.loan import Loan
from dbpool.streaming import Rows, StreamedRows
from dbpool.transacting import Transacting

# Base classes first: what a class has of an earlier one is not listed again.
CLASSES: tuple[type, ...] = (
    dbpool.DatabasePool, dbpool.Lane, dbpool.Transaction, Transacting, Acquiring, Loan, StreamedRows, Rows,
    dbpool.Subscription, dbpool.Job, dbpool.GateLane, dbpool.Gate, dbpool.AsyncpgPool, AsyncpgLane,
)  # fmt: skip
FUNCTIONS: tuple[Callable[..., object], ...] = (dbpool.for_each, dbpool.create_pool)
_SPECIAL = {"__aenter__", "__aexit__", "__await__", "__anext__"}
_AWAITABLE = (
    "Coroutine", "Awaitable", "AsyncIterator", "Acquiring", "Transacting", "StreamedRows", "Rows[", "Subscription",
    "Job", "Transaction", "Stay", "AsyncpgPool",
)  # fmt: skip

EXCUSED = {
    "DatabasePool.__await__": "open() itself",
    "DatabasePool.lsn": "a fetchval(): swept there; what it gives: tests/availability/test_replicas.py",
    "Job.run_on": "needs a Dask cluster, whose workers are processes of their own: tests/bulk/test_jobs_cluster.py",
    "Loan.add_listener": "a LISTEN by execute(): swept there; what it hears: tests/postgres/test_leases.py",
    "Loan.remove_listener": "an UNLISTEN by execute()",
    "Loan.set_type_codec": "asyncpg's, a query by fetch(); the connection is closed behind it",
    "Loan.set_builtin_type_codec": "as set_type_codec",
    "Loan.reset_type_codec": "as set_type_codec",
    "Loan.reload_schema_state": "clears a cache of the client's: it never waits",
    "Rows.aclose": "swept as StreamedRows.aclose, which calls it",
    "AsyncpgPool.__await__": "open() itself",
}
"""Those that are not swept, and why."""


def public_coroutines() -> dict[str, Callable[..., object]]:
    """By name as ``DatabasePool.fetch``: what can be awaited, or gives what can be."""
    found = {each.__name__: each for each in FUNCTIONS}
    seen: set[object] = set()
    for cls in CLASSES:  # a function that has two names, or two classes, is listed once
        for function in _methods(cls):
            if function not in seen and is_awaited(function):
                seen.add(function)
                found[f"{cls.__name__}.{function.__name__}"] = function
    return found


def is_awaited(function: Callable[..., object]) -> bool:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    if function.__name__ == "__await__":
        return True
    returns = str(inspect.signature(function).return_annotation)
    return returns.startswith(_AWAITABLE)


def code_of(function: Callable[..., object]) -> CodeType:
    """What runs when it is called."""
    return inspect.unwrap(function).__code__  # type: ignore[no-any-return] # none of them is built in


def _methods(cls: type) -> Iterator[Callable[..., object]]:
    for name in dir(cls):
        if name.startswith("_") and name not in _SPECIAL:
            continue
        member = inspect.getattr_static(cls, name)
        function = getattr(member, "__func__", member)
        if inspect.isfunction(function):
            yield function
