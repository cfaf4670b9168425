"""What a report is called, and of what run it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dbpool.loadtest.report.view import numbers
from dbpool.loadtest.report.view.reading import Json, at


@dataclass(frozen=True, slots=True)
class Heading:
    """*name* stands on the page, *title* in the browser's tab; *status* is running, complete, interrupted, failed."""

    name: str
    title: str
    status: str
    facts: tuple[str, ...]


def heading_of(document: Json) -> Heading:
    """What stands above everything."""
    command = at(document, "run", "command") or "run"
    name = "Load test" if command == "run" else f"Load test: {command}"
    target = _target(document)
    title = " – ".join(part for part in (name, target, _started(document)) if part)
    return Heading(name, title, at(document, "run", "status") or "", tuple(_facts(document)))


def _facts(document: Json) -> Iterator[str]:
    if target := _target(document):
        yield target
    where = at(document, "target", "embedded"), at(document, "target", "local")
    if any(each is not None for each in where):
        yield "embedded server" if where[0] else "on this machine" if where[1] else "on another machine"
    if (cores := at(document, "target", "cores")) is not None:
        yield f"{cores} processors"
    scripts = [each.get("name") or "" for each in at(document, "workload", "scripts") or []]
    if scripts:
        scale = at(document, "workload", "scale")
        yield ", ".join(scripts) + (f", scale {scale}" if scale is not None else "")
    if started := _started(document):
        took = _took(document)
        yield f"{started}, {numbers.clock(took)} min" if took is not None else started
    if run_id := at(document, "run", "id"):
        yield f"run {run_id}"


def _target(document: Json) -> str | None:
    kind = {"postgres": "PostgreSQL", "pgbouncer": "PostgreSQL behind PgBouncer"}.get(
        at(document, "target", "kind") or ""
    )
    version = at(document, "target", "version")
    return None if kind is None else f"{kind} {version}" if version else kind


def _started(document: Json) -> str | None:
    moment = _moment(at(document, "run", "started"))
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".rstrip()


def _took(document: Json) -> float | None:
    started, ended = (_moment(at(document, "run", name)) for name in ("started", "ended"))
    return (ended - started).total_seconds() if started is not None and ended is not None else None


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
