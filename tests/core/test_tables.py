"""What may be written to a table, decided from its description."""

from __future__ import annotations

import pytest

from dbpool.core.tables import Column, Table
from dbpool.core.writesql import Repeat, Staged, upsert
from dbpool.errors import StatementError


def column(name: str, **traits: bool) -> Column:
    return Column(name=name, type="integer", type_id=23, **traits)


TABLE = Table(
    schema="shop",
    relation="Orders",
    columns=(column("id", is_identity_always=True), column("a"), column("b"), column("sum", is_generated=True)),
    unique=(frozenset({"id"}), frozenset({"a", "b"})),
)


def test_a_row_without_names_has_what_can_be_given_and_the_key() -> None:
    assert TABLE.all_names() == ("a", "b")
    assert TABLE.all_names(key=["id"]) == ("id", "a", "b")


def test_the_key_is_a_set_of_columns() -> None:
    TABLE.check_key(["b", "a"])
    for key in ["a"], ["a", "b", "id"], ["sum"]:
        with pytest.raises(StatementError, match=r"There are: \(id\), \(a, b\)"):
            TABLE.check_key(key)


def test_columns_that_make_their_values_may_be_matched_but_not_written() -> None:
    TABLE.check_given(["id", "a"], only_matched=["id"])
    TABLE.check_given(["sum", "a"], only_matched=["sum"])
    for name in "id", "sum":
        with pytest.raises(StatementError, match=f"'{name}'"):
            TABLE.check_given([name, "a"])


@pytest.mark.parametrize(("names", "why"), [(["x"], "no 'x'"), (["a", "a"], "more than once"), ([], "no columns")])
def test_columns_that_make_no_sense_are_refused(names: list[str], why: str) -> None:
    with pytest.raises(StatementError, match=why):
        TABLE.check_given(names)


def test_what_waits_for_types_of_another_kind_has_another_name() -> None:
    other = Table(schema="shop", relation="Orders", columns=(column("a"), Column(name="b", type="text", type_id=25)))
    names = {
        Staged(table=TABLE, columns=("a", "b")).name,
        Staged(table=TABLE, columns=("b", "a")).name,
        Staged(table=other, columns=("a", "b")).name,
    }
    assert len(names) == 3
    assert Staged(table=TABLE, columns=("a", "b")).name in names


def test_an_upsert_takes_its_rows_in_the_order_of_the_key() -> None:
    sql = upsert(Staged(table=TABLE, columns=("a", "b")), ("b",), ("a",), Repeat.LAST)
    assert sql.startswith(
        'INSERT INTO "shop"."Orders" AS t ("a", "b") SELECT DISTINCT ON ("b") "a", "b" FROM "pg_temp".'
    )
    assert 'ORDER BY "b", "dbpool_ordinal" DESC ON CONFLICT ("b") DO UPDATE SET "a" = excluded."a"' in sql
