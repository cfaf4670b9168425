"""``dbpool loadtest``, in a process of its own or, where that is not what is looked at, in this one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from dbpool.cli import main

MAIN = "from dbpool.cli import main; main(prog_name='dbpool')"
PATIENCE_S = 120.0  # pytest's own time limit comes first, but where a test has a longer one
QUICK = ("-T", "0.5", "--warmup", "0.2", "-c", "2")


async def start(*words: str, dsn: str = "", folder: Path | None = None) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {"COLUMNS": "120"} | ({"DATABASE_URL": dsn} if dsn else {})
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, "loadtest", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env=env,
        cwd=folder,
        start_new_session=True,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run(*words: str, dsn: str = "") -> tuple[int, str, str]:
    return await ended(await start(*words, dsn=dsn))


def told(*words: str, dsn: str = "") -> tuple[int, str, str]:
    """What ``run`` gives, without a new process; for tests whose own loop does not run."""
    env = {"COLUMNS": "120", "DATABASE_URL": dsn or None}
    result = CliRunner().invoke(main, ("loadtest", *words), prog_name="dbpool", env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


async def measured(*words: str, dsn: str, code: int = 0) -> dict[str, Any]:
    return _document(await run("bench", *words, "--json", dsn=dsn), code)


def measured_here(*words: str, dsn: str, code: int = 0) -> dict[str, Any]:
    """The same in this process; the load has processes of its own all the same."""
    return _document(told("bench", *words, "--json", dsn=dsn), code)


def _document(answer: tuple[int, str, str], code: int) -> dict[str, Any]:
    returned, out, err = answer
    assert returned == code, err
    document: dict[str, Any] = json.loads(out)
    assert document["exit_code"] == code
    return document


def script(folder: Path, text: str) -> str:
    path = folder / "script.sql"
    path.write_text(text)
    return str(path)
