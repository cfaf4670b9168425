"""An answer that the driver cannot read ends the connection here, and says nothing of its backend."""

from __future__ import annotations

import pytest

from dbpool import AcquireTimeout
from dbpool.events import ConnectFailed, QuarantineEnded
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, role_in
from tests.support.proxy import Way, proxy_before

pytestmark = pytest.mark.every_loop

# The end of an answer to nothing, and a length that is less than its own four bytes.
UNREADABLE = [b"Z\0\0\0\5I", b"Z\0\0\0\1"]


@pytest.mark.parametrize("answer", UNREADABLE, ids=["to nothing", "shorter than nothing"])
async def test_the_backend_of_a_connection_that_the_driver_gave_up_is_waited_for(
    database: Database, answer: bytes
) -> None:
    async with role_in(database, limit=1) as dsn, proxy_before(dsn) as proxy:
        async with pool_of(proxy.dsn(dsn), 1) as db:
            told: list[object] = []
            db.on_event(told.append)
            assert await db.fetchval("select 1") == 1
            session = proxy.sessions[-1]
            session.go_on.clear()  # the server hears nothing of the end of the connection
            session.writers[Way.TO_CLIENT].write(answer)
            await becomes(lambda: db.stats().connections == 0)
            with pytest.raises(AcquireTimeout):
                await db.fetchval("select 2", timeout=0.2)
            assert db.stats().zombies == 1
            session.go_on.set()
            assert await db.fetchval("select 3") == 3
            assert [event for event in told if isinstance(event, ConnectFailed)] == []
            assert QuarantineEnded(is_gone=True, zombies=0) in told
