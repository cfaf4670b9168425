from __future__ import annotations

from typing import Any

import pytest

from dbpool.core.planshape import called, is_better_as_a_whole, lost_index

BY_INDEX = {"Node Type": "Index Scan", "Relation Name": "acc", "Index Cond": "(id = 1)", "Total Cost": 8.0}
WHOLE = {"Node Type": "Seq Scan", "Relation Name": "acc", "Filter": "(lower(txt) = 'a'::text)", "Total Cost": 9000.0}
BITMAP = {
    "Node Type": "Bitmap Heap Scan",
    "Relation Name": "acc",
    "Recheck Cond": "(grp = 1)",
    "Plans": [{"Node Type": "Bitmap Index Scan", "Index Cond": "(grp = 1)"}],
}


def joined(*plans: dict[str, Any], cost: float = 100.0) -> dict[str, Any]:
    return {"Node Type": "Nested Loop", "Total Cost": cost, "Plans": list(plans)}


def test_an_index_that_the_batch_does_not_use_is_lost() -> None:
    assert lost_index([BY_INDEX, BITMAP], joined(WHOLE)) == "acc"
    assert lost_index([BY_INDEX], joined(joined(BY_INDEX))) == ""
    assert lost_index([BITMAP], joined(BITMAP)) == ""
    assert lost_index([{key: BITMAP[key] for key in BITMAP if key != "Recheck Cond"}], joined(WHOLE)) == "acc"


def test_what_single_statements_read_whole_at_times_is_not_lost() -> None:
    assert lost_index([BY_INDEX, WHOLE], joined(WHOLE)) == ""
    assert lost_index([joined(BY_INDEX, WHOLE)], joined(WHOLE)) == ""
    assert lost_index([], joined(WHOLE)) == ""


def test_a_batch_that_reads_whole_tables_may_be_better_joined() -> None:
    fenced, unfenced = joined(WHOLE, cost=900_000.0), joined(WHOLE, cost=20_000.0)
    assert is_better_as_a_whole([WHOLE], fenced, unfenced, 100)
    assert not is_better_as_a_whole([WHOLE], fenced, joined(WHOLE, cost=400_000.0), 100)
    assert not is_better_as_a_whole([BY_INDEX], fenced, unfenced, 100)
    assert not is_better_as_a_whole([BY_INDEX], joined(BY_INDEX, cost=900_000.0), unfenced, 100)


def test_functions_are_found_in_every_expression() -> None:
    plan = joined(WHOLE) | {"Output": ["now()", 'app."Odd ""Name"""(1)', "(a + pg_sleep (2))"], "Function Call": "f(x)"}
    assert called(plan) >= {"lower", "now", 'Odd "Name"', "pg_sleep", "f"}
    assert "acc" not in called(plan)


@pytest.mark.parametrize("value", ["x" * 1_000_000, '"' * 1_000_000, "random() @@@ 1::text", "it''s random()"])
def test_a_value_in_a_plan_is_no_expression(value: str) -> None:
    plan = joined(WHOLE) | {"Filter": f"(name = '{value}'::name)", "Output": ['"it\'s".now()']}
    assert called(plan) == {"lower", "now"}
