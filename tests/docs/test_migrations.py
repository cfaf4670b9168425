"""docs/migrations.md: its files and commands, from top to bottom, do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dbpool.cli import main
from dbpool.tool.migrate import migrate
from tests.docs.guide import ROOT
from tests.support.databases import Database

PAGE = ROOT / "docs" / "migrations.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NOT_RUN = ("pip install", "export")
EXIT_CODE = re.compile(r"  # exit code (\d+)$")
SHORT_ENV = "migrations/env.py"


@pytest.fixture
def folder(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's files are, and its commands are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "shopmodels", raising=False)
    return tmp_path


def run(line: str) -> None:
    """Run a command of the page, and find the exit code that it says."""
    command, *words = shlex.split(EXIT_CODE.sub("", line))
    assert command == "dbpool"
    answer = CliRunner().invoke(main, words)
    said = EXIT_CODE.search(line)
    assert answer.exit_code == (int(said[1]) if said else 0), f"{line}: {answer.output}"


def test_the_page_from_top_to_bottom(folder: Path) -> None:
    for kind, body in BLOCKS:
        if kind == "python":
            name = body.split("\n", 1)[0].removeprefix("# ")
            if name == SHORT_ENV:
                continue  # it would begin another history: below
            (folder / name).write_text(body)
            if name == "main.py":
                subprocess.run([sys.executable, name], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        for line in body.splitlines() if kind == "sh" else ():
            if not line.startswith(NOT_RUN):
                run(line)


def test_the_short_env_works(folder: Path) -> None:
    files = {body.split("\n", 1)[0].removeprefix("# "): body for kind, body in BLOCKS if kind == "python"}
    (folder / "shopmodels.py").write_text(files["shopmodels.py"])
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / SHORT_ENV).write_text(files[SHORT_ENV])
    for line in ("new orders --autogenerate", "up", "check"):
        run(f"dbpool migrate {line} -f migrations")


def test_the_page_shows_every_command_and_names_no_option_that_there_is_not() -> None:
    shown = set(re.findall(r"dbpool migrate (\w+)", TEXT))
    assert shown == set(migrate.commands) - {"current"}
    options = {name for command in migrate.commands.values() for each in command.params for name in each.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) - options == set()


@pytest.mark.parametrize("line", [f"dbpool {words}" for words in re.findall(r"`dbpool\s(migrate[^`]*)`", TEXT)])
def test_a_command_in_the_text_means_something(line: str) -> None:
    words = shlex.split(line)
    if len(words) > 2:
        assert isinstance(main.commands["migrate"], click.Group)
        migrate.commands[words[2]].make_context(words[2], words[3:], resilient_parsing=True)
