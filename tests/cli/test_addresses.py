"""The address of a server as the commands take it."""

from __future__ import annotations

import pytest

from tests.cli.tool import run
from tests.support.databases import Database


async def test_an_address_as_sqlalchemy_writes_it_is_taken(database: Database) -> None:
    dsn = database.dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    assert await run("query", "select 7 as n", dsn=dsn) == (0, "n\n7\n", "")


@pytest.mark.parametrize("words", [("doctor",), ("query", "select 1")])
async def test_a_file_for_tls_that_is_not_there_is_told_as_that(words: tuple[str, ...]) -> None:
    dsn = "postgresql://app:canary@127.0.0.1:1/shop?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"
    code, out, err = await run(*words, dsn=dsn)
    assert (code, out) == (1, "")
    assert "Check that the file of sslrootcert is there and can be read." in " ".join(err.split())
    assert "not_listening" not in err
    assert "server runs" not in err


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("postgresql://app:canary@localhost/shop?sslmode=canary", "sslmode is none of disable, allow, prefer"),
        ("postgresql+asyncpg://app:canary@localhost/shop?ssl=canary", "sslmode is none of disable, allow, prefer"),
        ("postgresql+asyncpg://app:canary@localhost/shop?command_timeout=5", "set query_timeout"),
        ("mysql+asyncmy://app:canary@localhost/shop", "it must begin with postgresql:// or postgres://"),
    ],
)
@pytest.mark.parametrize("words", [("doctor",), ("query", "select 1"), ("jobs", "list"), ("export", "users", "-")])
async def test_a_wrong_one_is_refused_at_once(dsn: str, says: str, words: tuple[str, ...]) -> None:
    code, out, err = await run(*words, dsn=dsn)
    assert (code, out) == (2, "")
    assert says in " ".join(err.split())
    assert "canary" not in err
