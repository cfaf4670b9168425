"""One sentence says whether all is well, the others why not."""

from __future__ import annotations

import dataclasses

import pytest

from dbpool.report import Caller, Report
from dbpool.stats import PoolStats
from dbpool.web.history import History
from dbpool.web.verdict import Level, State, verdict
from tests.web.samples import CALM, HOLDER


def report_of(*holders: Caller) -> Report:
    return Report("pool 'shop'", 5, len(holders), 0, holders, (), (), ())


def said(
    stats: PoolStats = CALM, report: Report | None = None, *, state: State = State.OPEN, deadlocks: int = 0
) -> tuple[Level, str, tuple[str, ...]]:
    history = History(CALM, 1000.0)
    history.take(CALM, 1001.0)
    history.take(stats, 1002.0)
    found = verdict(state, stats, report or report_of(), list(history.samples), deadlocks)
    return found.level, found.sentence, found.reasons


def test_a_calm_pool_is_well() -> None:
    assert said() == (Level.WELL, "All is well: 2 of 5 connections in use.", ())


def test_a_short_wait_is_well() -> None:
    stats = dataclasses.replace(CALM, held=5, idle=0, waiting=3, oldest_wait_s=0.02)
    assert said(stats) == (Level.WELL, "All is well: 3 callers in line, and nobody waits long.", ())


def test_a_wait_that_one_may_notice_is_a_warning() -> None:
    stats = dataclasses.replace(CALM, held=5, idle=0, waiting=1, oldest_wait_s=0.45)
    assert said(stats)[:2] == (
        Level.WARNING,
        "One caller waits for a connection, for 450 ms: 5 of 5 connections held.",
    )


def test_a_long_wait_is_bad_and_names_who_holds_longest() -> None:
    stats = dataclasses.replace(CALM, held=5, idle=0, waiting=1200, oldest_wait_s=3.24)
    level, sentence, reasons = said(stats, report_of(dataclasses.replace(HOLDER, seconds=12)))
    assert level is Level.BAD
    assert sentence == "1,200 callers wait for a connection, the first for 3.2 s: 5 of 5 connections held."
    assert reasons == ("Held longest: 12.0 s by app/orders.py:41 in place (lane 'web').",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"timeouts_total": 1}, "One caller waited in vain in the last minute."),
        ({"timeouts_total": 1500}, "1,500 callers waited in vain in the last minute."),
        ({"refused_total": 7}, "7 callers were refused at once in the last minute."),
        ({"connect_failures_total": 1}, "One connect failed in the last minute."),
        ({"zombies": 2}, "2 connections that were cut off may live on at the server, and keep their places."),
    ],
)
def test_what_went_wrong_in_the_last_minute_is_a_warning(change: dict[str, int], sentence: str) -> None:
    assert said(dataclasses.replace(CALM, **change)) == (Level.WARNING, sentence, ())  # type: ignore[arg-type]


def test_a_transaction_that_is_open_for_long_is_a_warning() -> None:
    assert said(report=report_of(HOLDER, HOLDER)) == (
        Level.WARNING,
        "A transaction has been open for 1 min 15 s by app/orders.py:41 in place (lane 'web').",
        (),
    )
    assert said(report=report_of(dataclasses.replace(HOLDER, in_transaction=False)))[0] is Level.WELL


def test_a_deadlock_is_bad() -> None:
    assert said(deadlocks=1)[:2] == (Level.BAD, "1 deadlock among callers in the last minute: see the events.")


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_what_a_pool_cannot_do_comes_first(state: State) -> None:
    level, sentence, reasons = said(dataclasses.replace(CALM, refused_total=7), state=state)
    assert level is not Level.WELL
    assert sentence.startswith("The ")
    assert reasons[-1] == "7 callers were refused at once in the last minute."


def test_an_outage_tells_its_cause_without_an_address() -> None:
    error = "OSError: cannot reach postgresql://app:canary@db/shop now"
    stats = dataclasses.replace(CALM, last_connect_error=error, connections=0)
    assert said(stats, state=State.UNREACHABLE) == (
        Level.BAD,
        "The server cannot be reached.",
        ("The last connect: OSError: cannot reach URL now.",),
    )
