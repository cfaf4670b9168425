"""How a command ends: a sentence, a traceback where it was asked for, Ctrl-C from the first moment on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.cli.tool import PATIENCE_S, ended, run, start

REFUSES = "postgresql://me:secret@127.0.0.1:1/shop"
BROKEN = """
import dbpool.tool.jobs as jobs
async def show_all(dsn, *, as_json): raise KeyError(f"no {dsn}")
jobs.show_all = show_all
from dbpool.cli import main; main(prog_name="dbpool")
"""
INTERRUPTED_AT = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from dbpool_command import main; main()
"""


def python(code: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "DATABASE_URL": "", **env}
    )


def test_what_nobody_thought_of_is_one_sentence_without_a_password() -> None:
    answer = python(BROKEN, "jobs", "list", "--dsn", REFUSES)
    assert answer.returncode == 1
    assert answer.stderr == "dbpool: unexpected KeyError: 'no URL'; run with --debug for the traceback\n"


@pytest.mark.parametrize(("words", "variable"), [(["--debug"], ""), ([], "1")])
def test_its_traceback_is_shown_to_whoever_asks(words: list[str], variable: str) -> None:
    answer = python(BROKEN, *words, "jobs", "list", "--dsn", REFUSES, DBPOOL_DEBUG=variable)
    assert answer.returncode == 1
    assert "Traceback (most recent call last)" in answer.stderr
    assert answer.stderr.endswith("dbpool: unexpected KeyError: 'no URL'\n")
    assert "secret" not in answer.stderr


async def test_so_is_that_of_an_error_that_has_a_sentence() -> None:
    code, _, stderr = await run("--debug", "jobs", "list", dsn=REFUSES)
    assert code == 1
    assert "Traceback (most recent call last)" in stderr
    assert "secret" not in stderr
    code, _, stderr = await run("jobs", "list", dsn=REFUSES)
    assert code == 1
    assert len(stderr.splitlines()) == 1
    assert "secret" not in stderr


@pytest.mark.parametrize(
    "module", ["dbpool", "asyncpg", "dbpool.lane", "click", "dbpool.tool.group", "dbpool.tool.jobs"]
)
def test_ctrl_c_while_it_is_loaded_is_a_quiet_end(module: str) -> None:
    answer = python(INTERRUPTED_AT.format(module=module), "jobs", "list", "--dsn", REFUSES)
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "")


async def test_ctrl_c_ends_a_command_that_only_looks() -> None:
    is_met = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_met.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent, asyncio.timeout(PATIENCE_S):
        port = silent.sockets[0].getsockname()[1]
        process = await start("jobs", "list", dsn=f"postgresql://me@127.0.0.1:{port}/shop?sslmode=disable")
        await is_met.wait()
        process.send_signal(signal.SIGINT)
        assert await ended(process) == (130, "", "dbpool jobs list: stopped\n")
