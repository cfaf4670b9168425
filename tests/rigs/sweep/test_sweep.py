"""The sweep in short, and that nothing public is left out of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

import pytest

from tests.rigs.rigserver import RigServer, rig_server
from tests.rigs.sweep.kinds import Kind, rows_of
from tests.rigs.sweep.operations import OPERATIONS
from tests.rigs.sweep.run import Sweep, cases, prepare, run
from tests.rigs.sweep.surface import EXCUSED, code_of, public_coroutines


@pytest.fixture(scope="module")
def server() -> Iterator[RigServer]:
    with rig_server() as server:
        prepare(server)
        yield server


def test_every_public_coroutine_is_swept_or_excused() -> None:
    public = set(public_coroutines())
    swept = set[str]().union(*(each.covers for each in OPERATIONS))
    assert not public - swept - set(EXCUSED), "new: add them to operations.py, or to EXCUSED with the reason"
    assert not (swept | set(EXCUSED)) - public, "gone"
    assert not swept & set(EXCUSED), "excused, and swept all the same"


def test_every_operation_calls_what_it_says_it_covers(server: RigServer) -> None:
    public = public_coroutines()
    sweep = Sweep(server, 0, print)
    for case in cases():
        if (case.kind, case.transport, case.loop) != (Kind.CANCEL, "tcp", "asyncio"):
            continue
        with called() as codes, asyncio.Runner() as runner:
            runner.run(sweep.undisturbed(case))
        missing = {name for name in case.operation.covers if code_of(public[name]) not in codes}
        assert not missing, f"{case.operation.name} does not call them"


@contextmanager
def called() -> Iterator[set[CodeType]]:
    """The code of all functions that are called in the block."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield codes
    finally:
        sys.setprofile(None)


def test_operations_disturbed_anywhere_lose_nothing_and_lie_to_nobody() -> None:
    found = run(4.0, 20261128, print)
    assert found.violations == []
    assert found.done["runs"] >= 10
    assert sum(found.faults.values()) >= 5


def test_what_is_disturbed_behind_tls_loses_nothing_either(server: RigServer) -> None:
    sweep = Sweep(server, 0, print)
    for case in cases():
        if case.operation.name == "reads" and (case.transport, case.loop) == ("tls", "asyncio"):
            with asyncio.Runner() as runner:
                assert runner.run(sweep.sweep(case, time.monotonic() + 60.0))
    assert sweep.found.violations == []
    assert sweep.found.done["cases through tls"] == len(Kind)


@pytest.mark.parametrize(
    ("kind", "stack", "rows"),
    [
        (Kind.CANCEL, ["app.py:1 in main", "dbpool/waiter.py:20 in Waiter.wait"], [1]),
        (Kind.CANCELS, ["app.py:1 in main", "dbpool/transaction.py:120 in Transaction._roll_back"], [10, 12]),
        (Kind.DEADLINE, ["app.py:1 in main", "dbpool/transaction.py:110 in Transaction.commit"], [9, 15]),
        (Kind.CANCEL, ["app.py:1 in main"], [6]),
        (Kind.CANCEL, [], [14]),
        (Kind.RESET, ["dbpool/waiter.py:20 in Waiter.wait"], [28]),
        (Kind.TERMINATE, [], [24]),
    ],
)
def test_a_disturbance_is_counted_by_where_it_met_the_caller(kind: Kind, stack: list[str], rows: list[int]) -> None:
    assert rows_of(kind, stack) == rows
