"""The same statement for many items, on a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

import asyncpg
import pytest

from dbpool import (
    BulkFailed,
    ConnectionLost,
    DatabasePool,
    PoolClosed,
    Progress,
    Rate,
    RowMappingError,
    StatementError,
    UsageError,
)
from dbpool.core.batches import Form
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of

SQUARE = "select $1::int as n, $1::int * $1::int as square"
INVERSE = "select 100 / $1::int as inverse"
END_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)
FORMS = [None, *Form]


async def people(db: DatabasePool, count: int = 1000) -> None:
    await db.execute(
        f"create table people (id int primary key, name text not null); "
        f"insert into people select n, 'name ' || n from generate_series(1, {count}) as n; analyze people"
    )


@pytest.mark.every_loop
@pytest.mark.parametrize("form", FORMS)
async def test_each_item_comes_with_its_rows_in_order(database: Database, form: Form | None) -> None:
    async with pool_of(database, 3) as db:
        options = {} if form is None else {"form": form}
        seen = [(key, [tuple(row) for row in rows]) async for key, rows, _ in db.map(SQUARE, range(1200), **options)]  # type: ignore[arg-type]
        assert seen == [(n, [(n, n * n)]) for n in range(1200)]


async def test_items_are_values_or_tuples_of_several(database: Database) -> None:
    async with pool_of(database) as db:
        items = [(n, "x" * n) for n in range(50)]
        assert [(key, value) async for key, value, _ in db.map_val("select $1::int::text || $2::text", items)] == [
            ((n, text), f"{n}{text}") for n, text in items
        ]


async def test_an_item_may_have_no_row_or_many(database: Database) -> None:
    async with pool_of(database) as db:
        sql = "select n from generate_series(1, $1::int) as n order by n desc"
        expected = [list(range(n, 0, -1)) for n in range(20)]
        assert [[row[0] for row in rows] async for _, rows, _ in db.map(sql, range(20))] == expected
        firsts = [row async for _, row, _ in db.map_row(sql, range(20))]
        assert [row and row["n"] for row in firsts] == [None, *range(1, 20)]
        assert [value async for _, value, _ in db.map_val(sql, range(20))] == [None, *range(1, 20)]


@pytest.mark.parametrize("form", FORMS)
async def test_an_item_that_fails_costs_only_itself(database: Database, form: Form | None) -> None:
    async with pool_of(database, 3) as db:
        options = {} if form is None else {"form": form}
        items = [0 if n in (3, 700, 1499) else n for n in range(1, 1501)]
        seen = [item async for item in db.map(INVERSE, items, on_error="collect", **options)]  # type: ignore[arg-type]
        assert [item.key for item in seen] == items
        failed = [number for number, item in enumerate(seen, 1) if item.error is not None]
        assert failed == [3, 700, 1499]
        assert all(isinstance(seen[number - 1].error, asyncpg.DivisionByZeroError) for number in failed)
        assert seen[2].error is not None
        assert seen[2].error.__notes__ == ["item 3"]
        assert all(item.rows == [(100 // item.key,)] for item in seen if item.error is None)


async def test_the_first_error_is_raised_after_the_items_before_it(database: Database) -> None:
    async with pool_of(database) as db:
        seen = []
        with pytest.raises(asyncpg.DivisionByZeroError) as raised:
            async for key, _, _ in db.map(INVERSE, [5, 4, 0, 3, 0] * 10):
                seen.append(key)
        assert seen == [5, 4]
        assert raised.value.__notes__ == ["item 3"]


@pytest.mark.parametrize("item", ["no number", 2**40, None, (1, 2), [1, 2], {"a": 1}])
async def test_a_value_that_does_not_fit_costs_only_itself(database: Database, item: object) -> None:
    async with pool_of(database) as db:
        items = [*range(1, 100), item, *range(100, 200)]
        seen = [item async for item in db.map_val("select $1::int + 1", items, on_error="collect")]
        assert [item.value for item in seen if isinstance(item.key, int) and item.key < 2**31] == list(range(2, 201))
        wrong = seen[99]
        assert wrong.value is None
        assert (wrong.error is None) == (item is None)


async def test_a_list_is_one_value_and_never_several_items(database: Database) -> None:
    async with pool_of(database) as db:
        items = [[n, n + 1] for n in range(100)]
        seen = [value async for _, value, _ in db.map_val("select $1::int[]", items)]
        assert seen == items
        seen = [value async for _, value, _ in db.map_val("select id from unnest($1::int[]) as id limit 1", items)]
        assert seen == list(range(100))


async def test_rows_hide_what_the_batch_added(database: Database) -> None:
    async with pool_of(database) as db:
        await people(db)
        sql = "select id, name from people where id = $1"
        alone = await db.fetchrow(sql, 7)
        assert alone is not None
        rows = [rows[0] async for _, rows, _ in db.map(sql, range(1, 20))]
        row = rows[6]
        assert type(row) is not type(alone)
        assert row == alone
        assert alone == row
        assert hash(row) == hash(alone)
        assert repr(row) == repr(alone)
        assert (len(row), tuple(row), list(row.keys()), list(row.values()), dict(row)) == (
            len(alone),
            tuple(alone),
            list(alone.keys()),
            list(alone.values()),
            dict(alone),
        )
        assert (row[0], row[1], row[-1], row[-2], row[0:2], row["name"]) == (
            7,
            "name 7",
            "name 7",
            7,
            (7, "name 7"),
            "name 7",
        )
        assert list(row.items()) == list(alone.items())
        for key in (2, -3, "_dbp_i", "other"):
            with pytest.raises((IndexError, KeyError)):
                row[key]
            with pytest.raises((IndexError, KeyError)):
                alone[key]
        assert "_dbp_i" not in row
        assert row.get("_dbp_i", 5) == 5
        assert row.get("id") == 7


async def test_rows_go_into_types(database: Database) -> None:
    class Person(NamedTuple):
        id: int
        name: str

    async with pool_of(database) as db:
        await people(db)
        sql = "select id, name from people where id = $1"
        seen = [rows async for _, rows, _ in db.map(sql, range(1, 50), into=Person)]
        assert seen == [[Person(n, f"name {n}")] for n in range(1, 50)]
        firsts = [row async for _, row, _ in db.map_row(sql, range(999, 1003), into=Person)]
        assert firsts == [Person(999, "name 999"), Person(1000, "name 1000"), None, None]
        with pytest.raises(RowMappingError):
            await db.fetch_all("select id from people where id = $1", range(1, 50), into=Person)


async def test_writes_are_done_once_each_and_give_their_rows(database: Database) -> None:
    async with pool_of(database, 3) as db:
        await people(db, 10)
        insert = "insert into people values ($1, $2) returning id, name"
        items = [(n, f"new {n}") for n in range(5, 505)]
        seen = [item async for item in db.map(insert, items, on_error="collect")]
        assert [item.key[0] for item in seen if item.error is not None] == [5, 6, 7, 8, 9, 10]
        assert {type(item.error) for item in seen if item.error is not None} == {asyncpg.UniqueViolationError}
        assert all(item.rows == [item.key] for item in seen if item.error is None)
        assert await db.fetchval("select count(*) from people") == 504
        none = [rows async for _, rows, _ in db.map("update people set name = $2 where id = $1", items)]
        assert none == [[]] * 500
        assert await db.fetchval("select count(*) from people where name like 'new%'") == 500


async def test_few_items_and_none_need_no_plan(database: Database) -> None:
    async with pool_of(database) as db:
        assert [item async for item in db.map(SQUARE, [])] == []
        assert [value async for _, value, _ in db.map_val(SQUARE, [1, 2])] == [1, 2]


async def test_unordered_items_come_as_they_end(database: Database) -> None:
    async with pool_of(database, 2) as db:
        sql = "select pg_sleep($1::int / 1000.0)::text || $1::int"
        seen = [
            key async for key, _, _ in db.map_val(sql, [300, 1, 2], ordered=False, batch=1, at_once=2, form="single")
        ]
        assert seen == [1, 2, 300]


# Ends


async def test_a_cancelled_map_stops_its_statements_and_gives_every_connection_back(database: Database) -> None:
    sql = "select pg_advisory_xact_lock($1)"
    async with pool_of(database, 3) as db, witness_of(database) as witness, witness.holding(1):

        async def run() -> None:
            async for _ in db.map(sql, [1] * 100, at_once=3, batch=1, form="many"):
                pass

        task = asyncio.create_task(run())
        await witness.until_blocked(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await witness.until_none_blocked()
        await settled(db)


async def test_a_loop_that_is_left_gives_every_connection_back(database: Database) -> None:
    async with pool_of(database, 3) as db:
        async for key, _, _ in db.map(SQUARE, range(100_000)):
            if key == 10:
                break
        await settled(db)


async def test_a_session_that_ends_in_the_middle_costs_nothing_where_the_statement_only_reads(
    database: Database,
) -> None:
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        seen = []
        async for key, value, _ in db.map_val("select $1::int + 1", range(30_000)):
            seen.append((key, value))
            if key % 5000 == 0:
                await witness.run(END_OTHERS)
        assert seen == [(n, n + 1) for n in range(30_000)]


async def test_conflicts_are_tried_again(database: Database) -> None:
    async with pool_of(database, 4) as db:
        await db.execute("create table counters (id int primary key, n int not null)")
        await db.execute("insert into counters select id, 0 from generate_series(1, 40) as id")
        ups = [n % 40 + 1 for n in range(400)]
        downs = list(reversed(ups))

        async def count(items: list[int]) -> None:
            async for _ in db.map("update counters set n = n + 1 where id = $1", items, retry=50, at_once=2):
                pass

        await asyncio.gather(count(ups), count(downs))
        assert await db.fetchval("select sum(n) from counters") == 800


async def test_a_batch_that_is_too_slow_is_sent_in_smaller_ones(database: Database) -> None:
    async with pool_of(database, 1) as db:
        items = [1] * 20
        sql = "select $1::int from pg_sleep(0.05)"
        seen = [value async for _, value, _ in db.map_val(sql, items, form="many", timeout=0.5)]
        assert seen == items


async def test_no_large_batch_is_begun_before_a_small_one_was_quick(database: Database) -> None:
    async with pool_of(database, 4) as db:
        sql = "select now() from pg_sleep($1::float)"  # the same now() for a batch
        begun = [value async for _, value, _ in db.map_val(sql, [0.01] * 60, form="many")]
        sizes = list(Counter(begun).values())
        assert max(sizes) == sizes[0] == 8


# What it is told, what it tells


async def test_progress_ends_with_all_of_it(database: Database) -> None:
    told: list[Progress] = []
    async with pool_of(database) as db:
        items = [0, *range(1, 1000)]
        async for _ in db.map(INVERSE, items, on_error="collect", progress=told.append):
            pass
        assert (told[-1].items, told[-1].failed, told[-1].total) == (1000, 1, 1000)
        assert told[-1].per_s > 0
        assert told[-1].left_s == 0


async def test_a_rate_is_kept(database: Database) -> None:
    clock = asyncio.get_running_loop().time
    async with pool_of(database) as db:
        times = [clock()]
        times += [clock() async for _ in db.map(SQUARE, range(30), rate=Rate(100, burst=1), batch=1)]
        assert times[-1] - times[0] >= 29 / 100


async def test_fetch_all_tells_every_failure_and_keeps_the_rest(database: Database) -> None:
    async with pool_of(database) as db:
        assert await db.fetch_all(SQUARE, range(10)) == [[(n, n * n)] for n in range(10)]
        with pytest.raises(BulkFailed, match="2 of 10 items failed, the first of them item 1") as raised:
            await db.fetch_all(INVERSE, [0, 1, 2, 0, 4, 5, 6, 7, 8, 9])
        assert list(raised.value.failures) == [0, 3]
        assert raised.value.rows[1] == [(100,)]
        assert raised.value.rows[0] is None


async def test_fetch_all_keeps_the_order_whatever_it_is_told(database: Database) -> None:
    async with pool_of(database, 2) as db:
        sql = "select $1::int, pg_sleep($1::int / 1000.0)::text"
        seen = await db.fetch_all(sql, [300, 1, 2], ordered=False, batch=1, at_once=2, form="single")
        assert [rows[0][0] for rows in seen] == [300, 1, 2]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"on_error": "ignore"}, "on_error must be one of 'raise', 'collect', not 'ignore'"),
        ({"form": "fast"}, "form must be one of 'lateral', 'unfenced', 'many', 'single', not 'fast'"),
        ({"at_once": 0}, "at_once must be a whole number of at least 1, not 0"),
        ({"batch": 0}, "batch must be"),
        ({"retry": 0}, "retry must be"),
        ({"timeout": 0}, "timeout must be"),
        ({"rate": 5}, "rate must be a Rate"),
        ({"retries": 7}, "there is no option retries=; there are ordered=, at_once=, "),
        ({"progress": 5}, "progress= is a function that takes a Progress, not 5"),
        ({"into": 5}, "into= is a type, or a function"),
    ],
)
async def test_options_that_mean_nothing_are_refused(database: Database, options: dict[str, object], what: str) -> None:
    async with pool_of(database) as db:
        with pytest.raises((UsageError, ValueError), match=what):
            db.map(SQUARE, [1], **options)  # type: ignore[arg-type]


async def test_a_value_goes_into_no_type(database: Database) -> None:
    async with pool_of(database) as db:
        with pytest.raises(UsageError, match="into= is for rows: map_val gives one value of an item"):
            db.map_val(SQUARE, [1], into=dict)


@pytest.mark.parametrize("items", ["abc", b"abc", 5, None])
async def test_what_holds_no_items_is_refused(database: Database, items: object) -> None:
    async with pool_of(database) as db:
        with pytest.raises(UsageError, match=r"items (is a|must be)"):
            db.map(SQUARE, items)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("", StatementError),
        ("select 1; select 2", StatementError),
        ("begin", StatementError),
        ("copy t from stdin", StatementError),
        ("selct $1::int", asyncpg.PostgresSyntaxError),
        ("select * from nowhere where id = $1::int", asyncpg.UndefinedTableError),
    ],
)
async def test_a_statement_that_can_never_work_is_refused(database: Database, sql: str, error: type[Exception]) -> None:
    async with pool_of(database) as db:
        with pytest.raises(error):
            await db.fetch_all(sql, range(10))


async def test_what_cannot_be_sent_as_asked_is_refused(database: Database) -> None:
    async with pool_of(database) as db:
        with pytest.raises(StatementError, match=r"form='lateral' cannot be used here: random\(\) may give"):
            await db.fetch_all("select $1::int + random()", range(10), form="lateral")


async def test_a_pool_that_closes_ends_it(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness, witness.holding(1):

        async def run() -> None:
            async for _ in db.map("select pg_advisory_xact_lock($1)", [1] * 5, form="many"):
                pass

        task = asyncio.create_task(run())
        await witness.until_blocked()
        await becomes(lambda: db.stats().held == 1)
        await db.close(timeout=0.1)
        with pytest.raises((PoolClosed, ConnectionLost)):
            await task
