"""What was found comes into the pages, and nothing else of them changes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.rigs.commands import rigs
from tests.rigs.documenting import BEGIN, END, NoPlace, faults, reliability, whole
from tests.rigs.findings import Findings, Violation
from tests.rigs.goals import GOALS

PAGE = f"# A page\n\n{BEGIN}\nwhat was before\n{END}\n\nthe end\n"
FAULTS = "text\n\n| # | what | does | state | test |\n| ---: | --- | --- | --- | --- |\n| 1 | a | b | tested | c |\n"
FAULTS += "| 28 | a | b | gap | *missing:* d |\n\n| tested | gap |\n| ---: | ---: |\n| 1 | 1 |\n"


def run_of(*found: Findings, is_whole: bool = True) -> dict[str, Any]:
    head = {"command": "python -m tests.rigs soak --json build/x.json", "commit": "abc1234", "date": "2026-01-02"}
    plain = {**head, "machine": {"processors": "2"}, "took_s": 120.0, "is_whole": is_whole}
    return {**plain, "rigs": [each.as_plain() for each in found]}


def ledger() -> Findings:
    figures = {"acked_rows": 5_000_000, "refusals": 0, "recovery_p99_ms": 41.5, "slope_mb_per_h_on_asyncio": None}
    done = Counter({"awaits watched": 77})
    return Findings("ledger", done, Counter({28: 1200, 1: 3}), [Violation("M6", "late", "again")], figures, 60)


def test_each_goal_has_what_was_measured_and_how_often_it_was_violated() -> None:
    page = reliability(PAGE, [run_of(ledger())])
    assert page.startswith(f"# A page\n\n{BEGIN}\n\n| ")
    assert page.endswith(f"\n\n{END}\n\nthe end\n")
    assert "what was before" not in page
    rows = {line.split(" | ")[0].strip("| "): line for line in page.splitlines() if line.startswith("| M")}
    assert list(rows) == [goal.number for goal in GOALS] == [f"M{number}" for number in range(1, 14)]
    assert "| **0** violations; 5,000,000 rows acknowledged |" in rows["M3"]
    assert "| **1** violations; 77 awaits |" in rows["M6"]
    assert "| **0** violations; 1,203 of 2 rows, 1 of them 1,000 times or more |" in rows["M12"]
    assert "| – | – | – |" in rows["M8"]
    assert "| 2026-01-02 | `abc1234` | `python -m tests.rigs soak` | 2 minutes | 1 |" in page
    assert "On: processors 2." in page


def test_the_other_pools_stand_beside_ours_and_their_lies_are_not_ours() -> None:
    lied = Findings("asyncpg_pool", figures={"lies": {"M3": 12}, "acked_rows": 9})
    lied.violations.append(Violation("M3", "lost", "again"))
    honest = Findings("dbpool", figures={"lies": {}, "acked_rows": 8})
    page = reliability(PAGE, [run_of(ledger()), run_of(lied, honest)])
    assert "| **0** violations; 5,000,000 rows acknowledged | 12 rows lost; 9 rows acknowledged | – |" in page
    assert "|  | dbpool | asyncpg.Pool |" in page
    assert "| acknowledged, and not stored (rows) | 0 | 12 |" in page


def test_a_goal_that_was_violated_says_so_also_where_nothing_else_of_it_was_measured() -> None:
    refused = Findings("bound", Counter(calls=5), violations=[Violation("M2", "refused", "again")])
    (row,) = (line for line in reliability(PAGE, [run_of(refused)]).splitlines() if line.startswith("| M2 "))
    assert "| **1** violations | – | – |" in row


def test_rows_that_dbpool_lost_are_counted_as_those_of_others_are() -> None:
    lied = Findings("ledger", figures={"lies": {"M3": 12, "M5": 7}, "acked_rows": 9})
    page = reliability(PAGE, [run_of(lied)])
    assert "12 rows lost; 9 rows acknowledged" in page
    assert "7 rows lied about" in page


def test_runs_of_the_same_rig_are_put_together_and_one_that_was_stopped_is_told() -> None:
    page = reliability(PAGE, [run_of(ledger()), run_of(ledger(), is_whole=False)])
    assert "154 awaits" in page
    assert "2 minutes, stopped before its end" in page


def test_planted_bugs_have_a_table_of_their_own() -> None:
    found = Findings("mutants", figures={"table": [{"bug": "no finally", "found by": "sim", "schedules": 1200}]})
    assert "| bug | found by | schedules |\n| --- | --- | --- |\n| no finally | sim | 1,200 |" in reliability(
        PAGE, [run_of(found)]
    )


def test_what_a_rig_compared_itself_has_a_table_and_findings_alone_are_a_run() -> None:
    beside = {"dbpool": {"hangs": 0}, "asyncpg.Pool": {"hangs": 7, "lies": 1}}
    alone = Findings("wire", figures={"side_by_side": beside}).as_plain()
    page = reliability(PAGE, [whole(alone, "2026-01-03")])
    assert "|  | dbpool | asyncpg.Pool |\n| --- | ---: | ---: |\n| hangs | 0 | 7 |\n| lies | – | 1 |" in page
    assert "| 2026-01-03 | `–` | `python -m tests.rigs wire` | 0 minutes | 0 |" in page


def test_a_page_without_its_marks_is_left_alone() -> None:
    with pytest.raises(NoPlace):
        reliability("# A page\n", [run_of(ledger())])
    with pytest.raises(NoPlace):
        faults("# A page\n", [run_of(ledger())])


def test_each_fault_has_how_often_it_was_made_and_anew_each_time() -> None:
    once = faults(FAULTS, [run_of(ledger())])
    assert "| # | what | does | state | test | injected |\n| ---: | --- | --- | --- | --- | ---: |\n" in once
    assert "| 1 | a | b | tested | c | 3 |\n| 28 | a | b | gap | *missing:* d | 1,200 |\n" in once
    assert "| tested | gap |\n| ---: | ---: |\n| 1 | 1 |\n" in once
    twice = faults(once, [run_of(ledger()), run_of(ledger())])
    assert "| *missing:* d | 2,400 |\n" in twice


def test_the_command_writes_both_pages(tmp_path: Path) -> None:
    (tmp_path / "reliability.md").write_text(PAGE)
    (tmp_path / "faults.md").write_text(FAULTS)
    file = tmp_path / "found.json"
    file.write_text(json.dumps(run_of(ledger())))
    ran = CliRunner().invoke(rigs, ["document", str(file), "--docs", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert "1,200" in (tmp_path / "faults.md").read_text()
    assert "5,000,000" in (tmp_path / "reliability.md").read_text()
    file.write_text("[1]")
    ran = CliRunner().invoke(rigs, ["document", str(file), "--docs", str(tmp_path)])
    assert ran.exit_code == 1
    assert "FILES must be what --json wrote" in ran.output
