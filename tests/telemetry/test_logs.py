"""One log record for each change of state, with its numbers as fields, and no secret."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from dbpool import DatabasePool
from dbpool.eventfields import fields_of
from dbpool.events import (
    ConnectFailed,
    ConnectionClosed,
    ConnectionOpened,
    DeadlockFound,
    Event,
    QuarantineEnded,
    Reason,
    SlowQuery,
)
from dbpool.telemetry import log_events
from dbpool.telemetry.logs import level_of, said
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Collecting(logging.Handler):
    """Formats as a JSON formatter does: the fields that no record has by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in vars(record).items() if name not in PLAIN}
        line = {"level": record.levelname, "said": record.getMessage(), **extra}
        self.lines.append(json.loads(json.dumps(line)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    logger, handler = logging.getLogger("dbpool"), Collecting()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.setLevel(before)
    logger.removeHandler(handler)


async def test_a_pools_life_is_told_once_each(database: Database, lines: list[dict[str, object]]) -> None:
    db = DatabasePool(database.dsn, 1, name="shop", slow_query=0.02, slow_acquire=0.02)
    stop = log_events(db)
    async with db:
        async with held(db):
            waiting = asyncio.create_task(db.execute("select pg_sleep(0.05), 's3cret'"))
            await becomes(lambda: db.stats().oldest_wait_s > 0.03)
        await waiting
        db.resize(2)
        db.drain()
        await becomes(lambda: any(line["event"] == "connection_closed" for line in lines))
    told = [(line["event"], line["level"]) for line in lines]
    changes = [each for each in told if each[0] not in ("connection_opened", "connection_closed")]
    assert changes == [
        ("slow_acquire", "WARNING"),
        ("slow_query", "WARNING"),
        ("resized", "INFO"),
        ("draining", "INFO"),
        ("closing", "INFO"),
        ("closed", "INFO"),
    ]
    assert told[0] == ("connection_opened", "DEBUG")
    assert ("connection_closed", "DEBUG") in told
    (slow,) = [line for line in lines if line["event"] == "slow_query"]
    assert (slow["pool"], slow["lane"], slow["sql"]) == ("shop", "", "select pg_sleep(?), ?")
    assert isinstance(slow["took_s"], float)
    assert str(slow["where"]).startswith("telemetry/test_logs.py:")
    assert str(slow["where"]) in str(slow["said"])
    assert "s3cret" not in json.dumps(lines)
    stop()
    count = len(lines)
    DatabasePool(database.dsn)
    assert len(lines) == count


async def test_what_the_pool_logs_by_itself_is_not_said_twice(
    database: Database, lines: list[dict[str, object]]
) -> None:
    async with pool_of(database, 1, leak_after=0.05) as db:
        log_events(db)
        async with held(db):
            await becomes(lambda: any(line.get("event") == "leak_suspected" for line in lines))
        await becomes(lambda: any(line.get("event") == "leak_returned" for line in lines))
        await db.acquire()
        await becomes(lambda: any(line.get("event") == "lease_reclaimed" for line in lines))
    warned = [line["event"] for line in lines if line["level"] == "WARNING" and "event" in line]
    assert warned == ["leak_suspected", "leak_returned", "lease_reclaimed"]
    assert all(isinstance(line["held_s"], float) for line in lines if str(line.get("event")).startswith("leak"))


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        (ConnectionOpened(0.25), logging.DEBUG, "a connection was opened in 0.250 s"),
        (ConnectionClosed(Reason.IDLE), logging.DEBUG, "a connection was closed: idle for longer than max_idle"),
        (ConnectionClosed(Reason.LOST), logging.WARNING, "closed it, or its holder did"),
        (ConnectFailed("OSError: no", 3, OSError("no")), logging.ERROR, "a connect failed, 3 in a row: OSError: no"),
        (QuarantineEnded(is_gone=False, zombies=1), logging.WARNING, "given up; 1 such are left"),
        (DeadlockFound("all wait\n  held SQL: select 's3cret'"), logging.ERROR, "all wait"),
        (SlowQuery("select 's3cret'", 1.0, 0.0, "a.py:1", ""), logging.WARNING, "at a.py:1: select ?"),
    ],
)
def test_an_event_has_its_level_and_its_words(event: Event, level: int, words: str) -> None:
    assert level_of(event) == level
    assert words in said(event)
    fields = fields_of(event, "shop")
    assert "s3cret" not in said(event) + json.dumps(fields)
    assert not set(fields) & PLAIN
