"""Finds the quickest form of a statement that is proven to give what one statement for each item gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from dbpool.bulk.volatility import volatile_in
from dbpool.connection import PooledConnection, PostgresError
from dbpool.core.batches import ORDINAL, Form, Text, could_be_items, from_text, lateral, many, read
from dbpool.core.columns import Args
from dbpool.core.jsontext import Kind
from dbpool.core.planshape import Plan, is_better_as_a_whole, keeps_order, locks_rows, lost_index
from dbpool.errors import StatementError
from dbpool.faults import is_lost, is_refused_by_driver

PLANNED_ITEMS = 100  # of the batch that is planned: what a fence keeps is the same for more, what none does is not
MOST_SAMPLES = 3
_OTHER_COLUMNS = "as a batch its columns would be others"

# What asyncpg encodes in an array as it does alone. In a domain it is the type below that counts, but the array is one
# of the domain, so that its checks are made where they are made alone.
_TYPES = """
WITH RECURSIVE base AS (
    SELECT p.number, t.oid, t.typtype, t.typbasetype, t.typcategory, t.typname,
           quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name, t.typarray <> 0 AS has_array, t.typelem
    FROM unnest($1::oid[]) WITH ORDINALITY AS p(oid, number)
    JOIN pg_catalog.pg_type t ON t.oid = p.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  UNION ALL
    SELECT base.number, t.oid, t.typtype, t.typbasetype, t.typcategory, t.typname, base.name, base.has_array, t.typelem
    FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd'
)
SELECT name, has_array AND typtype NOT IN ('c', 'm', 'p') AND typcategory <> 'A'
       AND typname <> ALL (ARRAY['path', 'polygon']::name[]) AS fits,
       CASE WHEN oid = ANY ('{json,jsonb}'::regtype[]) THEN 'JSON' WHEN typcategory <> 'A' THEN 'PLAIN'
            WHEN typelem = ANY ('{json,jsonb}'::regtype[]) THEN 'JSON_ARRAY' ELSE 'ARRAY' END AS kind
FROM base WHERE typtype <> 'd' ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a statement is run for many items.

    Args:
        form: the one that is used.
        sql: what is sent in that form.
        many: the same for MANY, to which a batch falls back whose values fit no array; "" if that cannot be.
        why: why not a quicker form; "" if there is none.
        correct: the forms that would give the same rows.
        types: of the parameters, as SQL has them.
    """

    text: Text
    form: Form
    sql: str
    many: str
    why: str
    correct: frozenset[Form]
    types: tuple[str, ...]

    @classmethod
    def one_by_one(cls, text: Text, sql: str, why: str) -> BatchPlan:
        """One that nothing had to be found out for."""
        return cls(text, Form.SINGLE, sql, "", why, frozenset({Form.SINGLE}), ())

    def most_of(self, items: int) -> int:
        """How many of *items* a batch may have: without a fence, no more than were planned."""
        return min(items, PLANNED_ITEMS) if self.form is Form.UNFENCED else items

    def as_form(self, form: Form) -> BatchPlan:
        """The same in MANY, or in its own form."""
        return self if form is self.form else replace(self, form=form, sql=self.many)

    def __str__(self) -> str:
        why = f"; no quicker form, for {self.why}" if self.why else ""
        return f"{self.form.name.lower()}: {self.form.value}{why}"


async def examine(
    connection: PooledConnection, sql: str, text: Text, samples: Sequence[Args], *, first_row: bool, asked: Form | None
) -> BatchPlan:
    """Find the form for *sql*, in a few round trips: 3 to 15 ms.

    Args:
        samples: parameters of some items, from different places: a plan can depend on them.
        first_row: only the first row of each item is wanted.
        asked: the form that the caller wants; refused if it would not be correct.
    Raises:
        StatementError: *asked* cannot be.
        PostgresError: the statement itself cannot be prepared.
    """
    examination = _Examination(connection, sql, text, first_row=first_row)
    plan = await examination.choose(samples)
    if asked is None or asked is plan.form:
        return plan
    if asked not in plan.correct:
        raise StatementError(
            f"form={asked.name.lower()!r} cannot be used here: {plan.why or 'the order of rows may be another'}"
        )
    sql = {Form.SINGLE: sql, Form.MANY: plan.many}.get(asked) or examination.lateral(fenced=asked is Form.LATERAL)
    return replace(plan, form=asked, sql=sql, why="it was asked for")


async def taking_text(connection: PooledConnection, sql: str) -> tuple[str, tuple[Kind, ...]]:
    """The same statement for parameters that are all text, and what each of them reads.

    Raises: PostgresError: it cannot be prepared.
    """
    prepared = await connection.prepare(sql)
    types = await connection.fetch(_TYPES, [kind.oid for kind in prepared.get_parameters()])
    return from_text(read(sql), [row["name"] for row in types]), tuple(Kind[row["kind"]] for row in types)


class _Examination:
    """One look at one statement."""

    def __init__(self, connection: PooledConnection, sql: str, text: Text, *, first_row: bool) -> None:
        self._connection = connection
        self._sql = sql
        self._text = text
        self._first_row = first_row
        self._types: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._stops = first_row  # the batch, behind the first row of each item
        self._correct = {Form.SINGLE}
        self._many = ""

    def lateral(self, *, fenced: bool) -> str:
        return lateral(self._text, self._types, self._columns, fenced=fenced, first_row=self._stops)

    async def choose(self, samples: Sequence[Args]) -> BatchPlan:
        prepared = await self._connection.prepare(self._sql)
        attributes = prepared.get_attributes()
        if not attributes and self._first_row and not self._text.writes:
            return self._plan(Form.SINGLE, "it has no columns")
        if any(attribute.name == ORDINAL for attribute in attributes):
            return self._plan(Form.SINGLE, f"it has a column {ORDINAL}, as a batch has")
        misfit = await self._read_types([kind.oid for kind in prepared.get_parameters()])
        if Form.MANY not in (*self._text.forms, *self._text.on_demand):
            return self._plan(Form.SINGLE, self._text.why)
        many_fails = await self._try_many(attributes)
        if many_fails or Form.MANY not in self._text.forms:
            return self._plan(Form.SINGLE, many_fails or self._text.why)
        if misfit or Form.LATERAL not in self._text.forms:
            return self._plan(Form.MANY, misfit or self._text.why)
        if lateral_fails := await self._try_lateral(attributes):
            return self._plan(Form.MANY, lateral_fails)
        return await self._compare(samples)

    def _plan(self, form: Form, why: str = "") -> BatchPlan:
        sql = {Form.SINGLE: self._sql, Form.MANY: self._many}.get(form) or self.lateral(fenced=form is Form.LATERAL)
        return BatchPlan(self._text, form, sql, self._many, why, frozenset(self._correct), self._types)

    async def _read_types(self, oids: Sequence[int]) -> str:
        """Learn the parameters' types; why they fit no arrays, "" if they do."""
        rows = await self._connection.fetch(_TYPES, oids)
        self._types = tuple(row["name"] for row in rows)
        misfit = next((number for number, row in enumerate(rows, 1) if not row["fits"]), 0)
        return f"${misfit} is of type {self._types[misfit - 1]}, of which there are no plain arrays" if misfit else ""

    async def _try_many(self, attributes: Sequence[Any]) -> str:
        text = many(self._text, first_row=self._first_row)
        added = 0 if self._text.writes and not self._text.returns else 1
        why = await self._why_not(text, attributes, added)
        if not why:
            self._many = text
            self._correct.add(Form.MANY)
        return why

    async def _try_lateral(self, attributes: Sequence[Any]) -> str:
        """Give its columns their names only where they have others: a table's may be renamed."""
        why = await self._why_not(self.lateral(fenced=True), attributes, 1)
        if why == _OTHER_COLUMNS:
            self._columns = tuple(attribute.name for attribute in attributes)
            why = await self._why_not(self.lateral(fenced=True), attributes, 1)
        return why

    async def _why_not(self, text: str, attributes: Sequence[Any], added: int) -> str:
        """Why *text* cannot stand for the statement, "" if it can: its columns are *attributes*, and *added* ones."""
        try:
            prepared = await self._connection.prepare(text)
        except PostgresError as error:
            if is_lost(error):
                raise
            return f"the server takes no such form of it ({type(error).__name__}: {error.args[0]})"
        found = prepared.get_attributes()
        found = found[: len(found) - added]
        same = [(each.name, each.type.oid) for each in found] == [(each.name, each.type.oid) for each in attributes]
        return "" if same else _OTHER_COLUMNS

    async def _compare(self, samples: Sequence[Args]) -> BatchPlan:
        """Plan single statements and the batch, and look for what differs."""
        plans, planned, refused = [], [], ""
        for args in samples[:MOST_SAMPLES]:
            plan, why = await self._explain(self._sql, args)
            refused = why or refused
            if plan is not None:
                plans.append(plan)
                planned.append(args)
        if not plans:
            return self._plan(Form.MANY, f"no item could be planned ({refused or 'there is none'})")
        columns = [list(column) for column in zip(*islice(cycle(planned), PLANNED_ITEMS), strict=True)]
        if any(map(could_be_items, columns)):
            return self._plan(Form.MANY, "its values would be taken for arrays")
        self._stops = False  # it is planned no differently then
        fenced, refused = await self._explain(self.lateral(fenced=True), columns)
        if fenced is None:
            return self._plan(Form.MANY, f"the batch could not be planned ({refused})")
        if locks_rows(fenced):
            return self._plan(Form.SINGLE, "it locks rows, and a batch would hold them until its end")
        # Also in the batch's own plan: where a sample's value decides a branch, its plan has not got the other one
        if volatile := await volatile_in(self._connection, self._text.body, [*plans, fenced]):
            return self._plan(Form.MANY, f"{volatile} may give something else each time")
        self._correct.add(Form.LATERAL)
        self._stops = self._first_row and any(plan["Plan Rows"] > 1 for plan in plans)  # else it would cost time only
        if await self._is_better_unfenced(plans, fenced, columns):
            return self._plan(Form.UNFENCED)
        if relation := lost_index(plans, fenced):
            return self._plan(Form.MANY, f"over arrays the server would read all of {relation} for each item")
        return self._plan(Form.LATERAL)

    async def _is_better_unfenced(self, plans: Sequence[Plan], fenced: Plan, columns: Args) -> bool:
        unfenced = None if self._first_row else (await self._explain(self.lateral(fenced=False), columns))[0]
        if unfenced is None or not keeps_order(unfenced):
            return False
        self._correct.add(Form.UNFENCED)
        return is_better_as_a_whole(plans, fenced, unfenced, PLANNED_ITEMS)

    async def _explain(self, sql: str, args: Args) -> tuple[Plan | None, str]:
        """The plan of *sql*, None if *args* do not fit it; then also why."""
        try:
            plan = await self._connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}", *args)
        except Exception as error:  # whatever a codec of the user's raises
            if _says_nothing(error) or self._connection.is_closed():
                raise
            return None, f"{type(error).__name__}: {error}"
        whole = json.loads(plan) if isinstance(plan, str) else plan  # with a codec of the user's it is read already
        return whole[0]["Plan"], ""


def _says_nothing(error: Exception) -> bool:
    """Whether *error* is due to the connection, or the time, and not to the statement or its values."""
    return is_lost(error) or is_refused_by_driver(error) or isinstance(error, TimeoutError)
