"""The command that says what processors a server elsewhere uses: real shells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dbpool.loadtest.server.command import NoReading, ServerCommand, cpu_of
from dbpool.loadtest.server.connecting import Session, close, lifeline
from dbpool.loadtest.server.sampler import Sampler
from dbpool.loadtest.server.watch import Watch
from tests.support.databases import Database
from tests.support.pools import becomes, until


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    session = await lifeline(database.dsn, "run")
    yield session
    await close(session)


async def taken(command: ServerCommand) -> float | None:
    command.begin()
    return await until(lambda: _async(command.take()))


async def _async(value: float | None) -> float | None:
    return value


async def test_a_look_has_what_the_command_said_since_the_look_before(session: Session) -> None:
    told: list[str] = []
    watch = Watch(60.0, server_cmd="""echo '{"cpu": 3.25, "more": 1}'""")
    sampler = Sampler(session, is_local=True, watch=watch, warn=lambda code, _: told.append(code))
    assert (await sampler.look()).cpu is None

    async def cpu() -> float | None:
        return (await sampler.look()).cpu

    assert await until(cpu) == 3.25
    assert not told


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 3", "exit code 3"),
        ("echo nonsense", "printed no JSON"),
        ("true", "printed no JSON"),
        ("""echo '{"cpu": "many"}'""", "no number"),
        ("/no/such/program", "exit code 127"),
        ("sleep 60", "took longer than 0.2 s"),
    ],
)
async def test_a_command_that_does_not_say_is_told_once_and_holds_nothing_up(
    session: Session, command: str, why: str
) -> None:
    told: list[str] = []
    watch = Watch(0.2, server_cmd=command)
    sampler = Sampler(session, is_local=True, watch=watch, warn=lambda _, text: told.append(text))
    running = asyncio.create_task(sampler.run())
    await becomes(lambda: told)
    before = len(sampler.take())
    await becomes(lambda: len(sampler._samples) > 2)  # noqa: SLF001 - it goes on
    running.cancel()
    await asyncio.wait([running])
    samples = sampler.take()
    assert before
    assert [sample.cpu for sample in samples] == [None] * len(samples)
    assert all(sample.took_ms < 30_000 for sample in samples)
    assert len(told) == 1
    assert why in told[0]


async def test_what_the_command_started_is_ended_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = ServerCommand(f"sleep 60 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait", limit_s=60)
    command.begin()
    await becomes(pid_file.exists)
    await command.stop()

    await becomes(lambda: _has_ended(int(pid_file.read_text())))
    assert command.take() is None


async def test_what_is_ended_while_it_starts_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start: Any = asyncio.create_subprocess_shell
    pid_file, may_go_on = tmp_path / "pid", asyncio.Event()

    async def starts_slowly(command: str, **options: object) -> object:
        process = await start(command, **options)
        await may_go_on.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_shell", starts_slowly)
    command = ServerCommand(f"sleep 60 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait", limit_s=60)
    command.begin()
    await becomes(pid_file.exists)
    stopping = asyncio.create_task(command.stop())
    await asyncio.sleep(0.01)
    may_go_on.set()
    await stopping
    await becomes(lambda: _has_ended(int(pid_file.read_text())))


def _has_ended(pid: int) -> bool:
    psutil = pytest.importorskip("psutil")
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_a_command_that_runs_is_not_started_a_second_time(tmp_path: Path) -> None:
    command = ServerCommand(f"echo x >> {tmp_path}/runs; sleep 0.1; echo '{{\"cpu\": 1}}'", limit_s=60)
    command.begin()
    assert command.take() is None
    assert await taken(command) == 1.0
    assert (tmp_path / "runs").read_text() == "x\n"


@pytest.mark.parametrize("said", [b"", b"[]", b"3", b'{"cpu": true}', b'{"cpu": -1}', b'{"cpu": Infinity}', b"\xff"])
def test_what_is_no_number_of_processors_is_no_reading(said: bytes) -> None:
    with pytest.raises(NoReading):
        cpu_of(said)
