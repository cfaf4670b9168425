"""docs/loadtest.md: every command in it means something, and its transactions do what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from dbpool.core.loadtest.search import Status
from dbpool.core.loadtest.thresholds import NUMBERS, SERIES
from dbpool.tool.loadtest.commands import COMMANDS
from dbpool.tool.loadtest.session import DOUBTFUL, MISSED, REGRESSED
from dbpool.tool.loadtest.where import REFUSED
from dbpool.tool.running import DONE, FAILED, INTERRUPTED
from tests.cli.loadtesting import run
from tests.docs.guide import ROOT
from tests.support.databases import Database

PAGE = ROOT / "docs" / "loadtest.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line.strip() for kind, body in BLOCKS if kind in ("sh", "yaml") for line in body.splitlines()]
COMMAND_LINES = [line for line in LINES if line.startswith("dbpool loadtest")]
OPTIONS = {name for command in COMMANDS.values() for parameter in command.params for name in parameter.opts}
USAGE = 2  # click's


def block(kind: str) -> str:
    """The only block of that kind."""
    (body,) = [body for each, body in BLOCKS if each == kind]
    return str(body)


def words_of(line: str) -> list[str]:
    """The words that the command gets: no comment, and nothing of what comes behind a pipe."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    words = list(lexer)
    return words[2 : words.index("|") if "|" in words else None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's files are."""
    (tmp_path / "transfer.sql").write_text(block("sql"))
    (tmp_path / "work.py").write_text(block("python"))
    for run_file in ("report", "before", "after"):
        (tmp_path / run_file).mkdir()
        (tmp_path / run_file / "run.json").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", COMMAND_LINES)
@pytest.mark.usefixtures("folder")
def test_a_command_of_the_page_means_something(line: str) -> None:
    name, *arguments = words_of(line)
    COMMANDS[name].make_context(name, arguments)


@pytest.mark.usefixtures("folder")
def test_a_command_that_is_wrong_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        COMMANDS["bench"].make_context("bench", words_of("dbpool loadtest bench --clinets 3  # three"))


def test_the_page_shows_every_command() -> None:
    assert {words_of(line)[0] for line in COMMAND_LINES} == set(COMMANDS)
    assert len(COMMAND_LINES) == sum("dbpool loadtest " in line for line in LINES)


def test_the_page_names_no_option_that_there_is_not() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT))
    assert named
    assert named - OPTIONS == set()


def test_the_page_names_every_status_metric_and_exit_code() -> None:
    for name in (*(status.name for status in Status), *SERIES, *NUMBERS):
        assert f"`{name}`" in TEXT, name
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert listed == {DONE, FAILED, USAGE, MISSED, REGRESSED, DOUBTFUL, REFUSED, INTERRUPTED}


def test_what_the_page_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


async def _measured(*words: str, dsn: str) -> dict[str, Any]:
    code, out, err = await run("bench", *words, "-T", "1", "--warmup", "0.2", "-c", "4", "--json", dsn=dsn)
    assert code == DONE, err
    (point,) = json.loads(out)["points"]
    counts: dict[str, Any] = point["counts"]
    return counts


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("transaction", ["transfer.sql", "work:report"])
async def test_a_transaction_of_the_page_works(transaction: str, database: Database) -> None:
    code, _, err = await run("init", database.dsn)
    assert code == DONE, err
    counts = await _measured("-f", transaction, dsn=database.dsn)
    assert counts["ok"] > 0
    assert counts["errors"] == {}
