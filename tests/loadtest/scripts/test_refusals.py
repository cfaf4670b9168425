from __future__ import annotations

import pytest

from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import parse_script
from tests.support.refusals import CONDITIONS, OURS, REFUSALS, Refusal


@pytest.mark.parametrize("refusal", REFUSALS + CONDITIONS + OURS, ids=lambda refusal: refusal.script[:40].strip())
def test_a_wrong_script_is_refused_with_its_line_and_column_and_one_sentence(refusal: Refusal) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(refusal.script, name="test.sql")
    error = caught.value
    before, column, after = str(error).partition(f" at column {error.column}")
    assert column
    assert before + after == f"test.sql:{refusal.line}: {refusal.message}"
    assert (error.source, error.line) == ("test.sql", refusal.line)
    line, marks = error.excerpt.split("\n")
    assert line == refusal.script.split("\n")[refusal.line - 1]
    assert marks.index("^") == error.column - 1
    assert line[error.column - 1 :][: marks.count("^")] == refusal.marked


@pytest.mark.parametrize("text", ["", " \n", "-- nothing\n", "/* nothing */", "\\\n"])
def test_a_script_without_a_command_is_refused(text: str) -> None:
    with pytest.raises(ScriptError, match=r'empty command list for script "test\.sql"'):
        parse_script(text, name="test.sql")


def test_marks_stand_below_their_text_after_tabs_too() -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script("\t\\set x\tceil(1)\r\n", name="test.sql")
    assert caught.value.excerpt == "\t\\set x\tceil(1)\n\t      \t^^^^"
