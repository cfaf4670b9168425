"""Two things that no server says, by which asyncpg ends the whole process: the one at the log-in never reaches it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.rigs.rigserver import RigServer, rig_server

USES = """
import asyncio, sys
from dbpool import DatabasePool
from dbpool.testing import Damage, Way, proxy_before

async def take(data):
    pass

async def main(dsn, message, damage, nth):
    async with proxy_before(dsn) as proxy:
        proxy.damage(message, Damage[damage], way=Way.TO_CLIENT, nth=int(nth))
        async with DatabasePool(proxy.dsn(), 1, connect_timeout=2, query_timeout=1, outage_patience=0.1) as db:
            async with db.acquire() as connection:
                await connection.copy_from_query("select generate_series(1, 9)", output=take)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RigServer]:
    with rig_server() as server:
        yield server


@pytest.mark.parametrize(
    ("message", "damage", "nth"),
    [
        ("Authentication", "TWICE", 3),  # AuthenticationSASLFinal
        pytest.param(
            *("CopyData", "NEGATIVE", 2),
            marks=pytest.mark.xfail(
                strict=True, reason="asyncpg 0.32; once it passes, it can go from ENDS_THE_PROCESS in spots.py"
            ),
        ),
    ],
)
def test_what_no_server_says_does_not_end_the_process(server: RigServer, message: str, damage: str, nth: int) -> None:
    asked = [sys.executable, "-c", USES, server.dsn, message, damage, str(nth)]
    ended = subprocess.run(asked, capture_output=True, check=False, timeout=30)
    assert ended.returncode != -signal.SIGSEGV
    assert damage != "TWICE" or b"InsecureConnection" in ended.stderr
