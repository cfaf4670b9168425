"""Pools of many instances against one server's limit, and what a long run showed."""

from __future__ import annotations

from dbpool.loadtest.report.view import numbers
from dbpool.loadtest.report.view.figure import Part, Table, Words
from dbpool.loadtest.report.view.reading import Json, at


def budget(document: Json) -> list[Part]:
    """Which pool sizes fit, also while a new version replaces the old."""
    found = document.get("budget")
    if not found:
        return []
    many = (found.get("surge") or 1) > 1
    deploy = f", {numbers.plain(found['surge'])} times as many during a deployment" if many else ""
    usable, others, reserve, instances, share = (
        numbers.count(found.get(name)) for name in ("usable", "others", "reserve", "instances", "share")
    )
    says = (
        f"{usable} connections are usable; {others} are held by others, {reserve} are kept in reserve. "
        f"Instances: {instances}{deploy}. Each may have {share} connections."
    )
    rows = [
        [
            numbers.count(row.get("pool_size")),
            numbers.count(row.get("connections")),
            numbers.count(row.get("at_deploy")),
            "✓ fits" if row.get("fits") else "✗ too many",
        ]
        for row in found.get("rows") or []
    ]
    head = ["pool of each instance", "connections", "during a deployment", "verdict"]
    return [Words(says), *([Table("Connections of the fleet", head, rows)] if rows else [])]


def fleet(document: Json) -> list[Part]:
    """Several processes, each with a pool of its own."""
    steps = at(document, "fleet", "steps") or []
    if not steps:
        return []
    rows = [
        [
            numbers.count(step.get("processes")),
            numbers.count(step.get("per_process")),
            numbers.count(step.get("connections")),
            numbers.rate(step.get("tps")),
            numbers.figure(step.get("response_p99_ms")),
            numbers.figure(step.get("fairness")),
            numbers.tally(step.get("refusals")),
        ]
        for step in steps
    ]
    head = ["processes", "pool of each", "connections", "tps", "response p99 ms", "fairness", "refusals"]
    return [Words("Fairness is 1 when all processes get the same."), Table("Processes together", head, rows)]


def soak(document: Json) -> list[Part]:
    """What grew or fell during a long run."""
    found = document.get("soak")
    if not found:
        return []
    rows = [
        [
            trend.get("name") or "",
            f"{_signed(trend.get('per_hour'))} {trend.get('unit') or ''}",
            f"{_signed(trend.get('low'))} to {_signed(trend.get('high'))}",
            "yes" if trend.get("shown") else "no trend shown",
        ]
        for trend in found.get("trends") or []
    ]
    leaked = found.get("leaked_sessions")
    told = [found.get("text"), None if leaked is None else f"Sessions left over: {numbers.count(leaked)}."]
    parts: list[Part] = [Words(text) for text in told if text]
    if rows:
        parts.append(Table("Trends", ["what", "an hour", "95 %", "is it a trend"], rows))
    return parts


def _signed(value: float | None) -> str:
    return numbers.UNKNOWN if value is None else f"{'+' if value > 0 else ''}{numbers.figure(value)}"
