"""Where a pool's server is, and what is remembered of its texts."""

from __future__ import annotations

import pytest

from dbpool import DatabasePool, Dsn
from dbpool.core.permits import Line
from dbpool.observing import Asked, Operation
from dbpool.telemetry.described import LONGEST_KEPT, Describer, address_of


@pytest.mark.parametrize(
    ("dsn", "address"),
    [
        ("postgresql://app:s3cret@db.example/shop", {"server.address": "db.example"}),
        ("postgresql://app@db.example:5432/shop", {"server.address": "db.example"}),
        ("postgresql://app@db.example:6432/shop", {"server.address": "db.example", "server.port": 6432}),
        ("postgresql://app@[::1]:6432/shop", {"server.address": "::1", "server.port": 6432}),
        ("postgresql://app@[::1]/shop", {"server.address": "::1"}),
        ("postgresql://app@/shop?host=/run/postgresql", {"server.address": "/run/postgresql"}),
        (
            "postgresql://app@/shop?host=/run/postgresql&port=5433",
            {"server.address": "/run/postgresql", "server.port": 5433},
        ),
        ("postgresql://app@one:1,two:2/shop", {}),
        ("postgresql:///shop", {}),
    ],
)
def test_an_address_is_told_where_there_is_only_one(dsn: str, address: dict[str, str | int]) -> None:
    assert address_of(Dsn(dsn)) == address


def test_a_text_is_described_once_unless_it_is_long() -> None:
    db = DatabasePool("postgresql://app@nowhere/shop")
    describer = Describer(db.dsn, record_text=True)

    def described(sql: str) -> object:
        return describer.describe(Operation(db.observing, Asked.STATEMENT, Line(), None, sql))

    assert described("select 1") is described("select 1")
    long = f"select '{'x' * LONGEST_KEPT}'"
    assert described(long) is not described(long)
    assert described(long) == described(long)


def test_a_text_that_cannot_be_read_has_no_attribute_with_its_constants() -> None:
    db = DatabasePool("postgresql://app@nowhere/shop")
    operation = Operation(db.observing, Asked.STATEMENT, Line(), None, "select 's3cret")
    found = Describer(db.dsn, record_text=True).describe(operation)
    assert found.name == "shop"
    assert "s3cret" not in str(found)
