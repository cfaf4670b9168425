"""The commands for many rows, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

MAIN = "from dbpool.cli import main; main(prog_name='dbpool')"
PATIENCE_S = 40.0


async def start(*words: str, dsn: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    env = {**os.environ, "DATABASE_URL": dsn, "COLUMNS": "100"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, *words, stdin=stdin, stdout=pipe, stderr=pipe, env=env
    )


async def ended(process: asyncio.subprocess.Process, text: str | None = None) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(None if text is None else text.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run(*words: str, dsn: str) -> tuple[int, str, str]:
    return await ended(await start(*words, dsn=dsn))


def numbers(folder: Path, count: int, name: str = "ids.csv") -> str:
    path = folder / name
    path.write_text("id\n" + "".join(f"{n}\n" for n in range(1, count + 1)))
    return str(path)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
