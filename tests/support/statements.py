"""Statements whose effect on a session is known: each was run on PostgreSQL 18.6 after ``SETUP``, and watched.

Watched were settings, advisory locks, sequences, temporary objects, cursors, prepared statements, LISTEN, roles, the
random seed, dblink connections and an open transaction. HARMLESS statements ran and left nothing; HOSTILE ones each
left something behind (those about XML were not run: the server at hand was built without it). UNPROVEN ones leave
nothing that was watched, or are no SQL, but nobody can tell from a list of names. INVISIBLE ones leave something, and
no text can tell.
"""

from __future__ import annotations

CALL = "set_config('a.b', 'c', false)"

SETUP = """
create table t (id int primary key, a int, b text, c numeric(10, 2), d jsonb, e timestamptz);
insert into t values (1, 1, 'x', 1.5, '{"k": [1, 2]}', now()), (2, 2, 'y', 2.5, '[]', now());
create table leftovers (a int);
create sequence s;
create type pair as (x int, y int);
create extension dblink;
create function leak() returns text language sql as $$ select set_config('a.b', 'c', false) $$;
create function "Leak"(text) returns text language sql as $$ select leak() $$;
create function "pg_catalog.lower"(text) returns text language sql as $$ select leak() $$;
create function "coalesce"(text) returns text language sql as $$ select leak() $$;
create function "values"(int) returns text language sql as $$ select leak() $$;
create function filter(int) returns text language sql as $$ select leak() $$;
create function over(int) returns text language sql as $$ select leak() $$;
create function over() returns text language sql as $$ select leak() $$;
create function columns(int) returns text language sql as $$ select leak() $$;
create function conflict(int) returns bool language sql as $$ select leak() is not null $$;
create function insert(int) returns text language sql as $$ select leak() $$;
create function materialized(int) returns text language sql as $$ select leak() $$;
create function cube(int) returns text language sql as $$ select leak() $$;
create function rollup(int) returns text language sql as $$ select leak() $$;
create function ilike(int) returns text language sql as $$ select leak() $$;
create function "join"(int) returns text language sql as $$ select leak() $$;
create function sets(int) returns text language sql as $$ select leak() $$;
create function set(int) returns text language sql as $$ select leak() $$;
create function "by"(int) returns text language sql as $$ select leak() $$;
create function pg_bac\u212aend_pid() returns text language sql as $$ select leak() $$;
create function leak_of(t) returns text language sql as $$ select leak() $$;
create function leak_sum(int, int) returns int language sql as $$ select 1 from (select leak()) x $$;
create operator ### (leftarg = int, rightarg = int, function = leak_sum);
create domain leaky as text check (leak() is not null);
create view leaky_view as select leak();
create table numbered (id serial, a int);
create procedure leak_it() language sql as $$ select leak() $$;
"""

HARMLESS = [
    *("select 1", "select $1::int", "SELECT id, b FROM t WHERE id = $1", "table t", "values (1, 'a'), (2, $1)"),
    *("(select 1)", "((select 1) union all (select 2)) limit (1)", "select 1; select 2", "select 'a;b', $$;$$"),
    "select count(*), max(a), string_agg(distinct b, ',' order by b) from t group by (a) having (count(*) > 0)",
    'select pg_catalog.lower(b), upper (b), Now ( ), PG_CATALOG . /* x */ abs(a), "abs"(a), '
    '"pg_catalog"."abs"(a) from t',
    "select coalesce(a, 0), nullif(a, 1), greatest(a, 2), least(a, 3), row(a, b), array[a], grouping(a) from "
    "t group by a, b",
    "select cast(a as numeric(10, 2)), a::numeric(5), b::varchar(3), b::character varying(3), e::timestamp(0) from t",
    "select extract(year from e), position('a' in b), substring(b from 1 for (2)), trim(both 'x' from b) from t",
    "select overlay(b placing 'z' from 1), normalize(b), b like ('x' || '%'), b similar to ('x'), b in ('x') from t",
    "select case (a) when (1) then (2) else (3) end, not (a = 1), (a) between (1) and (3), a is distinct from "
    "(1) from t",
    "select a from t where (a, b) in (select 1, 'x') and exists (select 1) and a = any (array[1]) or a > all "
    "(select 0)",
    "select sum(a) over (partition by (b) order by (a)), rank() over w from t window w as (order by a)",
    "select count(*) filter (where a > 1) over (order by a) from t",
    "select percentile_cont(0.5) within group (order by a), mode() within group (order by a) from t",
    "select distinct on (a) a, b from t order by (a), 2 limit (1) offset (0)",
    "select a, b from t group by grouping sets ((a), (b), ())",
    *("select a, b from t group by rollup (a, b)", "select a, b from t group by cube (a, b)"),
    "select t.a from t join (select 1 as a) x on (x.a = t.a) left join t y using (id) cross join lateral "
    "(select t.a) z",
    "select * from generate_series(1, 3) g, unnest($1::int[], $2::text[]) u(a, b), (values (1)) v(c)",
    "select * from unnest(array[1]) with ordinality as u(a, n), unnest(array[2]) with ordinality w(a, n)",
    "select * from json_to_recordset('[]') as r(a int, b text), rows from (generate_series(1, 2), "
    "unnest(array[1])) as f(a, b)",
    "select * from t, lateral jsonb_array_elements(d->'k') k(v), lateral (select lower(b)) l(x)",
    "select * from json_table('[1]'::jsonb, '$[*]' columns (a int path '$', nested path '$.x' columns (b text "
    "path '$')))",
    "select * from xmltable('/r/c' passing (xmlparse(document '<r/>')) columns a int path 'a')",
    "select json_object('a': 1), json_array(1, 2), json_arrayagg(a), jsonb_build_object('a', max(a)) from t",
    "select xmlelement(name a, xmlattributes(b as c), b), xmlforest(b as d), xmlconcat(null) from t",
    "with x as (select 1 as a), y (b) as materialized (select a from x), z(c) as not materialized (table y) "
    "select * from z",
    "with recursive n (i) as (values (1) union all select i + 1 from n where i < 3) select array_agg(i) from n",
    "insert into t (id, a) values (10, 1) returning (id)",
    "insert into public.t as x (id, a) values (11, default) on conflict (id) do update set (a, b) = (1, "
    "excluded.b), c = 2",
    "insert into t (id) select 12 on conflict (id) do nothing",
    "insert into t (id, a) (select 13, 1) on conflict do nothing returning with (old as o, new as n) o.id, n.id",
    "insert into t (id) with x as (select 14 as a) select a from x",
    "insert into leftovers default values",
    "with gone as (delete from leftovers returning a), kept as (insert into leftovers (a) select a from gone "
    "returning a) "
    "insert into leftovers (a) select a from kept",
    "update t set a = a + 1, b = upper(b) from (values (1, 'x')) v(i, j) where t.id = v.i returning t.*",
    "update only t set a = (select 1) where false",
    "delete from t using (select 20 as x) y where t.id = y.x",
    "merge into t using (values (30, 1)) v(id, a) on (t.id = v.id) when matched and (v.a > 0) then update set a = v.a "
    "when not matched then insert (id, a) values (v.id, v.a) returning merge_action(), t.id",
    "select * from t for update skip locked",
    'select 1 as insert, t.insert from (select 1 as "insert") t',
    "select setting as set_config, 1 as setseed, 'set_config(' from pg_catalog.pg_settings limit 1",
    "select count(*) from pg_settings; select current_setting('search_path'), current_schema(), pg_catalog.version()",
    "select random(), clock_timestamp(), gen_random_uuid(), pg_sleep(0), txid_current(), pg_notify('a', 'b')",
    "select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(hashtext('a'), 2)",
    "select collation for (b), current_timestamp(0), interval '1 day', time '10:00', date '2020-01-01' from t",
    "select to_tsvector('english', b) @@ plainto_tsquery('x'), ts_rank(to_tsvector(b), 'x') from t",
    "select json_populate_record(null::pair, '{\"x\": 1}'), (row(1, 2)::pair).x, (array[1, 2])[1], ('{1}'::int[])[(1)]",
    "select left(b, 1), right(b, 1), b collate \"C\", (date '2020-01-01', date '2020-02-01') overlaps "
    "(e::date, e::date) from t",
    "select e at time zone 'UTC', -a, +a, a - -a, a*(2), a/*x*/-(1), @ a, b || ('z') from t",
]

HOSTILE = [
    # one function in many disguises
    *(f"select {CALL}", f"SELECT {CALL.upper().replace('FALSE', 'false')}", f"select pg_catalog.{CALL}"),
    *("select pg_catalog . set_config ('a.b', 'c', false)", "select \"set_config\"('a.b', 'c', false)"),
    *("select \"pg_catalog\".\"set_config\"('a.b', 'c', false)", "select set_config/* x */('a.b', 'c', false)"),
    *("select set_config -- x\n ('a.b', 'c', false)", "select U&\"set\\005fconfig\"('a.b', 'c', false)"),
    "select u&\"set!005fconfig\" uescape '!' ('a.b', 'c', false)",
    # in every place where an expression stands
    *(
        f"select distinct {CALL}",
        f"select distinct on ({CALL}) 1",
        f"select distinct on (1) {CALL}",
        f"select all {CALL}",
    ),
    *(
        f"select 1 where {CALL} = 'c'",
        f"select count(*) from t having {CALL} = 'c'",
        f"select 1 from t group by a, {CALL}",
    ),
    *(f"select 1 from t order by {CALL}", f"select 1 limit length({CALL})", f"select 1 offset length({CALL})"),
    *(
        f"select case when true then {CALL} end",
        f"select case {CALL} when 'x' then 1 end",
        f"select coalesce(null, {CALL})",
    ),
    *(f"select array[{CALL}]", f"select array(select {CALL})", f"select row({CALL})", f"select (({CALL}))"),
    *(f"values ({CALL})", f"(select {CALL})", f"((select '1')) union all (select {CALL})", f"select ({CALL})::text"),
    *(f"select cast({CALL} as text)", f"select 'c' in ({CALL})", f"select 'c' = any (array[{CALL}])"),
    *(
        f"select 'a' between 'a' and {CALL}",
        f"select not ({CALL} = 'c')",
        f"select substring('abc' from length({CALL}))",
    ),
    *(f"select exists (select 1 where {CALL} = 'c')", f"select nullif({CALL}, 'x')", f"select greatest({CALL}, 'x')"),
    *(f"select xmlelement(name a, {CALL})", f"select json_object('a': {CALL})", f"select trim({CALL})"),
    f"select * from json_table(to_jsonb({CALL}), '$' columns (a text path '$'))",
    *(f"with x as (select {CALL}) select * from x", f"with x as materialized (select {CALL}) select * from x"),
    "with set_config(a) as (select 1) select set_config('a.b', 'c', false) from set_config",
    f"with x as (select 1), y as (select {CALL}) select * from x, y",
    f"with recursive x(n) as (select 1 union all select n + 1 from x where n < 2 and {CALL} = 'c') select * from x",
    *(f"select * from {CALL}", f"select * from lateral {CALL}", f"select * from t, lateral {CALL} f(x)"),
    *(f"select * from rows from ({CALL}, abs(1)) as f(a, b)", f"select * from (values ({CALL})) v(a)"),
    f"select * from {CALL} with ordinality as f(a, n)",
    *(f"select count(*) filter (where {CALL} = 'c') from t", f"select sum(1) over (order by {CALL}) from t"),
    f"select rank() over w from t window w as (partition by {CALL})",
    f"select string_agg(b, ',' order by {CALL}) from t",
    f"select percentile_disc(0.5) within group (order by {CALL}) from t",
    f"select 1 from t x join t y on {CALL} = 'c'",
    f"select * from t tablesample system (100 * length({CALL}))",
    f"select 1; select {CALL}",
    *(f"insert into t (id, b) values (100, {CALL})", f"insert into t (id, b) select 101, {CALL}"),
    *(f"insert into t (id) values (102) returning {CALL}", f"insert into leftovers select 1 where {CALL} = 'c'"),
    f"insert into t (id) values (1) on conflict (id) do update set b = {CALL}",
    f"insert into t (id) values (1) on conflict (id) do update set a = 1 where {CALL} = 'c'",
    *(f"update t set b = {CALL} where id = 1", f"update t set a = 1 where {CALL} = 'c'"),
    f"update t set (a, b) = (select 1, {CALL}) where id = 1",
    *(f"delete from t where {CALL} = 'x'", f"with x as (delete from leftovers returning 1) select {CALL} from t"),
    f"merge into t using (select 1 as id) v on t.id = v.id when matched then update set b = {CALL}",
    f"merge into t using (select 99 as id) v on t.id = v.id when not matched then insert (id, b) values (99, {CALL})",
    f"merge into t using (select 1 as id) v on t.id = v.id when matched and {CALL} = 'c' then do nothing",
    # calls without parentheses, or under another name
    *(
        "select (0.5::float8).setseed",
        "select x.setseed from unnest(array[0.5::float8]) x",
        "select treat(0.5::float8 as setseed)",
    ),
    *("select (array[8::bigint])[1].pg_advisory_lock", 'select x . "setseed" from unnest(array[0.5::float8]) x'),
    *("select treat(8::bigint as pg_advisory_lock)", "select x.nextval from unnest(array['s'::regclass]) x"),
    "select x.ts_stat from unnest(array['select set_config(''a.b'', ''c'', false)::tsvector']) x",
    "select pg_catalog.pg_advisory_lock from unnest(array[7::bigint]) pg_catalog",
    # other state
    *("select pg_advisory_lock(1)", "select pg_advisory_lock(1, 2)", "select pg_try_advisory_lock_shared(3)"),
    *("select setseed(0.5)", "select nextval('s')", "select setval('s', 9)"),
    "select dblink_connect('x', 'host=' || host(inet_server_addr()) || ' port=' || inet_server_port() || ' "
    "user=postgres')",
    *(
        "listen x",
        "set a.b = 'c'",
        "set time zone 'UTC'",
        "set role pg_monitor",
        "set session authorization pg_monitor",
    ),
    *("prepare p as select 1", "declare c cursor with hold for select 1", "begin", "call leak_it()", "select leak()"),
    "do $$ begin perform set_config('a.b', 'c', false); end $$",
    f"explain analyze select {CALL}",
    # functions that run SQL given as text
    "select query_to_xml('select set_config(''a.b'', ''c'', false)', true, true, '')",
    "select * from ts_stat('select set_config(''a.b'', ''c'', false)::tsvector')",
    "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, set_config(''a.b'', ''c'', false)::tsquery')",
    "select pg_input_is_valid('x', 'leaky')",
    # a rule behind a view of the server's own
    *(
        "update pg_settings set setting = 'c' where name = 'application_name'",
        "update pg_catalog.\"pg_settings\" set setting = 'c' where name = 'application_name'",
    ),
    "update u&\"pg_setting\\0073\" set setting = 'c' where name = 'application_name'",
    # tables that vanish with the session
    *(
        "create temp table x (a int)",
        "create temp sequence x",
        "create temp view x as select 1",
        "select 1 as a into temp x",
    ),
    *(
        "select 1 as a into pg_temp.x",
        "select 1 insert into temp x",
        "select 1 as insert into temp x",
        "select 1 merge into temp x",
    ),
    *(
        "select t.a insert into temp x from t",
        "select (1) insert into temp x",
        "with y as (select 1 as a) select a insert into temp x from y",
    ),
    *(
        "select i.insert into temp x from (select 1 as insert) i",
        'select 1 "insert" into temp x',
        "create function pg_temp.f() returns int return 1",
    ),
    # users' functions that are named like syntax
    *(
        "select leak()",
        "select public.leak()",
        "select \"Leak\"('a')",
        "select \"pg_catalog.lower\"('a')",
        "select \"coalesce\"('a')",
    ),
    *(
        "select public.values(1)",
        'select "values"(1)',
        "select filter(1)",
        "select over(1)",
        "select columns(1)",
        "select insert(1)",
    ),
    *(
        "select distinct on (a) filter(a) from t",
        "select distinct on (a) over() from t",
        "select distinct on (a) over(a) from t",
    ),
    *(
        "select distinct on (a) ilike(a) from t",
        "select ilike(1)",
        'select "join"(1)',
        'select "join"((select 1))',
        "select distinct on (a) columns(a) from t",
    ),
    *(
        "select materialized(1)",
        "select materialized(1) insert into leftovers_too",
        "select cube(1)",
        "select rollup(1)",
        "select sets(1)",
    ),
    *(
        "select set(1)",
        "select by(1)",
        "select 1 operator(pg_catalog.+) length(leak())",
        "select pg_bac\u212aend_pid()",
    ),
    *(
        "select case when true then insert(1) end",
        "select 1 from t x join t y on conflict(x.a)",
        "select 1 from t order by cube(1)",
    ),
    "insert into leftovers select 1 from t x join t y on conflict(x.a) returning 1 as do",
    "insert into t select x.* from t x join t y on conflict(x.a) where true on conflict do nothing",
    "select * from json_table(to_jsonb(columns(1)), '$' columns (a text path '$'))",
    "select * from t x, leak() as y(a)",
    "select * from json_to_record('{}') as (a int), leak() as y(b)",
]

UNPROVEN = [
    *(
        "vacuum",
        "set local a.b = 'c'",
        "reset all",
        "discard all",
        "create table x (a int)",
        "explain select 1",
        "show all",
    ),
    *("select lo_creat(-1)", "select pg_backend_memory_contexts()", "select pg_reload_conf()", "select currval('s')"),
    *("select set_config('a.b', 'c', true)", "copy t to stdout", "fetch all from c", "notify x", "select unknown(1)"),
    *(
        "select pg_read_file('x')",
        "select pg_catalog.unknown(1)",
        "select pg_temp.f()",
        "select table_to_xml('t', true, true, '')",
    ),
    *("select (1", "select 1)", "select )(", "select f(", "(", "select 1 (2)", "(insert into t values (1))", "x"),
    "with x as (update pg_settings set setting = 'c' where name = 'application_name') select 1",
]

INVISIBLE = [
    *("select * from leaky_view", "select 1 ### 1", "select 'x'::leaky", "select t.leak_of from t"),
    "insert into numbered (a) values (1)",
]
