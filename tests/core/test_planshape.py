from __future__ import annotations

from typing import Any

import pytest

from dbpool.core.planshape import (
    called,
    cast_to,
    hides_expressions,
    is_better_as_a_whole,
    keeps_order,
    locks_rows,
    lost_index,
    operators,
    samples_at_random,
)

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


def test_operators_and_casts_are_found_in_every_expression() -> None:
    plan = joined(WHOLE) | {"Output": ["(a OPERATOR(app.@@@) 2)", '(b)::app."Odd ""Type"""', "((c)::text || 'x')"]}
    assert operators(plan) >= {"@@@", "||", "="}
    assert cast_to(plan) == {'Odd "Type"', "text"}


def test_a_sample_is_the_same_only_if_it_is_repeatable() -> None:
    sample = {"Node Type": "Sample Scan", "Relation Name": "acc", "Sampling Method": "bernoulli"}
    assert samples_at_random(joined(sample))
    assert not samples_at_random(joined(sample | {"Repeatable Seed": "5"}))
    assert not samples_at_random(joined(WHOLE))


def test_a_plan_that_does_not_tell_all_that_it_evaluates_is_seen() -> None:
    for silent in ({"Node Type": "Limit"}, {"Node Type": "Values Scan"}, WHOLE | {"Parent Relationship": "SubPlan"}):
        assert hides_expressions(joined(BY_INDEX, silent))
    assert not hides_expressions(joined(BY_INDEX, WHOLE | {"Parent Relationship": "InitPlan"}))


def test_rows_are_locked_wherever_the_plan_says_so() -> None:
    assert locks_rows(joined({"Node Type": "LockRows", "Plans": [BY_INDEX]}))
    assert not locks_rows(joined(BY_INDEX))


def test_rows_that_are_hashed_or_sorted_come_in_another_order() -> None:
    values = {"Node Type": "Function Scan", "Alias": "_dbp_p"}
    assert keeps_order(joined(WHOLE, {"Node Type": "Hash", "Plans": [values]}))
    for moving in ("Hash", "Sort", "Gather", "Merge Join"):
        assert not keeps_order(joined(values, {"Node Type": moving, "Plans": [joined(WHOLE)]}))


@pytest.mark.parametrize("value", ["x" * 1_000_000, '"' * 1_000_000, "random() @@@ 1::text", "it''s random()"])
def test_a_value_in_a_plan_is_no_expression(value: str) -> None:
    plan = joined(WHOLE) | {"Filter": f"(name = '{value}'::name)", "Output": ['"it\'s".now()']}
    assert (called(plan), operators(plan), cast_to(plan)) == ({"lower", "now"}, {"="}, {"name", "text"})
