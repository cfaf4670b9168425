from __future__ import annotations

import pytest

from dbpool.loadtest.scripts.commands import Capture, Set, Sleep
from dbpool.loadtest.scripts.script import Script, parse_script


def read(text: str) -> Script:
    return parse_script(text, name="test.sql")


def texts(text: str) -> list[str]:
    return [sql.template.text for sql in read(text).statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1; select 2;\nselect 3;", ["select 1;", "select 2;", "select 3;"]),
        ("select 1\n  from t\n\n;", ["select 1\n  from t\n\n;"]),
        ("select 1\n", ["select 1"]),
        (";", [";"]),
        ("select 1\\set x 1\nselect 2", ["select 1", "select 2"]),
        ("select 1 \\set x 1\nselect 2", ["select 1", "select 2"]),
        ("select ';', \";\", $$;$$, $a$;$$;$a$, E'\\';' -- ;\n /* ; */;", None),
        ("select '\\set x 1', $$\n\\set x 1\n$$;", None),
        ("select (1; 2);", None),
        ("-- first\n  -- second\nselect 1; -- third\n", ["select 1;"]),
        ("/* a hint */ select 1; /* the end */", ["/* a hint */ select 1;"]),
        ("select 1\\; select 2;", ["select 1; select 2;"]),
        ("select 1\\;select '\\;'\\;;", ["select 1;select '\\;';;"]),
        ("select a\\:b;", ["select a:b;"]),
        ("create function f() returns int begin atomic select 1; select 2; end; select 3;",
         ["create function f() returns int begin atomic select 1; select 2; end;", "select 3;"]),
        ("create or replace procedure p() begin atomic select case when true then 1 end; end; select 3;",
         ["create or replace procedure p() begin atomic select case when true then 1 end; end;", "select 3;"]),
        ("select a, b, c, d; create function f() begin atomic select 2; end; select 3;",
         ["select a, b, c, d;", "create function f() begin atomic select 2; end;", "select 3;"]),
        ("select 1\\; create function f() begin atomic select 2; end; select 3;",
         ["select 1; create function f() begin atomic select 2; end;", "select 3;"]),
        ("create function f() begin atomic select 1; \\set x 1\nselect 2; end; select 3;",
         ["create function f() begin atomic select 1;", "select 2; end;", "select 3;"]),
        ("create function f() begin \\; end; end; select 3;",
         ["create function f() begin ; end;", "end;", "select 3;"]),
        ("begin; select case when true then 1 end; end;", ["begin;", "select case when true then 1 end;", "end;"]),
        ("create table function (id int); begin; end;", ["create table function (id int);", "begin;", "end;"]),
    ],
)  # fmt: skip
def test_a_statement_ends_at_a_semicolon_or_a_backslash_in_open_text(text: str, expected: list[str] | None) -> None:
    assert texts(text) == ([text] if expected is None else expected)


def test_places_are_lines_of_the_file() -> None:
    script = read("-- a\nselect 1;\n\n\\set x 1 + \\\n 2\n  select\n 2;\\sleep 1\n")
    assert [(command.place.line, command.place.command) for command in script.commands] == [
        (2, ""),
        (4, "set"),
        (6, ""),
        (7, "sleep"),
    ]
    assert [sql.first_line for sql in script.statements] == ["select 1;", "select"]


def test_a_backslash_at_a_lines_end_makes_the_command_go_on() -> None:
    for end in ("\n", "\r\n"):
        [command] = read(f"\\set\\{end} x\\{end} 1 \\{end}").commands
        assert isinstance(command, Set)
        assert command.name == "x"


@pytest.mark.parametrize(
    ("line", "amount", "unit_s"),
    [
        ("\\sleep 3", 3, 1.0),
        ("\\sleep 3 s", 3, 1.0),
        ("\\sleep 10 ms", 10, 1e-3),
        ("\\sleep 10MS", 10, 1e-3),
        ("\\SLEEP 10us", 10, 1e-6),
        ("\\sleep -1", -1, 1.0),
        ("\\sleep +1 \\\n ms", 1, 1e-3),
    ],
)
def test_sleep_takes_a_number_and_a_unit(line: str, amount: int, unit_s: float) -> None:
    [command] = read(line).commands
    assert isinstance(command, Sleep)
    assert (command.amount, command.unit_s, command.variable) == (amount, unit_s, "")


@pytest.mark.parametrize(
    ("text", "capture", "prefix"),
    [
        ("select 1 \\gset", Capture.GSET, ""),
        ("select 1;\\gset a_\n", Capture.GSET, "a_"),
        ("select 1;\n\n-- c\n\\aset\n", Capture.ASET, ""),
        ("select 1;\n\\GSET A_\r\n", Capture.GSET, "A_"),
        ("select 1;", None, ""),
    ],
)
def test_a_capture_belongs_to_the_statement_before(text: str, capture: Capture | None, prefix: str) -> None:
    [command] = read(text).statements
    assert (command.capture, command.prefix) == (capture, prefix)


def test_statements_joined_are_one_command_and_say_so() -> None:
    script = read("select 1\\; select 2; select ';' ; select a\\:b;")
    assert [sql.joined for sql in script.statements] == [True, False, False]
