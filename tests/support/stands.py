"""A stand for the stages of a load test, on a server of a test's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jsonschema import Draft202012Validator

from dbpool.loadtest.document import Run
from dbpool.loadtest.events import Event, Events
from dbpool.loadtest.load import DriverName, Load, Workload
from dbpool.loadtest.schema.published import document_schema
from dbpool.loadtest.server.connecting import all_gone, application_name, close, lifeline, new_run_id
from dbpool.loadtest.server.limits import read_limits
from dbpool.loadtest.stages.stand import Stand
from tests.support.loads import SHORT, script


@asynccontextmanager
async def stand_on(
    dsn: str,
    workload: Workload | str = "select 1",
    load: Load = SHORT,
    *,
    driver: DriverName = DriverName.DBPOOL,
    told: list[Event] | None = None,
) -> AsyncIterator[Stand]:
    """A stand with one worker; *told* gets its events. At the end the lifeline is its only session.

    A pooler keeps its own.
    """
    run_id = new_run_id()
    session = await lifeline(dsn, run_id)
    try:
        limits = await read_limits(session)
        workload = script(workload) if isinstance(workload, str) else workload
        run = Run(run_id=run_id, command="run", argv=[], workload=workload, limits=limits, is_embedded=False)
        events = Events()
        if told is not None:
            events.listen(told.append)
        yield Stand(
            dsn=dsn,
            lifeline=session,
            limits=limits,
            driver=driver,
            load=load,
            workers=1,
            run=run,
            events=events,
        )
        assert limits.is_pooled or await all_gone(session, application_name(run_id, ""))
    finally:
        await close(session)


def check_section(name: str, section: object) -> None:
    """Fail unless *section* is as the published schema has it."""
    whole = document_schema()
    schema = {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": f"#/$defs/{name}"}
    Draft202012Validator(schema).validate(json.loads(json.dumps(section)))
