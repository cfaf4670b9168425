"""``dbpool doctor`` on real servers, with poolers between, and where it cannot connect."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.tool import PATIENCE_S, run
from tests.support.databases import Database
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, pgbouncer
from tests.support.pools import witness_of
from tests.support.server import Server
from tests.support.terminals import at_a_terminal

SHELL = "from dbpool.cli import main; main(prog_name='dbpool')"


async def examined(dsn: str, *words: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """The exit code, the document, and the levels of its findings."""
    code, out, err = await run("doctor", *words, "--json", dsn=dsn)
    assert not err
    document = json.loads(out)
    return code, document, {finding["code"]: finding["level"] for finding in document["findings"]}


def password_of(dsn: str) -> str:
    return urlsplit(dsn).password or "there is none"


async def test_a_superuser_on_a_test_server_is_told_what_hurts(shop: Database) -> None:
    code, document, levels = await examined(shop.dsn, "--instances", "2", "--surge", "2", "--reserve", "10")
    assert code == 3  # fsync is off on test servers
    assert document["schema"] == "dbpool.doctor/1"
    assert document["worst"] == "problem"
    assert levels["settings.fsync"] == "problem"
    assert levels["role.superuser"] == "warning"
    assert levels["settings.statement_timeout"] == "warning"
    assert levels["tables.jobs"] == "ok"
    assert levels["pooler.use"] == "ok"
    pool, server = document["pool"], document["server"]
    assert pool["max_connections"] == (pool["usable"] - pool["others"] + pool["others_of_role"] - 10) // 4
    assert (server["database"], server["is_standby"], server["is_pooled"]) == (shop.name, False, False)
    assert 0 < server["round_trip_ms"] <= server["connect_ms"] + 1000
    assert password_of(shop.dsn) not in json.dumps(document)


async def test_a_role_with_few_rights_is_told_what_it_cannot_see(database: Database, server: Server) -> None:
    role = f"few_{database.name}"
    dsn = urlsplit(database.dsn)
    async with witness_of(database) as witness:
        await witness.run(f"create role {role} login password 'secret' connection limit 7")
        await witness.run(f"alter role {role} set statement_timeout = '5s'")
        await witness.run("revoke select on pg_settings, pg_stat_activity from public")
        try:
            netloc = f"{role}:secret@{dsn.netloc.rpartition('@')[2]}"
            _, document, levels = await examined(dsn._replace(netloc=netloc).geturl(), "--instances", "3")
        finally:
            await witness.run("grant select on pg_settings, pg_stat_activity to public")
            await witness.run(f"drop role {role}")
    assert document["pool"] is None
    assert levels["limits.slots"] == levels["settings.all"] == levels["pooler.use"] == "not available"
    assert levels["role.rights"] == "ok"
    assert "secret" not in json.dumps(document)


@pytest.mark.parametrize(("program", "keeps"), [(PROGRAM, "ok"), (OLD_PROGRAM, "advice")])
async def test_a_pooler_in_transaction_mode_is_found(server: Server, program: str, keeps: str) -> None:
    async with pgbouncer(server.admin, max_client_conn=20, program=program) as dsn:
        _, document, levels = await examined(dsn)
    assert document["server"]["is_pooled"] is True
    assert (levels["pooler.mode"], levels["pooler.prepared"]) == ("advice", keeps)


@pytest.mark.parametrize("program", [PROGRAM, OLD_PROGRAM])
async def test_a_pooler_in_statement_mode_is_a_problem_and_all_else_is_looked_at(server: Server, program: str) -> None:
    async with pgbouncer(server.admin, max_client_conn=20, program=program, mode="statement") as dsn:
        code, _, levels = await examined(dsn)
    assert (code, levels["pooler.mode"]) == (3, "problem")
    assert levels["role.superuser"] == "warning"
    assert "settings.all" not in levels


async def test_a_pooler_with_one_connection_is_found_too(server: Server) -> None:
    async with pgbouncer(server.admin, max_client_conn=20, pool_size=1) as dsn:
        _, _, levels = await examined(dsn)
    assert levels["pooler.mode"] == "advice"


async def test_the_revision_of_a_users_own_migrations_is_not_taken_for_ours(shop: Database) -> None:
    async with witness_of(shop) as witness:
        await witness.run("create table if not exists alembic_version (version_num text)")
        await witness.run("delete from alembic_version; insert into alembic_version values ('zzz')")
        assert (await examined(shop.dsn))[2]["tables.jobs"] == "ok"
        await witness.run("drop table dbpool_version")
        assert (await examined(shop.dsn))[2]["tables.jobs"] == "not available"


async def test_warnings_count_where_it_is_strict(database: Database, server: Server) -> None:
    async with witness_of(database) as witness:
        settings = ("fsync", "full_page_writes")
        if any([await witness.value(f"select current_setting('{name}') = 'off'") for name in settings]):
            code, _, _ = await examined(database.dsn, "--strict")
            assert code == 3
            return
    assert [(await examined(database.dsn, *words))[0] for words in ([], ["--strict"])] == [0, 3]


@pytest.mark.parametrize(
    ("dsn", "code", "says"),
    [
        ("postgresql://me:secret@127.0.0.1:1/shop", 1, "not_listening"),
        ("postgresql://me:secret@127.0.0.1:1/shop?sslmode=never", 2, "sslmode is none of"),
        ("mysql://me:secret@127.0.0.1/shop", 2, "must begin with postgresql://"),
    ],
)
async def test_what_is_no_server_is_one_sentence(dsn: str, code: int, says: str) -> None:
    returned, out, err = await run("doctor", dsn, dsn="")
    assert (returned, out) == (code, "")
    assert says in err
    assert "secret" not in err
    assert "Traceback" not in err


async def test_a_wrong_password_is_one_sentence(database: Database) -> None:
    dsn = urlsplit(database.dsn)
    wrong = dsn._replace(netloc=f"{dsn.username}:mistake@{dsn.netloc.rpartition('@')[2]}").geturl()
    code, _, err = await run("doctor", wrong, dsn="")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "(denied)" in err
    assert "mistake" not in err


async def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent, asyncio.timeout(PATIENCE_S):
        dsn = f"postgresql://me@127.0.0.1:{silent.sockets[0].getsockname()[1]}/shop?sslmode=disable"
        code, _, err = await run("doctor", dsn, "--timeout", "0.3", dsn="")
    assert (code, "did not answer in time" in err) == (1, True), err


@pytest.mark.parametrize("columns", [40, 80, 120])
async def test_it_fits_a_terminal(database: Database, columns: int) -> None:
    with at_a_terminal(SHELL, ["doctor", database.dsn], columns=columns, lines=150) as terminal:
        assert await asyncio.to_thread(terminal.end) in (0, 3)
    shown = " ".join(terminal.text.split())
    assert "! role postgres is a superuser" in shown
    assert "DatabasePool(dsn, max_connections=" in shown
    assert password_of(database.dsn) not in shown
    assert max(map(len, terminal.lines)) <= min(columns, 110)
    assert "…" not in shown
