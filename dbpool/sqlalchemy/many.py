"""A statement of SQLAlchemy's for many items: what makes values of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from dbpool.errors import StatementError
from dbpool.sqlalchemy.compiling import shape_of


class ManyValues:
    """Makes the values of $1, $2, ... of each item.

    Args:
        first: the first item. Where it is a mapping, an INSERT or UPDATE sets the columns that it names.
    Raises:
        StatementError: there is no such statement, or *first* does not fit it.
    """

    def __init__(self, statement: Any, first: object) -> None:
        self._names = sorted(map(str, first)) if isinstance(first, Mapping) else []
        self.shape, self._brought = shape_of(statement, self._names)
        self.sql = self.shape.sql
        if self.shape.is_expanded:
            self.sql, _ = self.shape.bind(self._brought, self._given(first))

    def args_of(self, item: object) -> tuple[object, ...]:
        """The values of one item: a mapping by name; a tuple, or a single value, in the order of the binds.

        Raises:
            StatementError: it has other names, or more or fewer values.
        """
        sql, args = self.shape.bind(self._brought, self._given(item))
        if sql != self.sql:
            raise StatementError(
                "its lists have other lengths than those of the first item, which makes it another statement: give "
                "an array, as column == any_(bindparam('ids', type_=ARRAY(Integer)))"
            )
        return args

    def _given(self, item: object) -> Mapping[str, Any]:
        if isinstance(item, Mapping):
            if item.keys() != set(self._names):
                raise StatementError(f"it has {_listed(map(str, item))}, and the first item has {_listed(self._names)}")
            return item
        names = self.shape.required(self._brought)
        values = item if isinstance(item, tuple) else (item,)
        if len(values) != len(names):
            takes = f"takes {len(names)}: {_listed(names)}" if names else "takes none: bindparam('name') takes one"
            raise StatementError(f"the item has {len(values)} values in order, and the statement {takes}")
        return dict(zip(names, values, strict=True))


def many_values(statement: Any, items: Iterable[Any]) -> tuple[ManyValues, Iterable[Any]]:
    """What makes values of *items*, and those, the first one included."""
    if not isinstance(items, Iterator):
        return ManyValues(statement, next(iter(items), ())), items
    for first in items:
        return ManyValues(statement, first), chain([first], items)
    return ManyValues(statement, {}), ()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "no names"
