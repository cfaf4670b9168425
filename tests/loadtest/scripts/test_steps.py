from __future__ import annotations

from collections.abc import Sequence

import pytest

from dbpool.loadtest.scripts.client import Client, make_cast
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import parse_script
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Pause, Query, Rows, steps
from dbpool.loadtest.scripts.values import Held


def a_client(**variables: Held) -> Client:
    return make_cast(1, seed=1, defined=variables).clients[0]


def run(
    text: str, client: Client | None = None, *, answers: Sequence[Rows] = (), mode: QueryMode = QueryMode.EXTENDED
) -> list[object]:
    """What a runner sees: SQL with parameters, or seconds; *answers* go to the statements that capture, in turn."""
    left, seen = list(answers), list[object]()
    transaction = steps(parse_script(text, name="test.sql"), client or a_client(), mode)
    answer: Rows | None = None
    while True:
        try:
            step = transaction.send(answer)
        except StopIteration:
            assert not left
            return seen
        answer = None
        if isinstance(step, Pause):
            seen.append(step.seconds)
        else:
            assert isinstance(step, Query)
            seen.append((step.sql, *step.parameters))
            if step.command.capture:
                answer = left.pop(0)


def test_a_transaction_is_its_statements_with_their_parameters() -> None:
    assert run("\\set a 1 + 1\nselect :a;\n\\set a :a * 2.5\nselect :a, :c;", a_client(c="x")) == [
        ("select $1;", 2),
        ("select $1, $2;", 5.0, "x"),
    ]


def test_with_the_simple_mode_the_text_has_the_values() -> None:
    assert run("\\set a 2\nselect :a, :c, :d;", a_client(c="x"), mode=QueryMode.SIMPLE) == [("select 2, x, :d;",)]


def test_variables_last_from_one_transaction_to_the_next() -> None:
    client = a_client(n=1)
    for _ in range(3):
        run("\\set n :n * 2\nselect :n", client)
    assert client.variables["n"] == 8


BRANCHES = """\\if :x = 1
one;
\\elif :x = 2
two;
\\elif :x
  other;
  \\if :x > 5
    big;
  \\else
    small;
    \\if false
      never;
    \\endif
  \\endif
\\else
none;
\\endif
end;
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, "one"), (2, "two"), (3, "other small"), (7.5, "other big"), (0, "none"), (0.0, "none"), (None, "none")],
)
def test_one_branch_of_a_block_is_run(value: Held, expected: str) -> None:
    assert run(BRANCHES, a_client(x=value)) == [(f"{word};",) for word in [*expected.split(), "end"]]


def test_conditions_after_the_one_that_held_are_not_evaluated() -> None:
    assert run("\\if true\na;\n\\elif 1 / 0\nb;\n\\endif\n\\if false\n\\if 1 / 0\n\\endif\n\\endif\nc;") == [
        ("a;",),
        ("c;",),
    ]


@pytest.mark.parametrize(
    ("line", "value", "seconds"),
    [("\\sleep 2", 0, 2.0), ("\\sleep 5 ms", 0, 0.005), ("\\sleep -5 ms", 0, 0.0), ("\\sleep :n us", 250, 0.00025),
     ("\\sleep :n", "3.9", 3.0), ("\\sleep :n ms", " 7x", 0.007)],
)  # fmt: skip
def test_sleep_is_a_pause_in_seconds(line: str, value: Held, seconds: float) -> None:
    assert run(line, a_client(n=value)) == [seconds]


def test_a_row_captured_becomes_variables() -> None:
    client = a_client()
    answers = [[{"a": "007", "b": "x"}]]
    seen = run("select 1 \\gset p_\nselect :p_a, :p_b;\n\\set c :p_a + 1\n", client, answers=answers)
    assert seen == [("select 1",), ("select $1, $2;", "007", "x")]
    assert client.variables["c"] == 8


def test_a_capture_of_all_takes_the_last_row_or_none() -> None:
    client = a_client(a="before")
    run("select 1 \\aset", client, answers=[[]])
    assert client.variables["a"] == "before"
    run("select 1 \\aset", client, answers=[[{"a": "1"}, {"a": "2"}]])
    assert client.variables["a"] == "2"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (5, "5"),
        (True, "t"),
        (False, "f"),
        (None, ""),
        (1.5, "1.5"),
        (100.0, "100"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_what_a_driver_read_becomes_the_servers_text_again(value: object, text: str) -> None:
    client = a_client()
    run("select 1 \\gset", client, answers=[[{"a": value}]])
    assert client.variables["a"] == text


@pytest.mark.parametrize(
    ("text", "answers", "message"),
    [
        ("\n\\set a 1 / 0", [], 'test.sql:2: division by zero in command "set"'),
        ("\\if :nothing\n\\endif", [], 'test.sql:1: undefined variable "nothing" in command "if"'),
        ("select 1;\nselect :nothing;", [], 'test.sql:2: undefined variable "nothing" in command "SQL"'),
        ("\\sleep :nothing", [], 'test.sql:1: undefined variable "nothing" in command "sleep"'),
        ("\\sleep :word ms", [], 'test.sql:1: invalid sleep time "foo" for variable "word" in command "sleep"'),
        ("select 1\n\\gset", [[]], 'test.sql:1: expected one row, got 0 in command "gset"'),
        ("select 1\n\\gset", [[{"a": 1}, {"a": 2}]], 'test.sql:1: expected one row, got 2 in command "gset"'),
        ("select 1\n\\gset", [[{"?column?": 1}]], 'test.sql:1: invalid variable name "?column?" in command "gset"'),
    ],
)
def test_a_command_that_fails_says_where(text: str, answers: Sequence[Rows], message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        run(text, a_client(word="foo"), answers=answers)
    assert str(caught.value) == message


def test_a_retry_draws_the_same_numbers_when_the_sequence_is_set_back() -> None:
    client, text = a_client(), "select random_is(:a);"
    text = "\\set a random(1, 1000000)\n" + text
    before = client.random.state
    first = run(text, client)
    assert run(text, client) != first
    client.random.state = before
    assert run(text, client) == first
