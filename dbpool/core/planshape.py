"""What a plan of the server's says of a batch: whether it still reads as a single statement does.

By shape, not by cost: of 21 statements a comparison of costs judged three wrongly (``between`` was refused, a skewed
condition was taken), what is here none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Plan: TypeAlias = Mapping[str, Any]  # of EXPLAIN (FORMAT JSON)

_CONDITIONS = ("Index Cond", "Recheck Cond", "TID Cond")
OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_CAST = re.compile(r'::(?:(?:[\w$]+|"(?:[^"]|"")+")\.)?([\w$]+|"(?:[^"]|"")+")')
_CALL = re.compile(r'((?<![\w$])[A-Za-z_\x80-\U0010ffff][\w$]*+|(?<!")"(?:[^"]|"")++")\s*\(')
# Values come in plans as they are, however long; only what stands around them says anything
_CONSTANT = re.compile(r"""("(?:[^"]|"")*+")|'(?:[^']|'')*+'""")
# Of these EXPLAIN does not tell all: the rows of VALUES, what LIMIT and OFFSET are given, a window's frame before
# PostgreSQL 18. Of a sub-select it tells since PostgreSQL 17 what is compared with it.
_SILENT = frozenset({"Limit", "Values Scan", "WindowAgg"})
_MOVING = frozenset({"Aggregate", "Gather", "Gather Merge", "Hash", "Incremental Sort", "Merge Join", "Sort"})
# What is estimated to cost so many times less is worth another plan
CLEARLY = 3.0


def called(plan: Plan) -> set[str]:
    """The names before a parenthesis in all expressions of a verbose plan: functions, and some words of SQL."""
    return _names(_CALL, plan)


def cast_to(plan: Plan) -> set[str]:
    """The types behind a ``::`` in all expressions of a verbose plan, without their schemas."""
    return _names(_CAST, plan)


def operators(plan: Plan) -> set[str]:
    """What looks like an operator in all expressions of a verbose plan."""
    return {name for text in _texts(plan) for name in OPERATOR.findall(text)}


def samples_at_random(plan: Plan) -> bool:
    """Whether it reads a sample of a table, which is another one each time: TABLESAMPLE without REPEATABLE."""
    return any("Sampling Method" in node and "Repeatable Seed" not in node for node in _nodes(plan))


def hides_expressions(plan: Plan) -> bool:
    """Whether it may evaluate what it does not tell, so that only the statement's text says what is called."""
    return any(node["Node Type"] in _SILENT or node.get("Parent Relationship") == "SubPlan" for node in _nodes(plan))


def locks_rows(plan: Plan) -> bool:
    """Whether it locks rows, as a view can that says FOR UPDATE."""
    return any(node["Node Type"] == "LockRows" for node in _nodes(plan))


def keeps_order(unfenced: Plan) -> bool:
    """Whether each item's rows come as its tables are read: what is hashed or sorted comes in another order."""
    moving = (node for node in _nodes(unfenced) if node["Node Type"] in _MOVING)
    return not any(True for node in moving for _ in _scans(node))


def lost_index(singles: Sequence[Plan], batch: Plan) -> str:
    """The relation that single statements always read by a condition, and the batch does without; "" if none."""
    by_condition: dict[str, bool] = {}
    for single in singles:
        for relation, has_condition in _scans(single):
            by_condition[relation] = by_condition.get(relation, True) and has_condition
    return next((relation for relation, has in _scans(batch) if not has and by_condition.get(relation)), "")


def is_better_as_a_whole(singles: Sequence[Plan], fenced: Plan, unfenced: Plan, items: int) -> bool:
    """Whether a batch that must read whole tables anyway is clearly cheaper where the planner may join it."""
    if all(has_condition for _, has_condition in _scans(fenced)):
        return False
    most_single: float = max(single["Total Cost"] for single in singles)
    whole: float = unfenced["Total Cost"] * CLEARLY
    return bool(whole < fenced["Total Cost"] and whole < most_single * items)


def _scans(plan: Plan) -> Iterator[tuple[str, bool]]:
    for node in _nodes(plan):
        if "Relation Name" in node:
            # A bitmap's table need not tell the condition again, as for LIKE 'a%': its index does
            is_bitmap = node["Node Type"] == "Bitmap Heap Scan"
            yield node["Relation Name"], is_bitmap or any(condition in node for condition in _CONDITIONS)


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    children: Iterable[Plan] = plan.get("Plans", ())
    for child in children:
        yield from _nodes(child)


def _names(pattern: re.Pattern[str], plan: Plan) -> set[str]:
    found = {name for text in _texts(plan) for name in pattern.findall(text)}
    return {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in found}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield _CONSTANT.sub(r"\1", value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
