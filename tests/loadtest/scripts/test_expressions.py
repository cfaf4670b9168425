from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.loadtest.scripts.client import Client, make_cast
from dbpool.loadtest.scripts.compiling import compile_expression
from dbpool.loadtest.scripts.parsing import parse_expression
from dbpool.loadtest.scripts.problems import EvaluationError, Source
from dbpool.loadtest.scripts.values import MAX_INTEGER, MIN_INTEGER, Value, debug_text
from tests.support.expressions import BAD_VARIABLES, DRAWS, ERRORS, SEED, VALUES, VARIABLES


def a_client(**variables: str) -> Client:
    return make_cast(1, seed=SEED, defined=variables).clients[0]


def evaluate(text: str, client: Client | None = None) -> Value:
    tree = parse_expression(Source("test.sql", text), 0, command="set")
    return compile_expression(tree)(client or a_client())


@pytest.mark.parametrize("text", VALUES)
def test_an_expression_has_the_value_and_the_type_that_it_has_in_pgbench(text: str) -> None:
    assert debug_text(evaluate(text, a_client(**VARIABLES))) == VALUES[text]


@pytest.mark.parametrize("text", ERRORS)
def test_an_expression_without_a_value_says_why_in_pgbenchs_words(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(text, a_client(**BAD_VARIABLES))
    assert str(caught.value) == ERRORS[text]


@pytest.mark.parametrize("number", [0, 1])
def test_each_client_draws_what_it_draws_in_pgbench(number: int) -> None:
    client = make_cast(2, seed=42).clients[number]
    drawn = [(text, str(evaluate(text, client))) for text, *_ in DRAWS]
    assert drawn == [(text, expected[number]) for text, *expected in DRAWS]


def test_a_closure_reads_the_variables_of_the_client_that_it_is_called_for() -> None:
    closure = compile_expression(parse_expression(Source("test.sql", ":client_id * 10"), 0, command="set"))
    assert [closure(client) for client in make_cast(3, seed=1).clients] == [0, 10, 20]


def test_debug_says_where_it_stands_and_gives_its_argument() -> None:
    said: list[str] = []
    client = a_client()
    client.say = said.append
    tree = parse_expression(Source("test.sql", "debug(1.5) + debug(null)"), 0, command="set")
    assert compile_expression(tree, place="test.sql:3")(client) is None
    assert said == ["debug(test.sql:3): double 1.5", "debug(test.sql:3): null"]


@pytest.mark.parametrize("operator", ["and", "or"])
def test_what_decides_already_leaves_the_right_side_unevaluated(operator: str) -> None:
    left = "false" if operator == "and" else "true"
    assert evaluate(f"{left} {operator} 1 / 0 = 1") is (operator == "or")
    assert evaluate(f"null {operator} 1 / 0 = 1") is None


integers = st.integers(MIN_INTEGER, MAX_INTEGER) | st.sampled_from([0, 1, -1, MAX_INTEGER, MIN_INTEGER])


@given(integers, integers, st.sampled_from(["+", "-", "*"]))
def test_integers_never_leave_64_bits(left: int, right: int, operator: str) -> None:
    exact = {"+": left + right, "-": left - right, "*": left * right}[operator]
    if MIN_INTEGER <= exact <= MAX_INTEGER:
        assert evaluate(f"{left} {operator} {right}") == exact
    else:
        with pytest.raises(EvaluationError, match="out of range"):
            evaluate(f"{left} {operator} {right}")


@given(integers, integers.filter(bool))
def test_a_quotient_and_a_remainder_make_the_dividend(left: int, right: int) -> None:
    if left == MIN_INTEGER and right == -1:
        return  # the quotient is no integer of 64 bits
    quotient, remainder = evaluate(f"{left} / {right}"), evaluate(f"{left} % {right}")
    assert isinstance(quotient, int)
    assert isinstance(remainder, int)
    assert quotient * right + remainder == left
    assert abs(remainder) < abs(right)
    assert remainder == 0 or (remainder < 0) == (left < 0)
