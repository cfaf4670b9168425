"""One batch on one connection: sent, taken apart, cut in halves where an item of it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from dbpool.bulk.batchrow import BatchRow, by_item, first_by_item, values_by_item
from dbpool.bulk.guard import BatchPlan
from dbpool.connection import PooledConnection, PostgresError, Record
from dbpool.core.batches import ARRAYS, Form, could_be_items
from dbpool.core.columns import Args, args_of, columns_of, items_of
from dbpool.core.retry import Verdict, verdict
from dbpool.errors import StatementError
from dbpool.faults import is_lost, is_out_of_step, is_unreadable, sqlstate
from dbpool.queries import check_statement

Result: TypeAlias = Any  # of one item: what its Take says

QUERY_CANCELED = "57014"


class Take(Enum):
    """What of an item's rows is wanted."""

    ROWS = "all rows, a list"
    ROW = "the first row, or None"
    VALUE = "the first column of the first row, or None"


@dataclass(slots=True)
class Answers:
    """What became of a batch's items, in their order.

    Args:
        results: of the first so many items; of those in *errors* it means nothing.
        errors: of single items, by index.
        rows: how many came back.
        stopped_by: why there are no more results; no item's fault, but the connection's, a conflict's or the time's.
        under_way: how many items were sent when that happened; those behind them were not.
        halved: a part with several items failed, and was cut.
    """

    results: list[Result] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)
    rows: int = 0
    stopped_by: Exception | None = None
    under_way: int = 0
    halved: bool = False

    def add(self, other: Answers) -> None:
        """What became of the next ones."""
        before = len(self.results)
        self.results += other.results
        self.errors.update((before + index, error) for index, error in other.errors.items())
        self.rows += other.rows
        self.stopped_by, self.under_way = other.stopped_by, other.under_way

    def fail(self, error: Exception) -> None:
        """The next item failed with *error*."""
        self.errors[len(self.results)] = error
        self.results.append(None)


async def run_batch(
    connection: PooledConnection, plan: BatchPlan, take: Take, keys: Sequence[object], timeout: float
) -> Answers:
    """Run the items *keys*; one that fails costs only itself. Each part that is sent is stored whole, or not at all.

    An item alone is sent as a statement of its own: in a batch's form its error would read otherwise.

    Args:
        timeout: seconds for each statement that is sent.
    """
    answers = Answers()
    parts: list[Sequence[object]]
    parts = [[key] for key in reversed(keys)] if plan.form is Form.SINGLE else [keys]
    while parts:
        part = parts.pop()
        try:
            if len(part) == 1:
                answers.results.append(await _call(connection, plan.text.body, take, args_of(part[0]), timeout))
            else:
                await _send(connection, plan, take, part, timeout, answers)
        except Exception as error:
            if not is_items_fault(error) or connection.is_closed():
                answers.stopped_by, answers.under_way = error, len(part)
                break
            if len(part) == 1:
                answers.fail(error)
            else:
                answers.halved = True
                half = len(part) // 2
                parts += [part[half:], part[:half]]
    return answers


def is_items_fault(error: Exception) -> bool:
    """Whether *error* may be due to one item of a batch: its data, not the connection, a conflict or the time."""
    if isinstance(error, PostgresError):
        state = sqlstate(error)
        return state is None or (verdict(state) is Verdict.CALLER and state != QUERY_CANCELED)
    is_connections = is_lost(error) or is_unreadable(error) or is_out_of_step(error)
    return not (is_connections or isinstance(error, (TimeoutError, AssertionError)))


async def _send(
    connection: PooledConnection,
    plan: BatchPlan,
    take: Take,
    keys: Sequence[object],
    timeout: float,
    answers: Answers,
) -> None:
    wanted, columns = plan.text.parameters, columns_of(keys)
    if columns is None or len(columns) != wanted:
        found = next(len(args) for args in map(args_of, keys) if len(args) != wanted)
        raise StatementError(f"{found} values, the statement takes {wanted}")
    rows: Sequence[Record] = ()
    if columns and plan.form in ARRAYS and not any(map(could_be_items, columns)):
        rows = await connection.fetch(plan.sql, *columns, timeout=timeout, record_class=BatchRow)
    elif plan.text.writes and not plan.text.returns:
        await connection.executemany(plan.text.body, items_of(keys), timeout=timeout)
    else:
        numbered = [(*args, number) for number, args in enumerate(items_of(keys), 1)]
        rows = await connection.fetchmany(plan.many, numbered, timeout=timeout, record_class=BatchRow)
    answers.results += _apart(rows, len(keys), take)
    answers.rows += len(rows)


def _apart(rows: Sequence[Record], items: int, take: Take) -> Sequence[Result]:
    if take is Take.ROWS:
        return by_item(rows, items)
    return values_by_item(rows, items) if take is Take.VALUE else first_by_item(rows, items)


async def _call(connection: PooledConnection, sql: str, take: Take, args: Args, timeout: float) -> Result:
    check_statement(sql, args, connection.settings.trusted_functions)
    if take is Take.ROWS:
        return await connection.fetch(sql, *args, timeout=timeout)
    row = await connection.fetchrow(sql, *args, timeout=timeout)
    return row[0] if row is not None and take is Take.VALUE else row
