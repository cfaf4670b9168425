"""``dbpool loadtest init`` and ``clean``."""

from __future__ import annotations

import asyncio
import sys

from dbpool.loadtest.server.connecting import close, lifeline, new_run_id
from dbpool.loadtest.server.tables import ACCOUNTS, SCHEMA, drop_tables, make_tables
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, Stop


async def make(url: str, scale: int, stop: Stop) -> int:
    """Make the tables."""
    session = await lifeline(url, new_run_id())
    try:
        with Shown("accounts") as shown:
            making = asyncio.ensure_future(
                make_tables(
                    session, scale, lambda made: shown.tell(made * ACCOUNTS, scale * ACCOUNTS, f"of scale {scale}")
                )
            )
            stop.cancels(making)
            await making
    finally:
        await close(session)
    sys.stdout.write(f"made {scale * ACCOUNTS:,} accounts in schema {SCHEMA}\n")
    return DONE


async def drop(url: str, stop: Stop) -> int:
    """Drop them."""
    session = await lifeline(url, new_run_id())
    try:
        dropping = asyncio.ensure_future(drop_tables(session))
        stop.cancels(dropping)
        was_there = await dropping
    finally:
        await close(session)
    sys.stdout.write(f"dropped schema {SCHEMA}\n" if was_there else f"there is no schema {SCHEMA}\n")
    return DONE
