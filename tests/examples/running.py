"""An example in a process of its own, as its reader runs it."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.docs.guide import ROOT

PATIENCE_S = 40.0


async def begun(name: str, *words: str, dsn: str = "", **env: str) -> asyncio.subprocess.Process:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DBPOOL_", "OPENAI_"))}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, "DATABASE_URL": dsn, "PYTHONUTF8": "1", **env},
    )


async def printed(name: str, *words: str, dsn: str = "", **env: str) -> str:
    """What it prints; it must succeed, and complain of nothing."""
    process = await begun(name, *words, dsn=dsn, **env)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode()
