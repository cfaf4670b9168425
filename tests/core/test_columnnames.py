from __future__ import annotations

import pytest

from dbpool.core.columnnames import may_be_named_by_parameter
from dbpool.core.sqltext import tokens


@pytest.mark.parametrize(
    "sql",
    [
        "select row_to_json(x) from (select $1) x",
        "select row_to_json(x) from (select $1::int) x",
        "select row_to_json(x) from (select n, ($1)::int from t) x",
        "select row_to_json(x) from (select cast($1 as int)) x",
        "select row_to_json(x) from (select cast(($1) as int), n as m) x",
        "select row_to_json(x) from (select distinct $1::int) x",
        "select row_to_json(x) from (select distinct on (n) $1::int from t) x",
        "select row_to_json(x) from (select n is distinct from m, $1::int from t) x",
        "select row_to_json(x) from (select case when n > 0 then n else $1 end from t) x",
        "select row_to_json(x) from (select f(a, b), $2 from t) x where $1 > 0",
        "with a as (select $1::int) select * from a natural join b",
        "select to_jsonb(x) from (select n from t union all select $1::int) x",
    ],
)
def test_a_column_without_a_name_of_its_own_may_have_a_parameters(sql: str) -> None:
    assert may_be_named_by_parameter(list(tokens(sql)))


@pytest.mark.parametrize(
    "sql",
    [
        "select $1",
        "select $1::int, $2 from t",
        "select id from t where id in ($1, $2) and n = ($3)",
        "select id from t where exists (select from u where u.id = $1)",
        "select id, f(id, $1), (select max(n) from u where n < $1) from t",
        "with a as (select $1::int as n) select * from a",
        "select x from (select cast($1 as int) as n, n from t order by $2, $1) x",
        "select x from (select n from t limit $1) x",
        "select x from (values ($1, $2), ($3, $4)) x",
        "select x from (select f($1), n + $2, array[$3], row($4) from t) x",
        "select * from f($1, $2)",
        "select x from (select n from t group by n, $1) x",
        ") select $1",
    ],
)
def test_others_have_names_of_their_own(sql: str) -> None:
    assert not may_be_named_by_parameter(list(tokens(sql)))
