"""The first thing to be read: what to use, how sure that is, what happens beyond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbpool.loadtest.report.view import numbers
from dbpool.loadtest.report.view.figure import Beside, Code, Notes, Part, Table, Verdict
from dbpool.loadtest.report.view.reading import Json, at, points_of

STATUS: Final = {
    "BOUNDED": "it lies within what was measured",
    "LOWER_BOUND": "it may be larger: too little was measured beyond it",
    "UNRESOLVED": "the measurements do not agree",
    "GENERATOR_BOUND": "the load generator was at its limit first",
    "DRIFTING": "the server became faster or slower meanwhile",
}
STOPPED: Final = {
    "running": "The run is going on: what stands here may still change.",
    "interrupted": "The run was interrupted: it has what was measured until then.",
    "failed": "The run failed: it has what was measured until then.",
}


def at_a_glance(document: Json) -> list[Part]:
    """Enough to decide by; only what has a value."""
    parts: list[Part] = []
    if (verdict := _verdict(document)) is not None:
        parts.append(verdict)
    if (stopped := STOPPED.get(at(document, "run", "status") or "")) is not None:
        parts.append(Notes("Not complete", [stopped]))
    code = at(document, "recommendation", "code")
    beside: list[Table | Code] = [Code(code, "The pool, ready to paste")] if code else []
    if (thresholds := _thresholds(document)) is not None:
        beside.append(thresholds)
    rows = list(_rows(document))
    if rows or beside:
        table = Table("At a glance", ["what", "found"], rows, is_text=True, is_open=True)
        parts.append(Beside([table] if rows else [], beside))
    warnings = [each.get("text") or each.get("code") or "" for each in document.get("warnings") or []]
    if warnings:
        parts.append(Notes("Warnings", warnings))
    return parts


def _verdict(document: Json) -> Verdict | None:
    found = document.get("recommendation")
    if not found:
        return None
    reasons = [reason[:1].upper() + reason[1:] for reason in found.get("reasons") or []]
    says = " ".join(f"{reason}." for reason in reasons)
    if found.get("pool_size") is None:
        return Verdict("No recommendation", "", [], says)
    instances = at(document, "settings", "instances") or 1
    marks = [f"grade {found['grade']}"] if found.get("grade") else []
    if found.get("low") is not None:
        marks.append(f"range {numbers.span(found['low'], found.get('high'))}")
    if instances > 1:
        marks.append(f"{numbers.count(found.get('per_instance'))} in each of {instances} instances")
    return Verdict(numbers.count(found["pool_size"]), "connections", marks, says)


def _rows(document: Json) -> Iterator[tuple[str, str]]:
    yield from _recommended(document)
    yield from _slots(document)
    yield from _pushed(document)
    yield from _alone(document)
    judged = document.get("thresholds") or []
    if missed := sum(not each.get("ok") for each in judged):
        yield "Thresholds", f"{missed} of {len(judged)} missed"
    elif judged:
        yield "Thresholds", f"all {len(judged)} met"


def _recommended(document: Json) -> Iterator[tuple[str, str]]:
    found, knee = document.get("recommendation") or {}, document.get("knee") or {}
    if found.get("pool_size") is not None:
        span = f" (range {numbers.span(found['low'], found.get('high'))})" if found.get("low") is not None else ""
        yield "Recommended pool size", f"{numbers.count(found['pool_size'])}{span}, grade {found.get('grade')}"
    if found.get("binding"):
        yield "What binds", found["binding"]
    if expected := found.get("expected"):
        ends = expected.get("tps_ci95")
        between = f" (95 %: {numbers.rate(ends[0])} – {numbers.rate(ends[1])})" if ends else ""
        other = expected.get("size") not in (None, found.get("pool_size"))
        near = f", as measured with {numbers.count(expected['size'])}" if other else ""
        yield "Expected with it", f"{numbers.rate(expected.get('tps'))} tps{between}{_p99s(expected)}{near}"
    if knee.get("size") is not None:
        where = f"{knee['size']} connections, {numbers.rate(knee.get('tps'))} tps; "
        yield "Knee of the throughput", where + STATUS.get(knee.get("status") or "", "")
    elif knee:
        yield "Knee of the throughput", f"not found: {knee.get('why')}"
    if knee.get("peak_tps") is not None:
        yield "Peak of the throughput", f"{numbers.rate(knee['peak_tps'])} tps, the mean of all sizes that may be it"
    if found.get("rule_of_thumb") is not None:
        yield "Rule of thumb, for contrast", f"{found['rule_of_thumb']} (2 × processors + disks)"


def _p99s(expected: Json) -> str:
    told = [
        f", {name} p99 {numbers.figure(expected[key])} ms"
        for key, name in (("response_p99_ms", "response"), ("service_p99_ms", "service"))
        if expected.get(key) is not None
    ]
    return "".join(told)


def _slots(document: Json) -> Iterator[tuple[str, str]]:
    limits = document.get("limits") or {}
    if limits.get("usable") is not None:
        held = f", {numbers.count(limits.get('others'))} of them held by others" if limits.get("others") else ""
        yield "Usable connections", f"{numbers.count(limits['usable'])} of {limits.get('max_connections')}{held}"
    if probe := limits.get("probe"):
        why = (probe.get("refusal_class") or "").replace("_", " ")
        reached = f"refused after {probe.get('reached')}: {why}" if why else f"none up to {probe.get('reached')}"
        yield "Limit, found by opening", reached


def _pushed(document: Json) -> Iterator[tuple[str, str]]:
    steps = at(document, "overload", "steps") or []
    peak = at(document, "overload", "peak_tps")
    if steps and steps[-1]["share"] > 1:
        last = steps[-1]
        part = (
            f" ({numbers.percent(last['goodput_tps'] / peak)} of the peak)"
            if peak and last["goodput_tps"] is not None
            else ""
        )
        p99 = last.get("response_p99_ms")
        told = f"; response p99 {numbers.figure(p99)} ms" if p99 is not None else ""
        yield (
            f"At {numbers.percent(last['share'])} load",
            f"{numbers.rate(last['goodput_tps'])} a second in time{part}{told}",
        )
    if (recovery := at(document, "overload", "recovery")) is not None:
        took = recovery.get("recovery_s")
        yield "After overload", "did not recover" if took is None else f"recovered after {numbers.seconds(took)}"
    parts = at(document, "storm", "parts") or []
    back = [part["recovery_s"] for part in parts if part.get("recovery_s") is not None]
    ratios = [part["bystander_ratio"] for part in parts if part.get("bystander_ratio") is not None]
    if back:
        yield "After a storm", f"recovered after {numbers.seconds(max(back))}"
    if ratios:
        yield "Bystander during storms", f"at worst {numbers.figure(max(ratios))} times as slow as alone"
    if text := at(document, "soak", "text"):
        yield "Soak", text


def _alone(document: Json) -> Iterator[tuple[str, str]]:
    """Single points, where they are what the run was for."""
    for point in points_of(document, "bench"):
        if (tps := at(point, "tps", "mean")) is not None:
            size = f", pool of {point['pool_size']}" if point.get("pool_size") is not None else ""
            p99 = numbers.percentile(point.get("response_ms"), "p99")
            p99 = p99 if p99 in {numbers.UNKNOWN, numbers.TOO_FEW} else f"{p99} ms"
            yield f"{point.get('driver')} #{point['id']}{size}", f"{numbers.rate(tps)} tps, response p99 {p99}"


def _thresholds(document: Json) -> Table | None:
    rows = [
        [
            "✓ met" if each.get("ok") else "✗ missed",
            each.get("expr") or "",
            numbers.plain(each["value"]) if each.get("value") is not None else "not measured",
        ]
        for each in document.get("thresholds") or []
    ]
    return Table("Thresholds", ["verdict", "threshold", "value"], rows, is_text=True, is_open=True) if rows else None
