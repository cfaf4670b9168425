"""docs/guides/pool-size.md: its sums are right, its figures were measured, its commands mean something."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import click
import pytest

from dbpool.cli import main
from dbpool.stats import PoolStats
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "guides" / "pool-size.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)
MEASURED = (ROOT / "docs" / "performance.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


def without_figures(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "n", text)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    printed = await asyncio.to_thread(printed_by, program, tmp_path, database.dsn)
    assert program.shown is not None
    if program.needs_server:  # what it measures is another machine's
        printed, shown = without_figures(printed), without_figures(program.shown)
    else:
        shown = program.shown
    assert printed == shown


def test_the_figures_are_those_of_the_benchmarks() -> None:
    table = MEASURED.partition("### A load that changes twice, 60 tasks")[2].partition("###")[0]
    measured = re.findall(r"^\| (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", table, re.MULTILINE)
    shown = re.findall(r"^\| (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", TEXT, re.MULTILINE)
    assert shown
    assert shown == measured


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_means_something(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("checkout.sql").write_text("select 1;")
    _, *words = shlex.split(line)
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, words)


def test_the_numbers_that_it_looks_at_are_there() -> None:
    for name in re.findall(r"`stats\(\)\.(\w+)`", TEXT):
        assert name in PoolStats.__annotations__
    assert {"held", "capacity"} <= set(PoolStats.__annotations__)
