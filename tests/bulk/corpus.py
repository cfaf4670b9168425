"""Statements for many items: what each is asked with, and in which form it must be sent."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dbpool.core.batches import Form

COUNT = 12
LATERAL, UNFENCED, MANY, SINGLE = Form

SCHEMA = """
create table acc (id int primary key, grp int not null, name text not null, v int, day date not null, amount numeric);
insert into acc select n, n % 100, 'name ' || n % 500, nullif(n % 50, 0), date '2024-01-01' + n % 365, n / 7.0
  from generate_series(1, 5000) n;
create index on acc (grp, id);
create index on acc (name text_pattern_ops);
create table ord (id int primary key, acc int not null, at timestamptz not null, status text not null);
insert into ord select n, n % 2000 + 1, timestamptz '2024-01-01 00:00+00' + n * interval '1 hour',
  case when n % 1000 = 0 then 'failed' else 'done' end from generate_series(1, 10000) n;
create index on ord (acc, at);
create index on ord (status);
create table team (id int, league int, name text);
insert into team select n, n % 7, 'team ' || n from generate_series(1, 60) n;
create table spread (id int primary key, k int, v int);
insert into spread select n, n % 50, n * 7919 % 1000 from generate_series(1, 5000) n;
create index on spread (k, v);
create table few (id int, grp int);
insert into few select n, n % 3 from generate_series(1, 12) n;
create table part (id int not null, v text, primary key (id)) partition by range (id);
create table part_1 partition of part for values from (0) to (1000);
create table part_2 partition of part for values from (1000) to (2000);
insert into part select n, 'part ' || n from generate_series(0, 1999) n;
create table "Odd "" Table" (" id" int primary key, "A.b" text, "sélect" text, "$1" text);
insert into "Odd "" Table" select n, 'a' || n, 'b' || n, 'c' || n from generate_series(1, 500) n;
create table own (id int primary key, _dbp_i int);
insert into own select n, n * 10 from generate_series(1, 100) n;
create table writes (id int primary key, n int not null check (n < 90), name text default 'x');
create view totals as select grp, count(*) as n, sum(amount) as total from acc group by grp;
create view lucky as select id, name, random() as luck from acc;
create view hidden as select id, name from acc order by id limit 4 + (random() > 2)::int;
create view hiding as select id from hidden;
create view locking as select id, name from acc for update;
create function double(int) returns int language sql immutable as 'select $1 * 2';
create function stable_count(int) returns bigint language sql stable as 'select count(*) from acc where grp = $1';
create function definer(int) returns text language plpgsql stable security definer set search_path = pg_catalog
  as 'begin return (select name from public.acc where id = $1); end';
create function touched() returns trigger language plpgsql as 'begin return new; end';
create function half(int) returns int language plpgsql stable
  as 'begin if $1 % 7 = 3 then raise exception ''no half of %'', $1; end if; return $1 / 2; end';
create function unlabelled(int) returns int language plpgsql as 'begin return $1; end';
create function touchy(int) returns boolean language plpgsql as 'begin return $1 > 0; end';
create function many_of(int) returns setof int language sql immutable as 'select generate_series(1, $1)';
create function unlabelled_2(int, int) returns int language plpgsql as 'begin return $1 + $2; end';
create operator @@@ (leftarg = int, rightarg = int, function = unlabelled_2);
create aggregate wild (int) (sfunc = unlabelled_2, stype = int, initcond = 0);
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create domain code as varchar(3) not null;
create domain ints as int[];
create domain checked as int check (touchy(value));
create domain checked_2 as checked not null;
create domain many_checked as checked_2[];
create domain pairs as pair;
create type floats as range (subtype = float8);
create schema "Other";
create type "Other"."Mixed Mood" as enum ('a', 'B');
create table "Other".acc (id int primary key, name text);
insert into "Other".acc select n, 'other ' || n from generate_series(1, 3000) n;
create type celsius as (degrees int);
create function to_celsius(int) returns celsius language sql as 'select row($1)::celsius';
create cast (int as celsius) with function to_celsius(int);
analyze;
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A statement, and what makes its items.

    Args:
        form: in which ``map`` must send it of its own accord.
        fresh: what is run before each time that its items are.
        after: what must give the same afterwards.
        since: the server's version that knows it.
        count: how many items it is asked with.
    """

    sql: str
    item: Callable[[random.Random], object]
    form: Form = LATERAL
    fresh: str = ""
    after: str = ""
    since: int = 0
    count: int = COUNT

    def items(self) -> list[object]:
        seeded = random.Random(self.sql)
        return [self.item(seeded) for _ in range(self.count)]


def number(low: int, high: int, *others: object) -> Callable[[random.Random], object]:
    """A whole number; or now and then one of *others*, NULL among them."""
    return lambda seeded: seeded.choice((None, *others)) if seeded.random() < 0.25 else seeded.randint(low, high)


def one_of(*values: object) -> Callable[[random.Random], object]:
    return lambda seeded: seeded.choice(values)


def several(*makers: Callable[[random.Random], object]) -> Callable[[random.Random], object]:
    return lambda seeded: tuple(make(seeded) for make in makers)


def each(values: Sequence[Any]) -> Callable[[random.Random], object]:
    """*values*, and NULL, among which lists and tuples are single values."""
    return lambda seeded: (seeded.choice([*values, None]),)


ID = number(1, 5100, -1, 2**31 - 1)
WRONG = number(1, 5100, "7", 2**31, 1.5, True, [1, 2], {"a": 1}, (1, 2), (), b"1")
SMALL = number(0, 6, -1)
WORD = one_of("a", "name 7", "name 499", "", "it's $1", "é", None, "'; --", "\\", 'q"q', "x" * 1000)
RESET = "truncate writes; insert into writes (id, n) select n, n from generate_series(1, 9) n"
WRITTEN = "select * from writes order by id"
NEW = several(number(1, 30), number(1, 95))

QUERIES = [
    # the shapes of bulk.md §2.4
    Case("select * from acc where id = $1", ID),
    Case("select id, name from acc where id = $1", WRONG),
    Case("select count(*), sum(amount), max(day) from acc where grp = $1", SMALL),
    Case("select id, at from ord where acc = $1 order by at desc limit 3", ID),
    Case("select a.name, o.id from acc a join ord o on o.acc = a.id where a.id = $1 order by o.id", ID),
    Case("select id from acc where name = $1 order by id", WORD),
    Case("select id from acc where id = any ($1) order by id", lambda r: (r.sample(range(1, 5000), 3),), MANY),
    Case("select id from acc where id = $1 or id = $1 + 1 order by id", ID),
    Case("select id from acc where id > $1 order by id limit $2", several(ID, number(0, 3, -1))),
    Case("select id from acc where id > $1 order by id offset $2 fetch first $3 rows only", several(ID, SMALL, SMALL)),
    Case("select id from acc where grp = $1 order by grp fetch first $2 rows with ties", several(SMALL, number(1, 2))),
    Case("select $1::date + $2::interval, $1::date - interval '1 day'", several(one_of(None), one_of(None))),
    Case("select id from acc where id in ($1, $2) order by id", several(ID, ID)),
    Case("select id from acc where id between $1 and $1 + 9 order by id", ID),
    Case(
        "with a as (select id, grp from acc where id = $1) select a.id, b.id from a join acc b using (grp) "
        "order by b.id limit 5",
        ID,
    ),
    Case(
        "select id, row_number() over w, lag(id, $2) over w from acc where grp = $1 window w as (order by id desc)",
        several(SMALL, number(0, 3)),
    ),
    Case(
        "select id, sum(v) over (order by id rows $2 preceding) from acc where grp = $1 order by id limit 9",
        several(SMALL, number(0, 3, -1)),
    ),
    Case("select id from acc where id = $1 union select -id from acc where id = $1 + 1 order by 1", ID),
    Case("select exists (select from ord where acc = $1), $1::int", ID),
    Case(
        "select a.id, o.id from acc a left join ord o on o.acc = a.id and o.id % 2 = 0 where a.id = $1 order by 2", ID
    ),
    Case(
        "select id, name from acc where name like $1 order by id",
        one_of("name 7", "name 49_", "name 12%", "none"),
        MANY,
    ),
    Case(
        "select id from acc where ($1::int is null or id = $1) and ($2::text is null or name = $2) order by id limit 5",
        several(ID, WORD),
        MANY,
    ),
    Case("select name from team where league = $1", SMALL, UNFENCED),
    Case("select id from few where grp = $1", SMALL),
    Case("select t.name, u.name from team t join team u on u.id = t.league where t.id = $1", SMALL),
    Case("select id from acc where v = $1 order by id limit 3", SMALL),
    Case("select id, at from ord where status = $1 order by id limit 1", one_of("failed", "done", "other", None)),
    # §2.2
    Case("with recursive t(n) as (select 1 union all select n + 1 from t where n < $1) select n from t", number(0, 5)),
    Case(
        "select grp, v, count(*) from acc where id < $1 group by grouping sets ((grp), (v), ()) order by 1, 2",
        number(1, 20),
    ),
    Case("select distinct on (grp) grp, id from acc where id < $1 order by grp, id desc", number(1, 40)),
    Case("values ($1::int, $2::text), (1, 'one')", several(ID, WORD)),
    Case("select from acc where id = $1", ID),
    Case("select count($1::int), max($1::int)", ID, MANY),
    Case("with a as (insert into writes values ($1, $2) returning id) select * from a", NEW, SINGLE, RESET, WRITTEN),
    Case("select id from acc where id = $1;", ID),
    Case("select id from acc where id = $1 ; ; -- $2", ID),
    Case("select $1::int, $2", several(ID, WORD)),
    Case("select $1, $1, $2::int as x, 5 as x, 'a' || $1", several(WORD, ID)),
    Case("select id, random() > 2 as no from acc where id = $1", ID, MANY),
    Case("select (select random() > 2), $1::int", ID, MANY),
    Case("with r as materialized (select random() > 2 as no) select no, $1::int from r", ID, MANY),
    Case("select id, luck > 2 as no from lucky where id = $1", ID, MANY),
    Case("select case when $1::int = 17 then clock_timestamp() > now() end", number(1, 9), MANY),
    # what is called where a plan does not tell it
    Case("select (select max(x) > 2 from (values (random()), (0)) v(x)), $1::int", ID, MANY),
    Case("select (select x > 2 from (values (random())) v(x)), $1::int", ID, MANY),
    Case("select id from acc where id > $1 order by id limit 1 + (random() > 2)::int", ID, MANY),
    Case("select id from acc where id > $1 order by id offset (random() > 2)::int", number(4990, 5100), MANY),
    Case("select id from acc where id > $1 order by id limit 1 @@@ 1", ID, MANY),
    Case('select id from acc where id > $1 order by id limit U&"\\0061bs"(1)', ID, MANY),
    Case("select id from hiding where id > $1", SMALL, MANY),
    Case("select sum(id) over (order by id rows (random() > 2)::int preceding) from few where grp = $1", SMALL, MANY),
    Case("select (random() + 9)::int in (select id from few where grp > 5), $1::int", ID, MANY),
    Case("select id as touched from few where grp = $1 order by id limit 2", SMALL),
    Case("select x from (values (abs($1::int)), (5)) v(x) order by x", ID),
    Case("select id from acc where id = $1 for update", ID, SINGLE),
    Case("select id from locking where id = $1", ID, SINGLE),
    Case("select set_config('app.a', $1, true), current_setting('app.a', true)", WORD, SINGLE),
    Case("select pg_advisory_xact_lock($1)::text", number(1, 99), SINGLE),
    Case("select count(*) from team", lambda _: (), MANY),
    Case("select id from acc tablesample bernoulli ($1) repeatable (5) where id < 50", one_of(0, 50, 100, 101, None)),
    Case("select count(*) > 0 from acc tablesample system ($1)", one_of(100, 101, None), MANY),
    Case("insert into writes values ($1, $2) returning id, n, name", NEW, MANY, RESET, WRITTEN),
    Case("insert into writes (id, n) values ($1, $2)", NEW, MANY, RESET, WRITTEN),
    Case(
        "insert into writes (id, n) values ($1, $2) on conflict (id) do update set n = excluded.n + 1 returning * -- x",
        NEW,
        MANY,
        RESET,
        WRITTEN,
    ),
    Case(
        "update writes set n = n + $2 where id = $1 returning n, (select max(id) from writes) as most;",
        NEW,
        MANY,
        RESET,
        WRITTEN,
    ),
    Case("delete from writes where id = $1 returning *", number(1, 9), MANY, RESET, WRITTEN),
    Case(
        "merge into writes w using (values ($1::int, $2::int)) s(id, n) on w.id = s.id when matched then delete "
        "when not matched then insert (id, n) values (s.id, s.n)",
        NEW,
        MANY,
        RESET,
        WRITTEN,
    ),
    Case(
        "merge into writes w using (values ($1::int, $2::int)) s(id, n) on w.id = s.id when matched then update "
        "set n = s.n returning merge_action(), w.n",
        NEW,
        MANY,
        RESET,
        WRITTEN,
        since=17,
    ),
    # whose first row is another one where fewer rows are wanted
    Case("select a.id from spread a join spread b on a.v = b.v where a.k = $1", SMALL),
    Case("select id, half(id) from acc where grp = $1 order by v", number(0, 99)),
    Case("select id from acc where grp = $1 order by v % 2", number(0, 99)),
    Case("select half(id) from acc where grp = $1", number(0, 99)),
    # errors of single items
    Case("select 100 / $1::int, $1::int", number(-1, 1)),
    Case("select id, 100 / (id - $1) from acc where id between $1 and 3 order by id desc", number(1, 4)),
    Case("select $1::text::int + $2", several(one_of("1", "x", "", "99999999999", None), ID)),
    Case("select $1::text::date", one_of("2024-01-01", "null", "{", None)),
    Case("select ($1::int + 2147483000)::int, $2::text || 'x'", several(number(0, 999), WORD)),
    Case("select n from generate_series($1::int, 3, $2) n", several(number(0, 4), number(-1, 1))),
    Case("select $1::text", one_of("a", "b\0c", "\ud800", None, 5, b"a")),
]

OTHERS = [
    # names
    Case('select " id", "A.b" as "x""y", "sélect", "$1" from "Odd "" Table" where " id" = $1', ID),
    Case("select id as a, name as a, $1::int as a, grp from acc where id = $1", ID),
    Case(
        """select '$1', $1::int as "$2", $$ $1 $$, a$1, e'\\'$1' /* $1 /* $3 */ */ from (values (5)) v(a$1) -- $9""", ID
    ),
    Case("select row_to_json(a)::text from (select $1::int, $2::text) a", several(ID, WORD), MANY),
    Case("select row_to_json(a)::text from (select $1::int as n, $2::text as t) a", several(ID, WORD)),
    Case("select * from (select $1::int) a natural join (select 5::int) b", number(4, 6), MANY),
    Case(
        "with a as (select case when id > 5 then id else $1 end from acc where id = $1) select to_jsonb(a) from a",
        number(1, 9),
        MANY,
    ),
    Case("select _dbp_p._dbp_a1 from (values (5)) _dbp_p(_dbp_a1) where $1::int > 0", ID, SINGLE),
    Case("select * from own where id = $1", ID, SINGLE),
    Case("select o.id from own o where id = $1", ID),
    # what the server's parser must see as before
    Case("select 2-$1::int, -$1::int, @ $1::int, 2-$1-1 as x", number(-9, 9)),
    Case("select $1::varchar(3), $1::char(5), $1::char, $2::numeric(5, 2), $2::int", several(WORD, number(0, 2000))),
    Case("select $1 collate \"C\" < 'b', lower($1) || $2 from acc where id = 1", several(WORD, WORD)),
    Case('select name from acc where name > $1 collate "C" order by name collate "C", id limit 2', WORD),
    Case("select ($1::jsonb)['a'], $1::jsonb -> 'a' ->> 0, $1::jsonb ? 'a'", one_of('{"a": [1]}', "[]", None, "{")),
    Case(
        "select id from acc where id = $1 and day < $2::text::date order by id", several(ID, one_of("2025-01-01", None))
    ),
    Case("select coalesce($1, 5), nullif($1, 3), greatest($1, 2), case $1 when 1 then 'a' else 'b' end", SMALL),
    Case("select $1::int as n union all select id from acc where id = $1 order by 1", ID),
    Case(
        "select a.id, b.n from acc a, lateral (select count(*) as n from acc c where c.grp = a.grp) b where a.id = $1",
        ID,
    ),
    Case("select id, generate_series(1, $2) from acc where id = $1", several(ID, number(0, 3))),
    Case("select * from many_of($1) as n where n > 1", number(0, 4)),
    Case("select id, $2::text from acc where id = $1 group by id, $2::text order by $2", several(ID, WORD)),
    Case("select acc, row(id, $1::int), array[$1, id] from acc where id = $1", ID),
    Case("select x.* from acc, lateral (values (id, $1), ($1, grp)) x where id = $1", ID),
    Case("select grp, total from totals where grp = $1", SMALL),
    Case("select * from part where id = $1", number(0, 2100)),
    Case('select id, name from "Other".acc where id = $1', ID),
    Case('select $1::"Other"."Mixed Mood"', one_of("a", "B", "A", None)),
    Case(
        "select id from acc where grp in (select id from team where league = $1 and id < 20) order by id limit 4", SMALL
    ),
    Case(
        "select id from acc where not exists (select from ord where ord.acc = acc.id and ord.id = $1) "
        "order by id limit 2",
        ID,
    ),
    Case(
        "select max(amount) filter (where id < $2), string_agg(name, $3) from acc where grp = $1 and id < 99",
        several(SMALL, ID, WORD),
    ),
    Case("select id from acc where (id, grp) = ($1, $2)", several(number(1, 9), number(1, 9))),
    Case("(select id from acc where id = $1) except all select $2::int", several(number(1, 3), number(1, 3))),
    Case(
        "select $12::int - $1::int, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11",
        lambda r: (r.randint(1, 9), *"abcdefghij", r.randint(1, 9)),
    ),
    # functions, operators, casts, checks
    Case("select stable_count($1), double($1), now() > '2020-01-01'", SMALL),
    Case("select definer($1), current_setting('search_path'), current_user", ID),
    Case("select unlabelled($1)", ID, MANY),
    Case("select $1 @@@ 1", ID, MANY),
    Case("select wild(id) from acc where grp = $1", SMALL, MANY),
    Case("select $1::int::celsius::text", SMALL, MANY),
    Case("select (double($1))::checked", SMALL, MANY),
    Case("select (double($1))::checked_2", SMALL, MANY),
    Case("select (array[double($1)])::many_checked::text", SMALL, MANY),
    # values
    Case("select $1::positive + 1, $1", number(-1, 3)),
    Case("select case when $2 then $1::positive end", several(number(-1, 3), one_of(True, False))),
    Case("select $1::code", one_of("abc", "abcd", "", None)),
    Case("select $1::ints", each([[1], [1, 2], [], [[1, 2], [3, 4]], [None], 5]), MANY),
    Case("select $1::pairs", each([(1, "a"), (2, None), (1,)]), MANY),
    Case("select $1::pair, ($1).b", each([(1, "a"), (2, None), (1,), [1, "b"], {"a": 1, "b": "x"}]), MANY),
    Case("select $1::mood, $1 > 'sad'", one_of("sad", "happy", "HAPPY", None)),
    Case("select $1::int", each([[1], [2], (3,), {"a": 1}, {1}, range(1)]), MANY),
    Case("select id from acc where id = $1 and grp = $2", one_of(*((n, n) for n in range(20)), [1, 1], (), (1, 2, 3))),
]
