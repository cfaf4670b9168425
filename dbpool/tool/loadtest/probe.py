"""``dbpool loadtest probe``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.limitsjson import limits_json
from dbpool.loadtest.server.opening import Found, open_to_limit
from dbpool.loadtest.server.safety import Refused, check_alone
from dbpool.tool.loadtest.where import refused, server
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, FAILED, INTERRUPTED, Stop


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """The options of the command."""

    url: str | None
    to_limit: bool
    max_connections: int | None
    force: bool
    as_json: bool


async def run(plan: ProbePlan, stop: Stop) -> int:
    """Look, perhaps open connections; print; return the exit code."""
    async with server(plan.url) as where:
        found: Found | None = None
        if plan.to_limit:
            try:
                check_alone(where.limits, "--to-limit leaves no connection to others", is_forced=plan.force)
            except Refused as error:
                return refused("probe", error)
            with Shown("connections") as shown:
                found = await open_to_limit(
                    where.dsn,
                    where.run_id,
                    where.lifeline,
                    where.limits,
                    most=None if plan.max_connections is None else plan.max_connections - 1,  # less the lifeline
                    on_opened=lambda number: shown.tell(number, where.limits.usable, "open"),
                    is_stopped=lambda: stop.is_asked,
                )
        if plan.as_json:
            sys.stdout.write(json.dumps(limits_json(where.limits, found)) + "\n")
        else:
            _print(where.limits, found)
    if found is not None and not found.is_clean:
        sys.stderr.write("dbpool loadtest probe: some of its sessions had not left after 5 s\n")
        return FAILED
    return INTERRUPTED if stop.is_asked else DONE


def _print(limits: Limits, found: Found | None) -> None:
    kind = "superuser" if limits.is_superuser else "ordinary role"
    rows = [
        ("server", f"PostgreSQL {limits.version}"),
        ("role", f"{limits.role} ({kind})"),
        ("max_connections", f"{limits.max_connections:,}"),
        ("reserved for superusers", f"{limits.superuser_reserved:,}"),
        ("reserved for roles", f"{limits.reserved:,}"),
        ("limit of the role", "none" if limits.role_limit is None else f"{limits.role_limit:,}"),
        ("limit of the database", "none" if limits.database_limit is None else f"{limits.database_limit:,}"),
        ("usable by this role", f"{limits.usable:,}"),
        ("held by others now", f"{limits.others:,}"),
        ("a load test may take", f"{limits.cap:,}"),
    ]
    if found is not None:
        rows += _found_rows(found)
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    Console().print(table)


def _found_rows(found: Found) -> list[tuple[str, str]]:
    rows = [
        ("open at the same time", f"{found.reached:,}"),
        ("then", found.words + (f" [{found.label}]" if found.label else "")),
    ]
    if found.connect_ms:
        rows.append(("connecting took", f"{median(found.connect_ms):.1f} ms (median), {max(found.connect_ms):.1f} ms"))
    if found.slot_reuse_ms is not None:
        rows.append(("a slot is free again after", f"{found.slot_reuse_ms:.1f} ms"))
    if found.memory_mb is not None:
        rows.append(("a backend has to itself", f"{found.memory_mb:.1f} MB"))
    if found.lifeline_ms:
        rows.append(("a query meanwhile took", f"up to {max(found.lifeline_ms):.1f} ms"))
    rows.append(("sessions left behind", "none" if found.is_clean else "some: look in pg_stat_activity"))
    return rows
