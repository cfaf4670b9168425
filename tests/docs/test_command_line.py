"""docs/command-line.md: its commands mean something, and what it shows is what they print."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

from dbpool.cli import main
from dbpool.tool.running import DONE, FAILED, INTERRUPTED, MEANS_NOTHING, SOME_FAILED
from tests.cli.tool import MAIN
from tests.docs.guide import ROOT
from tests.support.databases import Database
from tests.support.terminals import at_a_terminal

PAGE = ROOT / "docs" / "command-line.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHOWN = [
    (body, following)
    for (kind, body), (kind_after, following) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if (kind, kind_after) == ("sh", "text")
]
PROGRAMS = [body for kind, body in BLOCKS if kind == "sh"]


def calls_of(scripts: list[str]) -> list[list[str]]:
    """The words of each call of ``dbpool`` in shell scripts, as a shell reads them."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / ".local/share/bash-completion/completions").mkdir(parents=True)
        noting = """pip() { :; }; dbpool() { printf '%s\\0' "$@" >>"$HOME/calls"; printf '\\1' >>"$HOME/calls"; }\n"""
        subprocess.run(["sh", "-c", noting + "\n".join(scripts)], env={**os.environ, "HOME": home}, check=True)
        calls = (Path(home) / "calls").read_text().split("\1")
    return [call.split("\0")[:-1] for call in calls if call]


CALLS = calls_of(PROGRAMS)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_a_command_of_the_page_means_something(
    call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@localhost/shop")
    command: click.Command = main
    context = main.make_context("dbpool", list(call))
    words = [*context._protected_args, *context.args]  # noqa: SLF001 - click tells them to nobody else
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command, context = found, found.make_context(name, list(words), parent=context)
        words = [*context._protected_args, *context.args]  # noqa: SLF001 - as above


def test_the_page_shows_every_command_and_exit_code() -> None:
    used = {word for call in CALLS for word in call[:2]}
    assert set(main.commands) <= used
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert listed == {DONE, FAILED, MEANS_NOTHING, SOME_FAILED, INTERRUPTED}


def test_what_the_page_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


async def test_commands_print_what_the_page_shows(database: Database, tmp_path: Path) -> None:
    program = tmp_path / "dbpool"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'dbpool'\n{MAIN}\n")
    program.chmod(0o755)
    (tmp_path / "shop.py").write_text("".join(body for kind, body in BLOCKS if kind == "python"))
    env = {
        "DATABASE_URL": database.dsn,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }

    def printed(script: str) -> str:
        run = f"import os; os.chdir({str(tmp_path)!r}); os.execvp('sh', ['sh', '-e', '-c', {script!r}])"
        with at_a_terminal(run, columns=100, lines=40, env=env) as terminal:
            assert terminal.end() == 0, terminal.text
            return terminal.text.strip() + "\n"

    assert len(SHOWN) == 5
    for script, expected in SHOWN:
        assert await asyncio.to_thread(printed, script) == expected
