"""``dbpool migrate``: what it prints, how it exits."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from dbpool.cli import main
from tests.cli.tool import ended, run, start
from tests.support.databases import Database
from tests.support.migrationfolders import Steps

NOWHERE = "postgresql://user:geheim@127.0.0.1:1/shop"


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    steps = Steps(tmp_path / "migrations")
    steps.sql("a1", "create table mine ()", "drop table mine")
    steps.sql("b2", "alter table mine add x int", "alter table mine drop x", after="a1")
    return steps


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("migrate", *arguments), env={"DATABASE_URL": ""})


def test_a_database_is_migrated_up_and_down(database: Database) -> None:
    at = ("--dsn", database.dsn)
    assert invoke("current", *at).stdout == "never migrated\n"
    assert invoke("up", *at).exit_code == 0
    assert invoke("current", *at).stdout == "0001\n"
    assert invoke("up", *at).stdout == "nothing to do: the database is at 0001\n"
    assert invoke("down", *at, "base").exit_code == 0
    assert invoke("current", *at).stdout == "never migrated\n"


def test_what_ran_is_told_with_how_long_it_took(database: Database, steps: Steps) -> None:
    at = ("--dsn", database.dsn, "-f", str(steps.path))
    first, second, summary = invoke("up", *at).stdout.splitlines()
    assert first.startswith("a1  step a1  0.")
    assert second.startswith("b2  step b2  0.")
    assert summary.startswith("2 steps in ")
    assert summary.endswith("the database is at b2")
    answer = invoke("down", *at, "--json", "--", "-1")
    told = json.loads(answer.stdout)
    assert (told["before"], told["after"], told["error"]) == (["b2"], ["a1"], None)
    assert [(ran["revision"], ran["tries"]) for ran in told["ran"]] == [("b2", 1)]
    assert 0 < told["ran"][0]["took_s"] <= told["took_s"]


def test_status_and_history(database: Database, steps: Steps) -> None:
    at = ("--dsn", database.dsn, "-f", str(steps.path))
    assert invoke("up", *at, "a1").exit_code == 0
    shown = invoke("status", *at).stdout
    assert "at a1 (table alembic_version)" in shown
    assert "1 step\n" in shown
    assert "b2 (step b2)" in shown
    told = json.loads(invoke("status", *at, "--json").stdout)
    assert (told["current"], told["heads"], told["is_up_to_date"]) == (["a1"], ["b2"], False)
    assert [step["id"] for step in told["pending"]] == ["b2"]
    assert invoke("history", "-f", str(steps.path)).stdout.splitlines() == [
        "a1  step a1  (after nothing)",
        "b2  step b2  (after a1)",
    ]
    assert [step["after"] for step in json.loads(invoke("history", "-f", str(steps.path), "--json").stdout)] == [
        [],
        ["a1"],
    ]


def test_check_exits_with_3_where_steps_are_pending_or_models_differ(
    database: Database, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    (steps.path.parent / "mymodels.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\nsa.Table('mine', metadata, sa.Column('x', sa.Integer))\n"
    )
    monkeypatch.chdir(steps.path.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    at = ("--dsn", database.dsn, "-f", str(steps.path), "--metadata", "mymodels:metadata")
    answer = invoke("check", *at)
    assert (answer.exit_code, answer.stdout) == (3, "pending: a1 (step a1)\npending: b2 (step b2)\n")
    assert invoke("up", *at[:4]).exit_code == 0
    assert invoke("check", *at).exit_code == 0
    assert invoke("down", *at[:4], "--", "-1").exit_code == 0
    (steps.path / "versions" / "b2_step.py").unlink()
    answer = invoke("check", *at)
    assert (answer.exit_code, answer.stdout) == (3, "differs: add column mine.x\n")
    assert json.loads(invoke("check", *at, "--json").stdout)["differences"] == ["add column mine.x"]
    file = Path(invoke("new", "x for mine", *at, "--autogenerate").stdout.strip())
    assert "op.add_column(" in file.read_text()


def test_new_makes_a_folder_and_sql_needs_no_database(tmp_path: Path) -> None:
    answer = invoke("new", "first of all", "-f", str(tmp_path / "m"), "--rev-id", "0001")
    assert Path(answer.stdout.strip()).is_file()
    shown = invoke("sql", "-f", str(tmp_path / "m"))
    assert "INSERT INTO alembic_version" in shown.stdout
    assert "DELETE FROM alembic_version" in invoke("sql", "-f", str(tmp_path / "m"), "--down", "0001:base").stdout


def test_a_step_that_fails_is_told_with_those_that_ran(database: Database, steps: Steps) -> None:
    steps.sql("c3", "alter table nothing add x int", after="b2")
    answer = invoke("up", "--dsn", database.dsn, "-f", str(steps.path), "--json")
    told = json.loads(answer.stdout)
    assert answer.exit_code == 1
    assert [ran["revision"] for ran in told["ran"]] == ["a1", "b2"]
    assert answer.stderr == f"dbpool migrate up: {told['error']}\n"
    assert 'in step c3 (step c3): relation "nothing" does not exist (42P01)' in told["error"]


@pytest.mark.parametrize("command", [("up",), ("down", "base"), ("status",), ("current",), ("check",)])
def test_a_server_that_cannot_be_reached_is_one_sentence(command: tuple[str, ...]) -> None:
    answer = invoke(*command, "--dsn", NOWHERE)
    assert answer.exit_code == 1
    assert answer.stderr.startswith(f"dbpool migrate {command[0]}: cannot connect to migrate")
    assert len(answer.stderr.splitlines()) == 1
    assert "geheim" not in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("up", "-f", "nowhere", "--dsn", NOWHERE), 1, "does not exist: dbpool migrate new"),
        (("history", "-f", "nowhere"), 1, "does not exist"),
        (("up",), 2, "--dsn"),
        (("up", "--dsn", "mysql://user:geheim@host/shop"), 2, "--dsn"),
        (("up", "--dsn", NOWHERE, "--lock-timeout", "nan"), 2, "--lock-timeout"),
        (("up", "--dsn", NOWHERE, "--table-lock-timeout", "0.0001"), 2, "--table-lock-timeout"),
        (("up", "--dsn", NOWHERE, "--table-lock-patience", "-1"), 2, "--table-lock-patience"),
        (("new", "x", "-f", "nowhere", "--autogenerate"), 2, "--autogenerate compares with a database"),
        (("sql", "--down", "base"), 1, "Say a range"),
        (("check", "--dsn", NOWHERE, "--metadata", "nowhere:m"), 1, "cannot be imported"),
    ],
)
def test_what_means_nothing_is_one_sentence(words: tuple[str, ...], code: int, sentence: str) -> None:
    answer = invoke(*words)
    assert answer.exit_code == code
    assert sentence in answer.stderr
    assert "geheim" not in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("module", ["alembic", "sqlalchemy"])
async def test_a_missing_package_is_named_with_what_installs_it(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from dbpool.cli import main; main(prog_name='dbpool')"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "migrate", "status", "--dsn", NOWHERE),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    returncode, out, err = await ended(child)
    assert (returncode, out) == (1, "")
    assert module in err
    assert "pip install 'dbpool[cli,embedded,migrations]'" in err


async def test_ctrl_c_rolls_the_step_back_and_says_what_stays(database: Database, steps: Steps) -> None:
    steps.add("c3", "op.execute('create table gone ()')\nop.execute('select pg_sleep(60)')", after="b2")
    child = await start("migrate", "up", "-f", str(steps.path), dsn=database.dsn)
    watcher = await asyncpg.connect(database.dsn)
    try:
        while not await watcher.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        ):
            assert child.returncode is None
            await asyncio.sleep(0.05)
        child.send_signal(signal.SIGINT)
        returncode, out, err = await ended(child)
        assert await watcher.fetchval("select to_regclass('gone')") is None
    finally:
        await watcher.close()
    assert returncode == 130
    assert [line[:2] for line in out.splitlines()] == ["a1", "b2"]
    assert err.splitlines()[-1] == (
        "dbpool migrate up: stopped; the step that was under way is rolled back, those before it stay applied"
    )


async def test_a_long_step_says_that_it_goes_on_and_for_whom_it_waits(database: Database, steps: Steps) -> None:
    assert (await run("migrate", "up", "-f", str(steps.path), dsn=database.dsn))[0] == 0
    steps.sql("c3", "alter table mine add y int", after="b2")
    reader = await asyncpg.connect(database.dsn, server_settings={"application_name": "long report"})
    try:
        await reader.execute("begin; select * from mine")
        words = ("migrate", "up", "-f", str(steps.path), "--table-lock-timeout", "0.3", "--table-lock-patience", "3")
        returncode, _, err = await run(*words, dsn=database.dsn)
    finally:
        await reader.close()
    *progress, sentence = err.splitlines()
    assert returncode == 1
    assert any(line.startswith("migrate up: 0 of 1, c3 ") for line in progress)
    assert "Last seen in the way: pid" in sentence
    assert "(long report)" in sentence
