"""What was found, written into the pages of the documentation, between marks or in a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.rigs.findings import Findings
from tests.rigs.goals import ASYNCPG, CONTENDERS, GOALS, NOT_MEASURED, OURS, PSYCOPG, Results, row_of

BEGIN, END = "<!-- rigs: begin -->", "<!-- rigs: end -->"
COLUMN = "injected"
LABELS = {OURS: "dbpool", ASYNCPG: "asyncpg.Pool", PSYCOPG: "psycopg_pool"}
SIDE_BY_SIDE = (
    ("rows acknowledged", "acked_rows"),
    ("faults a second", "faults_per_s"),
    ("of them from outside", "faults_from_outside_per_s"),
    ("acknowledged, and not stored (rows)", "lies.M3"),
    ("told as not done, and stored (rows)", "lies.M5"),
    ("stored twice", "lies.M4"),
    ("refused by the role's limit", "refusals"),
    ("the same after broken connections", "refusals_after_cuts"),
    ("awaits later than deadline + 100 ms", "late_awaits"),
    ("recovery after a restart, p99, ms", "recovery_p99_ms"),
    ("unknown transactions resolved", "unknown_resolved"),
)
MUTANTS = ("bug", "as in", "breaks", "found by", "after", "reads")


class NoPlace(ValueError):
    """The page does not have what is to be filled."""


def reliability(page: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """docs/reliability.md with the tables of *runs*, files that ``--json`` wrote, between its marks.

    Raises:
        NoPlace: the marks are not there, once each and in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise NoPlace(f"the page needs {BEGIN} and {END}, once each")
    results = Results(_found(runs))
    parts = [_goals(results), _side_by_side(results), *_of_rigs(results), _mutants(results), _runs(runs)]
    parts += [_machine(run) for run in runs[-1:] if run["machine"]]
    return f"{head}{BEGIN}\n\n" + "\n\n".join(part for part in parts if part) + f"\n\n{END}{tail}"


def faults(page: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """docs/faults.md with how often each fault was made to happen in *runs*, in a sixth column.

    Raises:
        NoPlace: it has no rows of five or six cells.
    """
    times = Results(_found(runs)).faults()
    lines, seen = [], 0
    for line in page.split("\n"):
        cells = line.split("|")[1:-1]
        if len(cells) in (5, 6) and line.startswith("|"):
            first = cells[0].strip()
            last = f"{times[int(first)]:,}" if first.isdigit() else "---:" if set(first) <= set("-:") else COLUMN
            line = "|" + "|".join([*cells[:5], f" {last} "]) + "|"
            seen += first.isdigit()
        lines.append(line)
    if not seen:
        raise NoPlace("the page has no rows of faults")
    return "\n".join(lines)


def whole(plain: Mapping[str, Any], date: str) -> Mapping[str, Any]:
    """What ``--json`` wrote, also where it is the findings of one rig alone, of that *date*."""
    if "rig" not in plain:
        return plain
    head = {"command": f"python -m tests.rigs {plain['rig']}", "date": date, "commit": NOT_MEASURED, "machine": {}}
    return {**head, "took_s": plain["took_s"], "is_whole": True, "rigs": [plain]}


def _found(runs: Iterable[Mapping[str, Any]]) -> list[Findings]:
    return [Findings.from_plain(rig) for run in runs for rig in run["rigs"]]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---") -> str:
    lines = [columns, ["---", *[align] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _goals(results: Results) -> str:
    rows = []
    for goal in GOALS:
        cells = row_of(goal, results).cells
        rows.append([goal.number, goal.what, goal.target, *(cells[name] for name in CONTENDERS), goal.how])
    return _table(["", "what must be", "target", *LABELS.values(), "how it is measured"], rows)


def _side_by_side(results: Results) -> str:
    there = [name for name in CONTENDERS if name in results.rigs]
    if len(there) < 2:
        return ""
    rows = [[label, *(_shown(results.value(name, key)) for name in there)] for label, key in SIDE_BY_SIDE]
    took = {name: f"{results.rigs[name].took_s / 60:.0f} minutes" for name in there}
    head = "The same writes under the same faults, each pool by itself, one after the other:"
    rows.append(["it took", *took.values()])
    return f"{head}\n\n{_table(['', *(LABELS[name] for name in there)], rows, '---:')}"


def _of_rigs(results: Results) -> Iterator[str]:
    """Where a rig has put other pools through the same itself."""
    for found in results.own:
        beside: Mapping[str, Mapping[str, Any]] = found.figures.get("side_by_side", {})
        if beside:
            keys = dict.fromkeys(key for figures in beside.values() for key in figures)
            rows = [[key, *(_shown(figures.get(key)) for figures in beside.values())] for key in keys]
            yield f"By the rig `{found.rig}`:\n\n{_table(['', *beside], rows, '---:')}"


def _mutants(results: Results) -> str:
    """A row for each planted bug, as the rig of mutants describes them."""
    found = results.rigs.get("mutants")
    mutants = found.figures.get("table", []) if found else []
    if not mutants:
        return ""
    columns = sorted(mutants[0], key=lambda column: MUTANTS.index(column) if column in MUTANTS else len(MUTANTS))
    rows = [[_shown(mutant.get(column)) for column in columns] for mutant in mutants]
    return f"Bugs that were planted, and what found them:\n\n{_table(columns, rows)}"


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            run["date"],
            f"`{run['commit']}`",
            f"`{re.sub(r' --json [^ ]+', '', run['command'])}`",
            f"{run['took_s'] / 60:.0f} minutes" + ("" if run["is_whole"] else ", stopped before its end"),
            str(sum(len(rig["violations"]) for rig in run["rigs"] if rig["rig"] not in (ASYNCPG, PSYCOPG))),
        ]
        for run in runs
    ]
    return f"These runs:\n\n{_table(['date', 'commit', 'command', 'it took', 'violations by dbpool'], rows)}"


def _machine(run: Mapping[str, Any]) -> str:
    return "On: " + "; ".join(f"{name} {value}" for name, value in run["machine"].items()) + "."


def _shown(value: object) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
