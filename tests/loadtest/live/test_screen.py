"""The screen at a real terminal: it keeps to itself, follows the window, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial

import pytest

from tests.support.terminals import at_a_terminal

# what a run tells until the sweep is half over; then it waits for a key, or for a signal
PLAY = """
import sys
from itertools import takewhile
from dbpool.tool.loadtest.screen import screen_of
from tests.support.loadtestdocument import sample_document
from tests.support.loadtestevents import events_of

def is_before(event):
    return event.get("pool_size") != 20

sys.stdout.write("before\\n")
sys.stdout.flush()
try:
    with screen_of(int(sys.argv[1]), is_stdout_taken="taken" in sys.argv) as screen:
        for event in takewhile(is_before, events_of(sample_document())):
            screen.take(event)
        input()
except KeyboardInterrupt:
    sys.exit(130)
sys.stdout.write("the report\\n")
"""


def _begins_with(wanted: re.Pattern[str], text: str) -> bool:
    return wanted.match(text) is not None


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_it_has_the_whole_screen_and_gives_it_back(columns: int, lines: int) -> None:
    with at_a_terminal(PLAY, ["1"], columns=columns, lines=lines) as terminal:
        shown = terminal.until(lambda text: "best so far" in text).splitlines()
        assert terminal.screen.is_taken
        assert terminal.screen.is_cursor_hidden
        assert shown[0].startswith("dbpool loadtest run  PostgreSQL 18.1")
        assert any("as many clients as connections" in line for line in shown)
        assert not any("before" in line for line in shown)
        terminal.type("\n")
        assert terminal.end() == 0
        assert not terminal.screen.is_taken
        assert not terminal.screen.is_cursor_hidden
        assert "the report" in terminal.text
        assert "best so far" not in terminal.text


def test_it_follows_the_window() -> None:
    with at_a_terminal(PLAY, ["1"], columns=80, lines=24) as terminal:
        terminal.until(lambda text: "best so far" in text)
        for columns, lines in ((120, 40), (50, 14), (100, 30)):
            terminal.resize(columns, lines)
            # a heading as wide as that
            wanted = re.compile(rf"(?=[^\n]{{{columns}}}\n)dbpool loadtest run [^\n]*\d:\d\d\n")
            shown = terminal.until(partial(_begins_with, wanted))
            assert sum(line.startswith("dbpool loadtest run") for line in shown.splitlines()) == 1
        terminal.type("\n")
        assert terminal.end() == 0


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    with at_a_terminal(PLAY, ["1"], columns=80, lines=24) as terminal:
        terminal.until(lambda text: "best so far" in text)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.screen.was_taken
        assert not terminal.screen.is_taken
        assert not terminal.screen.is_cursor_hidden
        assert "Traceback" not in terminal.text
        assert terminal.screen.cursor.attrs.fg == "default"


def test_stdout_that_goes_elsewhere_has_none_of_it() -> None:
    with at_a_terminal(PLAY, ["1"], columns=80, lines=24, stdout=subprocess.PIPE) as terminal:
        terminal.until(lambda text: "best so far" in text)
        terminal.type("\n")
        assert terminal.end() == 0
        assert terminal.process.stdout is not None
        assert terminal.process.stdout.read() == b"before\nthe report\n"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["1", "taken"], {}), (["1"], {"TERM": "dumb"})],
    ids=["events go to the same terminal", "a dumb terminal"],
)
def test_where_a_screen_would_hide_something_there_are_lines(arguments: list[str], env: dict[str, str]) -> None:
    with at_a_terminal(PLAY, arguments, columns=100, lines=40, env=env) as terminal:
        shown = terminal.until(lambda text: "dbpool: 14 clients" in text)
        assert not terminal.screen.was_taken
        assert " tps  p50 " in shown
        terminal.type("\n")
        assert terminal.end() == 0


def test_nothing_is_shown_if_nothing_is_wanted() -> None:
    with at_a_terminal(PLAY, ["0"], columns=80, lines=24) as terminal:
        terminal.type("\n")
        assert terminal.end() == 0
        assert not terminal.screen.was_taken
        assert [line for line in terminal.lines if line] == ["before", "", "the report"][::2]


def test_no_color_is_heeded() -> None:
    with at_a_terminal(PLAY, ["1"], columns=80, lines=24, env={"NO_COLOR": "1"}) as terminal:
        terminal.until(lambda text: "best so far" in text)
        colors = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
        assert colors == {"default"}
        terminal.type("\n")
        assert terminal.end() == 0


def test_on_pipes_there_are_lines_without_control_characters() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAY, "1"], input="\n", capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "before\nthe report\n"
    assert "\x1b" not in done.stderr
    assert done.stderr.startswith("PostgreSQL 18.1; calibrating\n")
    assert "dbpool: 4 clients, 3 s warm-up, 9 s" in done.stderr
