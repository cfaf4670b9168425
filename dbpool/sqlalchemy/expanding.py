"""IN with a list: another SQL text for each length, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence, Set
from typing import Any, NamedTuple

from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

from dbpool.errors import StatementError

MOST_LENGTHS = 100  # kept of one statement


class Expanded(NamedTuple):
    """A text, the names and processors of its $1, $2, ..., and those names that stand for the elements of a list."""

    sql: str
    names: Sequence[str]
    processes: Mapping[str, Any]
    elements: Mapping[str, Sequence[str]]


class Expanding:
    """Expands the lists, and literals, that one statement has in its values."""

    def __init__(self, compiled: SQLCompiler, render: Callable[[str], str]) -> None:
        self._compiled = compiled
        self._render = render
        binds = compiled.post_compile_params
        self._of_lists = [compiled.bind_names[bind] for bind in binds if bind.expanding]
        # What is rendered of the others depends on more than how many there are
        is_simple = not compiled.literal_execute_params and not any(
            bind.literal_execute or bind.type._is_tuple_type or bind.type._isnull for bind in binds
        )
        self._lists = [compiled.bind_names[bind] for bind in binds] if is_simple else []
        self._kept: LRUCache[tuple[int, ...], Expanded] = LRUCache(MOST_LENGTHS)

    def expand(self, values: MutableMapping[str, Any]) -> Expanded:
        """The text for *values*, in which the elements of lists take the place of these.

        Raises:
            StatementError: what should be a list is none.
        """
        for name in self._of_lists:
            if isinstance(values[name], Set):
                values[name] = [*values[name]]
            if isinstance(values[name], str) or not isinstance(values[name], Sequence):
                raise StatementError(f"the value {values[name]!r:.60} of bind {name!r} is not a list, as IN takes it")
        lists = [values[name] for name in self._lists]
        if not lists or not all(lists):
            return self._made(values)
        lengths = tuple(map(len, lists))
        kept = self._kept.get(lengths)
        if kept is None:
            kept = self._kept[lengths] = self._made(values)
        else:
            for name, elements in zip(self._lists, lists, strict=True):
                values.update(zip(kept.elements[name], elements, strict=True))
        return kept

    def _made(self, values: MutableMapping[str, Any]) -> Expanded:
        compiled = self._compiled
        made = compiled._process_parameters_for_postcompile(values)
        processes = {**compiled._bind_processors, **made.processors}
        return Expanded(self._render(made.statement), made.positiontup or (), processes, made.parameter_expansion)
