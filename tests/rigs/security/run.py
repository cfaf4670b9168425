"""Addresses and servers by the hundred thousand, broken and hostile, and not a word of the password anywhere."""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeAlias

from dbpool import DatabasePool, DbPoolError, InsecureConnection, SettingsError
from dbpool.web import status_app
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.security.addresses import CANARY, address, good
from tests.rigs.security.peers import Peers
from tests.rigs.security.said import everything_logged, of_error, of_pool
from tests.support.asgiclient import ask
from tests.support.hostile import Client, asks, hostile_server

AT_A_TIME = 100  # addresses, between two pools that connect
PROGRESS_S = 5.0

Look: TypeAlias = Callable[[str, str], None]


def run(seconds: float, seed: int, say: Say) -> Findings:
    """See the module; the same addresses for the same *seed*, as many as there is time for."""
    found = Findings("security")
    began = time.monotonic()
    asyncio.run(_run(found, began + seconds, random.Random(seed), say, f"--seconds {seconds:.0f} --seed {seed}"))
    found.took_s = time.monotonic() - began
    return found


async def _run(found: Findings, until: float, rng: random.Random, say: Say, words: str) -> None:
    peers, told_at = Peers(), time.monotonic()
    heard = bytearray()
    replay = f"python -m tests.rigs security {words}"
    asyncio.get_running_loop().set_debug(True)  # asyncio's own log, too

    def look(text: str, where: str) -> None:
        found.done["texts searched"] += 1
        if CANARY in text:
            found.violations.append(Violation("M11", f"the password stands in {where}", replay))

    async def script(client: Client) -> None:
        client.say(rng.choice(_HOSTILE))
        with suppress(Exception):
            await client.message()

    with everything_logged() as log:
        async with hostile_server(script, heard) as port:
            while time.monotonic() < until and not found.violations:
                for _ in range(AT_A_TIME):
                    dsn = address(rng)
                    _read(dsn, found, look)
                    peers.read(dsn)
                await _connect(good(rng, 1 if rng.random() < 0.5 else port), found, look)
                look(log.take(), "a log")
                if CANARY.encode() in heard:
                    found.violations.append(Violation("M11", "the password went out in clear text", replay))
                if time.monotonic() - told_at > PROGRESS_S:
                    told_at = time.monotonic()
                    say(f"{found.done['addresses']:,} addresses, {found.done['pools']:,} pools, none said the password")
    found.figures |= peers.figures()


def _read(dsn: str, found: Findings, look: Look) -> None:
    found.done["addresses"] += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            db = DatabasePool(dsn)
    except SettingsError as error:
        found.done["addresses refused"] += 1
        found.faults[87] += 1
        look(of_error(error), "an error")
    else:
        if CANARY not in f"{db.settings.dsn.user}{db.settings.dsn.host}{db.settings.dsn.database}":
            look(of_pool(db), "what a pool says of itself")  # else it was no password that stood there


async def _connect(dsn: str, found: Findings, look: Look) -> None:
    found.done["pools"] += 1
    db = DatabasePool(dsn, 2, outage_patience=0.001, connect_timeout=5.0, acquire_timeout=5.0)
    try:
        async with asyncio.timeout(10):
            await db.open()
    except DbPoolError as error:
        found.done["errors of connecting"] += 1
        if isinstance(error.__cause__, InsecureConnection):
            found.faults[89 if "rounds" in str(error) else 88] += 1
        # our own frames here hold the address
        look(of_error(error.with_traceback(_theirs(error)), with_locals=True), "an error or its frames")
    page = status_app(db)
    for path in ("/", "/status.json"):
        look((await ask(page, "GET", path)).text, "the status page")
    look(of_pool(db), "what a pool says of itself")
    await db.close(timeout=1.0)


def _theirs(error: BaseException) -> TracebackType | None:
    """The frames behind this module's own."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename == __file__:
        found = found.tb_next
    return found


_HOSTILE = (
    asks(3),
    asks(0) + asks(3),
    asks(10, b"SCRAM-SHA-256\0\0") + asks(11, b"r=x,s=eA==,i=2147483647"),
    asks(10, b"SCRAM-SHA-256\0\0") + asks(0),
    asks(5, b"salt") + asks(3),
    asks(99),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"",
)
