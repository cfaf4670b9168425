"""The thirteen goals, and where among what the rigs found each is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.rigs.findings import Findings

OURS, ASYNCPG, PSYCOPG = "dbpool", "asyncpg_pool", "psycopg_pool"
CONTENDERS = (OURS, ASYNCPG, PSYCOPG)
NOT_MEASURED = "–"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that some rig has in ``done`` or ``figures``; the rig "*": all of them together."""

    rig: str
    key: str
    label: str

    def of(self, results: Results) -> str:
        value = results.value(self.rig, self.key)
        if value is None:
            return ""
        shown = f"{value:,}" if isinstance(value, (int, float)) else str(value)
        return f"{shown} {self.label}".strip()


@dataclass(frozen=True, slots=True)
class Goal:
    """One of them. *peers*: what of the ledger with another pool is shown beside ours; *others*: by its own rig."""

    number: str
    what: str
    target: str
    how: str
    ours: tuple[Measure, ...]
    peers: tuple[Measure, ...] = ()
    others: Mapping[str, Measure] = field(default_factory=dict)


class Results:
    """What several runs found, put together by rig."""

    def __init__(self, found: Iterable[Findings]) -> None:
        self.rigs: dict[str, Findings] = {}
        for each in found:
            if each.rig in self.rigs:
                self.rigs[each.rig].merge([each])
            else:
                self.rigs[each.rig] = each

    @property
    def own(self) -> list[Findings]:
        """Of dbpool's own rigs, not of the comparison."""
        return [each for name, each in self.rigs.items() if name not in CONTENDERS]

    def value(self, rig: str, key: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        if rig == "*":
            return sum(each.done[key] for each in self.own) or None
        found = self.rigs.get(rig)
        if found is None:
            return None
        first, _, rest = key.partition(".")
        value = found.figures.get(first, found.done.get(first))
        if not rest:
            return value
        return value.get(rest, 0) if isinstance(value, Mapping) else None

    def violations(self, goal: str) -> int:
        return sum(violation.goal == goal for each in self.own for violation in each.violations)

    def faults(self) -> Counter[int]:
        faults: Counter[int] = Counter()
        for each in self.own:
            faults.update(each.faults)
        return faults


@dataclass(frozen=True, slots=True)
class Row:
    """A goal's row of the table."""

    goal: Goal
    cells: dict[str, str] = field(default_factory=dict)


def row_of(goal: Goal, results: Results) -> Row:
    """Ours begins with the violations, where any are or anything was measured; theirs is of the same hour."""
    measured = [text for measure in goal.ours if (text := measure.of(results))]
    if goal.number == "M12" and (faults := results.faults()):
        often = sum(times >= 1000 for times in faults.values())
        measured.append(f"{sum(faults.values()):,} of {len(faults)} rows, {often} of them 1,000 times or more")
    violations = results.violations(goal.number)
    ours = "; ".join([f"**{violations}** violations", *measured]) if measured or violations else NOT_MEASURED
    cells = {OURS: ours}
    for name in (ASYNCPG, PSYCOPG):
        theirs = [Measure(name, measure.key, measure.label).of(results) for measure in goal.peers]
        if name in goal.others:
            theirs.append(goal.others[name].of(results))
        cells[name] = "; ".join(filter(None, theirs)) or NOT_MEASURED
    return Row(goal, cells)


def _peers(*keys: tuple[str, str]) -> tuple[Measure, ...]:
    return tuple(Measure("", key, label) for key, label in keys)


GOALS = (
    Goal(
        "M1",
        "permits: free, leased, connecting and draining are as many as there are, at every step",
        "0 violations in 200,000 schedules; 2 M in a long run",
        "seeded schedules of the real pool on a virtual clock, looked at after each step",
        (
            Measure("sim", "schedules", "schedules"),
            Measure("sim", "cancellations", "cancellations"),
            Measure("sweep", "runs", "disturbed operations"),
            Measure("wire", "sessions", "sessions cut or spoilt"),
        ),
    ),
    Goal(
        "M2",
        "the server never has more sessions of a pool than `max_connections`",
        "0 refusals in the soak",
        "each writer's role has just that limit: a refusal in the server's log is one too many. Not counted: after "
        "the network broke a connection whose backend lived on",
        (
            Measure("ledger", "refusals", "refusals"),
            Measure("ledger", "refusals_after_cuts", "after broken connections"),
        ),
        _peers(("refusals", "refusals"), ("refusals_after_cuts", "after broken connections")),
    ),
    Goal(
        "M3",
        "what was acknowledged is stored",
        "0 lost of 5 M in an hour",
        "a ledger of each write, compared with the table by psycopg",
        (
            Measure("ledger", "lies.M3", "rows lost"),
            Measure("ledger", "acked_rows", "rows acknowledged"),
            Measure("ledger", "rows_per_s", "a second"),
        ),
        _peers(("lies.M3", "rows lost"), ("acked_rows", "rows acknowledged")),
    ),
    Goal(
        "M4",
        "nothing of a job that is killed and resumed at once is done twice",
        "0 duplicates in 200 kills",
        "jobs are killed at any instant, under the same faults, and their effects counted",
        (
            Measure("ledger", "kills", "kills"),
            Measure("ledger", "duplicates", "duplicates"),
            Measure("ledger", "missing", "missing"),
        ),
    ),
    Goal(
        "M5",
        "every call ends as done, not done or unknown; what is not done is never stored",
        "0 lies; all unknown ones resolved",
        "the same ledger; what `outcome()` says of a transaction beside its rows",
        (
            Measure("ledger", "lies.M5", "rows lied about"),
            Measure("ledger", "unknown_resolved", "unknown transactions resolved"),
            Measure("wire", "bytes_reset_at", "bytes of a session that it was reset at"),
        ),
        _peers(("lies.M5", "rows lied about"), ("unknown_resolved", "unknown transactions resolved")),
    ),
    Goal(
        "M6",
        "every public await ends by its deadline and 100 ms, whatever happens",
        "all",
        "a watch around each await of the writers; what the event loop itself was late is taken off",
        (
            Measure("ledger", "awaits watched", "awaits"),
            Measure("ledger", "late_awaits", "late"),
            Measure("wire", "awaits", "awaits on a spoilt wire"),
            Measure("sweep", "runs", "disturbed operations"),
            Measure("availability", "awaits", "awaits under failovers"),
        ),
        _peers(("late_awaits", "late"), ("awaits watched", "awaits")),
    ),
    Goal(
        "M7",
        "after a restart, the first success comes soon after that of an independent prober",
        "p99 at most 250 ms",
        "a connection tried each 5 ms through the same proxy; the writers' first acknowledged write",
        (
            Measure("ledger", "recovery_p99_ms", "ms p99 in the soak"),
            Measure("ledger", "recoveries", "recoveries"),
            Measure("availability", "recovery_p99_ms", "ms p99 in a cluster"),
        ),
        _peers(("recovery_p99_ms", "ms p99 in the soak"), ("recoveries", "recoveries")),
        {
            ASYNCPG: Measure("availability", "asyncpg_pool_recovery_p99_ms", "ms p99 in a cluster"),
            PSYCOPG: Measure("availability", "psycopg_pool_recovery_p99_ms", "ms p99 in a cluster"),
        },
    ),
    Goal(
        "M8",
        "memory is bounded",
        "at most 1 MB an hour",
        "the line through the resident memory of writers that are never killed, after five minutes; beside it what "
        "malloc has given out, and Python's small objects",
        (
            Measure("ledger", "slope_mb_per_h_on_asyncio", "MB an hour on asyncio"),
            Measure("ledger", "slope_of_second_half_mb_per_h_on_asyncio", "in the second half"),
            Measure("ledger", "slope_in_use_mb_per_h_on_asyncio", "of it in use"),
            Measure("ledger", "slope_of_objects_per_h_on_asyncio", "objects an hour"),
            Measure("ledger", "slope_mb_per_h_on_uvloop", "MB an hour on uvloop"),
            Measure("ledger", "slope_of_second_half_mb_per_h_on_uvloop", "in the second half"),
            Measure("ledger", "slope_in_use_mb_per_h_on_uvloop", "of it in use"),
            Measure("ledger", "slope_of_objects_per_h_on_uvloop", "objects an hour"),
        ),
        _peers(("slope_mb_per_h_on_asyncio", "MB an hour on asyncio")),
    ),
    Goal(
        "M9",
        "nobody overtakes in line",
        "0",
        "the order of grants in the same schedules",
        (Measure("sim", "grants", "grants"), Measure("sim", "schedules", "schedules")),
    ),
    Goal(
        "M10",
        "no session state reaches the next caller",
        "0 of 20 kinds",
        "each kind is left behind, then looked for after the hand-off",
        (
            Measure("session", "leaks_dbpool", "kinds leak"),
            Measure("session", "kinds", "kinds"),
            Measure("session", "hand-offs", "hand-offs"),
        ),
        (),
        {
            ASYNCPG: Measure("session", "leaks_asyncpg_pool", "kinds leak"),
            PSYCOPG: Measure("session", "leaks_psycopg_pool", "kinds leak"),
        },
    ),
    Goal(
        "M11",
        "a password is never shown",
        "0 in 100,000 fuzzed addresses and errors",
        "a canary password looked for in logs, reprs, tracebacks and reports",
        (
            Measure("security", "addresses", "addresses"),
            Measure("security", "errors of connecting", "errors of connecting"),
            Measure("security", "texts searched", "texts searched"),
        ),
    ),
    Goal(
        "M12",
        "faults happen",
        "36,000 an hour; each row 1,000 times",
        "counted where they are made, by their number in [the list of faults](faults.md)",
        (Measure("ledger", "faults_per_s", "a second in the soak"),),
    ),
    Goal(
        "M13",
        "the rigs find planted bugs",
        "95 % of them",
        "bugs that other pools had, planted one at a time",
        (Measure("mutants", "found", "found"), Measure("mutants", "mutants", "planted")),
    ),
)
