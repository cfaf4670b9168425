"""Connects, looks, tells."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from dbpool.core.doctor.examining import examine
from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, worst
from dbpool.core.doctor.sizing import Sizing, sizing_of
from dbpool.core.loadtest.budget import Fleet
from dbpool.dsn import Dsn
from dbpool.loadtest.server.connecting import close, lifeline, new_run_id
from dbpool.tool.doctor.reading import read_facts
from dbpool.tool.doctor.showing import show
from dbpool.tool.running import DONE, SOME_FAILED

SCHEMA: Final = "dbpool.doctor/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says."""

    url: str
    instances: int
    surge: float
    reserve: int
    timeout: float
    strict: bool
    as_json: bool


async def run(plan: Plan) -> int:
    """Look; print; return the exit code. Raises: Unreachable: there is no connection."""
    run_id, began = new_run_id(), time.perf_counter()
    session = await lifeline(plan.url, run_id, timeout_s=plan.timeout)
    try:
        facts = await read_facts(plan.url, session, run_id, time.perf_counter() - began)
    finally:
        await close(session)
    sizing = sizing_of(facts.slots, Fleet(plan.instances, plan.surge, plan.reserve))
    findings = examine(facts, sizing)
    if plan.as_json:
        sys.stdout.write(json.dumps(_document(plan, facts, findings, sizing)) + "\n")
    else:
        dsn = Dsn(plan.url)
        show(f"{dsn.database or facts.database} at {dsn.host or 'the default host'}", findings, sizing)
    is_bad = worst(findings) >= (Level.WARNING if plan.strict else Level.PROBLEM)
    return SOME_FAILED if is_bad else DONE


def _document(plan: Plan, facts: Facts, findings: list[Finding], sizing: Sizing | None) -> dict[str, Any]:
    """Its shape stays: names are added, none is taken away."""
    return {
        "schema": SCHEMA,
        "worst": worst(findings).word,
        "server": {
            "version": facts.version,
            "version_number": facts.version_number,
            "database": facts.database,
            "role": facts.role,
            "is_standby": facts.is_standby,
            "is_pooled": facts.is_pooled,
            "tls": facts.transport.tls,
            "round_trip_ms": _rounded(facts.round_trip_ms),
            "connect_ms": _rounded(facts.connect_ms),
            "clock_skew_s": None if facts.clock is None else round(facts.clock.skew_s, 4),
        },
        "findings": [
            {
                "code": finding.code,
                "level": finding.level.word,
                "what": finding.what,
                "why": finding.why or None,
                "fix": finding.fix or None,
            }
            for finding in findings
        ],
        "pool": None
        if sizing is None
        else {
            "instances": plan.instances,
            "surge": plan.surge,
            "reserve": plan.reserve,
            "usable": sizing.slots.usable,
            "free": sizing.slots.free,
            "others": sizing.slots.others,
            "others_of_role": sizing.slots.others_of_role,
            "binding": sizing.binding,
            "max_connections": sizing.best,
            "max_connections_beside_all": sizing.share,
            "arguments": sizing.arguments,
        },
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
