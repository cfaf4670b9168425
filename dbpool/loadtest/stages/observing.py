"""Which statements took the server's time in a stage, where pg_stat_statements tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbpool.loadtest.samplejson import statements_json
from dbpool.loadtest.server.connecting import CONNECT_ERRORS
from dbpool.loadtest.server.statements import StatementUses, most_used, read_statements
from dbpool.loadtest.stages.stand import Stand


@asynccontextmanager
async def stage_statements(stand: Stand, stage: str) -> AsyncIterator[None]:
    """Put what the block made the server do into the document's ``statements``; nothing where it cannot be seen."""
    before = await _read(stand)
    yield
    used = most_used(before, await _read(stand))
    if used is not None:
        stand.run.statements = [*(stand.run.statements or []), *statements_json(stage, used)]


async def _read(stand: Stand) -> StatementUses | None:
    try:
        return await read_statements(stand.lifeline)
    except CONNECT_ERRORS:  # of which the sampler has warned
        return None
