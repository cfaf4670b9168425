"""docs/faults.md: each fault is there once, every test that it names exists, and its numbers are right."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache

from tests.docs.guide import ROOT

TEXT = (ROOT / "docs" / "faults.md").read_text("utf-8")
FAULTS = 94
STATES = ("tested", "partly", "gap")
# What the last cell of a row says is missing begins like this.
LACKS = {"tested": None, "partly": "*not shown:*", "gap": "*missing:*"}

ROWS = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| \d+ \| .*", TEXT, re.MULTILINE)]
HEAD, *CATALOGUE = ROWS
CELLS = {5, 6}  # the sixth, where rigs have run, is how often the fault was made: python -m tests.rigs document


@cache
def functions_of(file: str) -> set[str]:
    """The functions that a file of tests defines; none where there is no such file."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_fault_has_one_row_in_order() -> None:
    assert [int(row[0]) for row in CATALOGUE] == list(range(1, FAULTS + 1))
    assert {len(row) for row in CATALOGUE} <= CELLS
    assert all(cell.replace(",", "").isdigit() for row in CATALOGUE for cell in row[5:])


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([^`]*)::([^`]*)`", TEXT)
    assert len(named) > FAULTS
    missing = [f"{file}::{name}" for file, name in named if name not in functions_of(file)]
    assert missing == []
    assert not [name for _, name in named if not name.startswith("test_")]


def test_a_row_names_its_tests_and_says_what_is_missing_as_its_state_has_it() -> None:
    for number, _, _, state, shown, *_ in CATALOGUE:
        assert state in STATES, number
        assert ("::" in shown) == (state != "gap"), number
        assert {lack for lack in LACKS.values() if lack and lack in shown} == {LACKS[state]} - {None}, number


def test_the_counts_in_the_head_are_right() -> None:
    states = Counter(row[3] for row in CATALOGUE)
    assert [int(cell) for cell in HEAD] == [*(states[state] for state in STATES), FAULTS]
