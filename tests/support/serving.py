"""Programs of a test's own that serve or work until they are told to stop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from tests.support.databases import Database

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0  # for what takes a second on an idle machine


class Process:
    """A running program; ``log`` is what it has said so far, on either stream."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self._news = asyncio.Event()
        self.log = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has said *pattern*."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := re.search(pattern, self.log)):
                assert not self._reading.done(), f"it ended without saying {pattern!r}:\n{self.log}"
                self._news.clear()
                await self._news.wait()
        return found

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    async def end(self) -> int:
        """Wait until it has ended by itself; return its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await self._process.wait()

    async def stop(self) -> int:
        """Tell it to end; return its exit code."""
        self.tell()
        return await self.end()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._reading
        await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log += line.decode()
            self._news.set()
        self._news.set()


class Service(Process):
    """A running web service; ``client`` asks it."""

    client: httpx.AsyncClient


@asynccontextmanager
async def program(*words: str, dsn: str, **environ: str) -> AsyncIterator[Process]:
    """Run ``python`` with *words*; killed at the end of the block if it still runs."""
    async with _started(Process, words, dsn, environ) as process:
        yield process


@asynccontextmanager
async def service(app: str, database: Database | str, *words: str, **environ: str) -> AsyncIterator[Service]:
    """Run *app* under uvicorn, or a module by itself, on a free port of loopback; return once it answers."""
    dsn = database if isinstance(database, str) else database.dsn
    command = ("-m", "uvicorn", app, "--port", "0", *words) if ":" in app else ("-m", app)
    async with _started(Service, command, dsn, {"PORT": "0", **environ}) as process:
        address = (await process.says(r"running on (http://[\d.:]+)"))[1]
        await process.says("Application startup complete")
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S, trust_env=False) as process.client:
            yield process


@asynccontextmanager
async def asked(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app* in this process, without a server, for the length of its life."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://app", timeout=PATIENCE_S) as client:
            yield client


P = TypeVar("P", bound=Process)


@asynccontextmanager
async def _started(kind: type[P], words: tuple[str, ...], dsn: str, environ: dict[str, str]) -> AsyncIterator[P]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBPOOL_", "PYTHON"))}
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        cwd=ROOT,
        env={**kept, "DATABASE_URL": dsn, "PYTHONUNBUFFERED": "1", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    process = kind(started)
    try:
        yield process
    except BaseException as error:
        error.add_note(process.log)
        raise
    finally:
        await process.kill()
