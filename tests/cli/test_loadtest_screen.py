"""A benchmark at a real terminal, seen and stopped by somebody who sits there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.loadtesting import MAIN
from tests.support.databases import Database
from tests.support.terminals import at_a_terminal

LONG = ("loadtest", "bench", "-T", "60", "--warmup", "0", "-c", "3")


def words(database: Database, tmp_path: Path, *more: str) -> list[str]:
    script = tmp_path / "script.sql"
    script.write_text("select pg_sleep(0.002)")
    return [*LONG, "-f", str(script), database.dsn, *more]


async def test_ctrl_c_ends_it_with_a_clean_terminal_and_the_report(database: Database, tmp_path: Path) -> None:
    with at_a_terminal(MAIN, words(database, tmp_path), columns=80, lines=40) as terminal:
        shown = terminal.until(lambda text: "3 of 60 s" in text)
        assert shown.startswith("dbpool loadtest bench  PostgreSQL ")
        assert "dbpool, pool of 3" in shown
        assert terminal.screen.is_taken
        terminal.type("\x03")
        assert terminal.end() == 130
        assert not terminal.screen.is_taken
        assert not terminal.screen.is_cursor_hidden
        assert "stopped before its end" in terminal.text
        assert "The run was interrupted" in terminal.text
        assert "^C" not in terminal.text
        assert "Traceback" not in terminal.text


@pytest.mark.slow
async def test_a_document_on_stdout_is_whole_while_the_screen_is_on_stderr(database: Database, tmp_path: Path) -> None:
    arguments = words(database, tmp_path, "--json")
    with at_a_terminal(MAIN, arguments, columns=120, lines=40, stdout=subprocess.PIPE) as terminal:
        terminal.until(lambda text: "2 of 60 s" in text)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.process.stdout is not None
        assert json.loads(terminal.process.stdout.read())["run"]["status"] == "interrupted"
        assert not terminal.screen.is_taken


@pytest.mark.slow
async def test_the_address_of_the_live_page_is_on_the_screen(database: Database, tmp_path: Path) -> None:
    with at_a_terminal(MAIN, words(database, tmp_path, "--web"), columns=100, lines=30) as terminal:
        terminal.until(lambda text: "1 of 60 s" in text and terminal.screen.is_taken and "http://127.0.0.1:" in text)
        terminal.type("\x03")
        assert terminal.end() == 130
