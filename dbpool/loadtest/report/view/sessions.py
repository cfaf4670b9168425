"""The server's sessions during the run: who holds a connection, and what the active ones wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Kind, Rule, Series, Table, Texture, stacked
from dbpool.loadtest.report.view.moments import TIME, reach_of, stages_of, time_axis
from dbpool.loadtest.report.view.reading import Json, at
from dbpool.loadtest.report.view.thinning import in_groups

NEAR: Final = 3.0  # times the most sessions: a limit further away would flatten the plot
STATES: Final = {
    "active": (Color.MAIN, Texture.PLAIN),
    "idle": (Color.WORK, Texture.FALLING),
    "idle in transaction": (Color.WARM, Texture.RISING),
}
WAITS: Final = {
    "CPU": (Color.WORK, Texture.PLAIN),
    "Lock": (Color.BAD, Texture.RISING),
    "LWLock": (Color.WARM, Texture.FALLING),
    "IO": (Color.MAIN, Texture.DOTTED),
}
OTHER: Final = (Color.ODD, Texture.CROSSED)
OTHERS: Final = "sessions of others"


def connections(document: Json) -> Figure | None:
    """Connections over time, with the server's limits."""
    samples = _thin([sample for sample in document.get("samples") or [] if sample.get("ours") is not None])
    if len(samples) < 2:
        return None
    columns: dict[str, list[float]] = {}
    for state in _names((sample["ours"] for sample in samples), list(STATES)):
        columns[f"ours, {state}"] = [sample["ours"].get(state, 0) for sample in samples]
    if any(sample.get("others") for sample in samples):
        columns[OTHERS] = [sum((sample.get("others") or {}).values()) for sample in samples]
    tops = [sum(column[number] for column in columns.values()) for number in range(len(samples))]
    near, far = _limits(document, max(tops))
    looks = [
        (Color.QUIET, Texture.DOTTED) if name == OTHERS else STATES.get(name.removeprefix("ours, "), OTHER)
        for name in columns
    ]
    away = f" Too far above to be drawn: {', '.join(rule.name for rule in far)}." if far else ""
    return Figure(
        key="connections",
        title="Connections on the server",
        says=f"Sessions by state, looked at once a second.{away}",
        x=time_axis(document),
        y=axes.from_zero("sessions", [*tops, *(rule.at for rule in near)]),
        xs=[sample["t"] for sample in samples],
        series=_areas(columns, looks),
        rules=near,
        spans=stages_of(document),
        follows=TIME,
        reach=reach_of([sample["t"] for sample in samples]),
        table=_table("Connections on the server", samples, columns),
    )


def _limits(document: Json, most: float) -> tuple[list[Rule], list[Rule]]:
    """Lines that can be drawn, and those too far above."""
    limits = document.get("limits") or {}
    most_of_all = limits.get("max_connections")
    kept = (limits.get("superuser_reserved") or 0) + (limits.get("reserved") or 0)
    rules = []
    if most_of_all is not None:
        rules.append(Rule(most_of_all, f"max_connections: {most_of_all}"))
        if kept:
            rules.append(Rule(most_of_all - kept, f"not reserved: {most_of_all - kept}"))
    usable = limits.get("usable")
    if usable is not None and usable not in {rule.at for rule in rules}:
        rules.append(Rule(usable, f"usable: {usable}"))
    elif usable is not None:
        rules = [Rule(each.at, f"usable: {usable}") if each.at == usable else each for each in rules]
    near = [rule for rule in rules if rule.at <= most * NEAR]
    return near, [rule for rule in rules if rule not in near]


def waits(document: Json) -> Figure | None:
    """Active sessions by what they wait for; one that waits for nothing computes."""
    samples = _thin([sample for sample in document.get("samples") or [] if sample.get("waits") is not None])
    names = _names((sample["waits"] for sample in samples), list(WAITS))
    if len(samples) < 2 or not names:
        return None
    columns = {name: [float(sample["waits"].get(name, 0)) for sample in samples] for name in names}
    tops = [sum(column[number] for column in columns.values()) for number in range(len(samples))]
    cores = at(document, "target", "cores")
    return Figure(
        key="waits",
        title="Active sessions by what they wait for",
        says="Sessions on CPU above the line of the processors stand in line for one.",
        x=time_axis(document),
        y=axes.from_zero("active sessions", [*tops, cores]),
        xs=[sample["t"] for sample in samples],
        series=_areas(columns, [WAITS.get(name, OTHER) for name in columns]),
        rules=[Rule(cores, f"processors: {cores}")] if cores else [],
        spans=stages_of(document),
        follows=TIME,
        reach=reach_of([sample["t"] for sample in samples]),
        table=_table("Active sessions by what they wait for", samples, columns),
    )


def wait_events(document: Json) -> Table | None:
    """What was waited for most, in each stage."""
    stages = {point["id"]: point["stage"] for point in document.get("points") or []}
    seen: dict[str, Counter[str]] = {}
    looks: Counter[str] = Counter()
    for sample in document.get("samples") or []:
        stage = stages.get(sample.get("point"), "between points")
        if sample.get("wait_events") is not None:
            looks[stage] += 1
            seen.setdefault(stage, Counter()).update(sample["wait_events"])
    rows = [
        [stage, event, numbers.figure(many / looks[stage])]
        for stage, events in seen.items()
        for event, many in events.most_common(3)
        if many
    ]
    return Table("Top waits by stage", ["stage", "wait", "sessions, mean"], rows) if rows else None


def statements(document: Json) -> Table | None:
    """Which statements took the server's time, in each stage."""
    rows = [
        [
            line.get("stage") or "",
            line.get("query") or "",
            numbers.count(line.get("calls")),
            numbers.figure((line.get("total_ms") or 0) / line["calls"]) if line.get("calls") else numbers.UNKNOWN,
            numbers.seconds((line.get("total_ms") or 0) / 1000),
        ]
        for line in document.get("statements") or []
    ]
    return Table("Statements by stage", ["stage", "statement", "calls", "ms each", "in all"], rows) if rows else None


def _names(dicts: Iterable[Json], known: Sequence[str]) -> list[str]:
    """Keys with anything at all, the *known* ones first."""
    seen = {name for each in dicts for name, many in each.items() if many}
    return [*(name for name in known if name in seen), *sorted(seen.difference(known))]


def _areas(columns: dict[str, list[float]], looks: Sequence[tuple[Color, Texture]]) -> list[Series]:
    bases = stacked(list(columns), list(columns.values()))
    return [
        Series(name=name, values=column, base=base, kind=Kind.AREA, color=color, texture=texture)
        for (name, column), base, (color, texture) in zip(columns.items(), bases, looks, strict=True)
    ]


def _thin(samples: Sequence[Json]) -> list[Json]:
    return in_groups(samples, lambda some: some[0])


def _table(caption: str, samples: Sequence[Json], columns: dict[str, list[float]]) -> Table:
    rows = [
        [numbers.clock(sample["t"]), *(numbers.count(column[number]) for column in columns.values())]
        for number, sample in enumerate(samples)
    ]
    return Table(caption, ["time", *columns], rows)
