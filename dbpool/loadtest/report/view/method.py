"""How it was measured, and all points in rows: what it takes to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from dbpool.loadtest.report.view import numbers
from dbpool.loadtest.report.view.figure import Part, Table, Words
from dbpool.loadtest.report.view.reading import Json, at, points_of

METHOD = (
    "Response counts from when a transaction was due, or in a closed loop begun, until it is done; service from when "
    "it has a connection. Percentiles come from merged histograms, are never averaged, and are left out where fewer "
    "than 10 values lie above them. Intervals are of 95 %: of throughput from batch means, or between repeats where "
    "there are three. Warm-up and drain do not count. The knee is the smallest size with the share of the most "
    "throughput that was asked for; the Universal Scalability Law only explains, it decides nothing."
)


def how(document: Json) -> list[Part]:
    """Settings, environment, method, events, raw figures."""
    tables = [
        _pairs("Run", _run(document)),
        _pairs("Settings", _settings(document)),
        _pairs("Server settings", ((name, text) for name, text in (at(document, "target", "settings") or {}).items())),
        _scripts(document),
        _events(document),
        _points(document),
        _counts(document),
    ]
    return [Words(METHOD), *(table for table in tables if table is not None)]


def _pairs(caption: str, pairs: Iterator[tuple[str, object]]) -> Table | None:
    rows = [[name, _text(value)] for name, value in pairs if value is not None]
    return Table(caption, ["what", "value"], rows, is_text=True, is_open=False) if rows else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _run(document: Json) -> Iterator[tuple[str, object]]:
    run, tool, target = (document.get(name) or {} for name in ("run", "tool", "target"))
    argv = run.get("argv")
    yield "command line", None if argv is None else shlex.join(map(str, argv))
    for name in ("id", "preset", "status", "started", "ended", "seed"):
        yield name, run.get(name)
    for name in ("dbpool", "python", "asyncpg", "platform"):
        yield name, tool.get(name)
    kind = {"postgres": "PostgreSQL", "pgbouncer": "PostgreSQL behind PgBouncer"}.get(target.get("kind") or "")
    yield "server", None if kind is None else f"{kind} {target.get('version') or ''}".rstrip()
    for name in ("local", "embedded", "cores"):
        yield f"server {name}", target.get(name)
    for name, text in (
        ("noop_tps", "generator alone, tps"),
        ("r1_ms", "response of one client, ms"),
        ("x1_tps", "throughput of one client, tps"),
        ("noise_cv", "variation between repeats"),
    ):
        yield text, at(document, "calibration", name)
    yield "exit code", document.get("exit_code")


def _settings(document: Json) -> Iterator[tuple[str, object]]:
    workload = document.get("workload") or {}
    yield "protocol", workload.get("mode")
    yield "scale", workload.get("scale")
    for name, value in (document.get("settings") or {}).items():
        yield name.replace("_", " "), value


def _scripts(document: Json) -> Table | None:
    rows = [
        [each.get("name") or "", _text(each.get("weight")), each.get("sha256") or numbers.UNKNOWN]
        for each in at(document, "workload", "scripts") or []
    ]
    return Table("Scripts", ["script", "weight", "SHA-256"], rows, is_text=True, is_open=False) if rows else None


def _events(document: Json) -> Table | None:
    rows = [
        [numbers.clock(each.get("t")), each.get("kind") or "", each.get("stage") or "", each.get("text") or ""]
        for each in document.get("events") or []
    ]
    return Table("Events", ["time", "kind", "stage", "what"], rows, is_text=True, is_open=False) if rows else None


def _points(document: Json) -> Table | None:
    rows = [
        [
            str(point["id"]),
            point.get("stage") or "",
            point.get("driver") or "",
            point.get("why") or "",
            numbers.count(point.get("pool_size")),
            numbers.count(point.get("clients")),
            numbers.rate(point.get("offered_rate")),
            numbers.rate(at(point, "tps", "mean")),
            *(
                numbers.percentile(point.get(f"{series}_ms"), name)
                for series in ("response", "service")
                for name in ("p50", "p99")
            ),
            numbers.percentile(point.get("gate_wait_ms"), "p99"),
            numbers.figure(at(point, "generator", "cpu"), 2),
            ", ".join(point.get("flags") or []),
        ]
        for point in points_of(document)
    ]
    head = ["point", "stage", "driver", "why", "pool", "clients", "offered /s", "tps", "response p50 ms", "p99 ms"]
    head += ["service p50 ms", "p99 ms", "wait p99 ms", "generator CPU", "flags"]
    return Table("All points", head, rows, is_open=False) if rows else None


def _counts(document: Json) -> Table | None:
    """Of those points where anything went another way than well."""
    bad = ("late", "skipped", "dropped", "timeout")
    rows = [
        [
            str(point["id"]),
            *(numbers.count(at(point, "counts", name)) for name in ("due", "ok", *bad)),
            numbers.tally(at(point, "counts", "errors")),
        ]
        for point in points_of(document)
        if at(point, "counts", "errors") or any(at(point, "counts", name) for name in bad)
    ]
    head = ["point", "due", "ok", "late", "skipped", "dropped", "timed out", "errors"]
    return Table("Transactions that did not go well", head, rows, is_open=False) if rows else None
