"""A statement as it was compiled, without the values of any one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import BindParameter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from dbpool.errors import StatementError
from dbpool.faults import sqlstate
from dbpool.sqlalchemy.defaults import fill_in
from dbpool.sqlalchemy.expanding import Expanding
from dbpool.sqlalchemy.refusing import as_ours
from dbpool.sqlalchemy.results import Results

Given = Mapping[str, Any]
Process = Callable[[Any], Any]

UNTYPED = ("42P18", "22000")  # the server cannot tell the type; the driver cannot make the value one of what it told


class Brought(NamedTuple):
    """What a statement brings along for its shape: the binds that it was built with, and what params() set."""

    binds: Sequence[BindParameter[Any]] = ()
    params: Given | None = None


class Slot(NamedTuple):
    """Where the value of $1, $2, ... comes from."""

    name: str
    bind: BindParameter[Any]
    at: int | None  # among the binds that a statement brings along; None: it is that of the shape
    process: Process | None

    def of(self, brought: Brought) -> BindParameter[Any]:
        """What holds its value: in a statement of the same shape a bind may have one, or a function, or none."""
        return self.bind if self.at is None else brought.binds[self.at]


class Shape:
    """SQL text, with what makes the values for it and the rows of its answer.

    Args:
        render: puts the schemas into the text that are to stand in it for others.
    """

    def __init__(self, compiled: SQLCompiler, render: Callable[[str], str]) -> None:
        self.sql = render(compiled.string)
        self.results = Results(compiled)
        self.rows = self.results.rows
        self.is_expanded = bool(compiled.literal_execute_params or compiled.post_compile_params)
        self.slots = _slots(compiled, is_expanded=self.is_expanded)
        self._expanding = Expanding(compiled, render) if self.is_expanded else None
        self.collected = getattr(compiled, "_collected_params", None)  # by params(), where there is no cache key
        self._has_defaults = bool(compiled.insert_prefetch or compiled.update_prefetch)
        # Kept only where each call needs it: it holds the statement, with the values of the first call
        self._compiled = compiled if self.is_expanded or self._has_defaults else None
        self._is_plain_text = bool(compiled.isplaintext)
        self._names = {str(slot.bind.key) for slot in self.slots} | {slot.name for slot in self.slots}
        self._simple = self._all_brought()

    def bind(self, brought: Brought, given: Given | None) -> tuple[str, tuple[object, ...]]:
        """The text, and the values of $1, $2, ... of one call, *given* by name or brought along.

        Raises:
            StatementError: a value is missing or cannot be bound, or there is one too many.
        """
        if not given and self._simple is not None and not brought.params:
            binds = brought.binds
            try:
                values = [
                    binds[at].effective_value if process is None else process(binds[at].effective_value)
                    for at, process in self._simple
                ]
            except Exception:  # noqa: S110 - it is met again below, where it is known of which bind it is
                pass
            else:
                return self.sql, tuple(values)
        if given:
            self._refuse_unknown(given)
        given = {**(brought.params or {}), **(given or {})}
        if missing := [name for name in self.required(brought) if name not in given]:
            raise StatementError(
                f"no value for {', '.join(map(repr, missing))}: give a mapping, as {{{missing[0]!r}: ...}}, after the "
                f"statement"
            )
        if self.is_expanded or self._has_defaults:
            return self._bind_with_sqlalchemy(brought, given)
        return self.sql, tuple(
            [_processed(slot.name, slot.process, _value(slot, brought, given)) for slot in self.slots]
        )

    def required(self, brought: Brought) -> list[str]:
        """The names of the binds that have no value, in the order of $1, $2, ..."""
        return [str(slot.bind.key) for slot in self.slots if slot.of(brought).required]

    def told(self, error: Exception, args: Sequence[object]) -> Exception:
        """*error*, or that a value has no type by which it could be bound."""
        if sqlstate(error) in UNTYPED and not self._is_plain_text and len(args) == len(self.slots):
            untyped = [(slot.name, arg) for slot, arg in zip(self.slots, args, strict=True) if slot.bind.type._isnull]
            if untyped:
                return StatementError(
                    f"the value {untyped[0][1]!r:.60} of bind {untyped[0][0]!r} has no type in SQL: give it one, as "
                    f"literal(value, String) or bindparam(name, type_=String)"
                )
        return error

    def _all_brought(self) -> list[tuple[int, Process | None]] | None:
        """Where each value is among what a statement brings along; None if it is not that simple."""
        simple = [(slot.at, slot.process) for slot in self.slots if slot.at is not None and slot.bind.unique]
        if len(simple) < len(self.slots) or self.is_expanded or self._has_defaults:
            return None
        return simple

    def _refuse_unknown(self, given: Given) -> None:
        unknown = [name for name in given if name not in self._names]
        if unknown:
            known = sorted({str(slot.bind.key) for slot in self.slots if not slot.bind.unique})
            there_are = f"it has {', '.join(map(repr, known))}" if known else "it has none that could be given"
            raise StatementError(f"the statement has no bind {', '.join(map(repr, unknown))}: {there_are}")

    def _bind_with_sqlalchemy(self, brought: Brought, given: Given) -> tuple[str, tuple[object, ...]]:
        """The same where there is more to it: IN with a list, literals in the text, defaults of columns."""
        compiled, sql = self._compiled, self.sql
        assert compiled is not None
        names: Sequence[str] = compiled.positiontup or ()
        processes: Mapping[str, Any] = compiled._bind_processors
        try:
            values: MutableMapping[str, Any] = {slot.name: _value(slot, brought, given) for slot in self.slots}
            if self._has_defaults:
                fill_in(compiled, values)
            if self._expanding is not None:
                sql, names, processes, _ = self._expanding.expand(values)
        except SQLAlchemyError as error:
            raise as_ours(error) from error
        return sql, tuple(
            [_processed(name, cast("Process | None", processes.get(name)), values[name]) for name in names]
        )


def _value(slot: Slot, brought: Brought, given: Given) -> object:
    for name in (slot.name, str(slot.bind.key)):
        if name in given:
            return given[name]
    return slot.of(brought).effective_value


def _slots(compiled: SQLCompiler, *, is_expanded: bool) -> list[Slot]:
    """Where the values come from, in the order of $1, $2, ...; behind them those that are expanded for each call."""
    matches = compiled._cache_key_bind_match
    places: dict[BindParameter[Any], int] = {}
    if matches is not None and compiled.cache_key is not None:
        for at, brought in enumerate(compiled.cache_key.bindparams):
            places.update((bind, at) for bind in matches[0][brought])
    by_name = {name: bind for bind, name in compiled.bind_names.items()}
    processes = compiled._bind_processors
    slots = []
    for name in dict.fromkeys((*(compiled.positiontup or ()), *(by_name if is_expanded else ()))):
        bind = by_name[name]
        place = places.get(bind)
        slots.append(
            Slot(name, bind if place is None else _emptied(bind), place, cast("Process | None", processes.get(name)))
        )
    return slots


def _emptied(bind: BindParameter[Any]) -> BindParameter[Any]:
    """The same without the value of the call for which it was compiled."""
    emptied: BindParameter[Any] = BindParameter(bind.key, None, type_=bind.type)  # a clone would remember its original
    emptied.unique = bind.unique
    return emptied


def _processed(name: str, process: Process | None, value: object) -> object:
    if process is None:
        return value
    try:
        return process(value)
    except Exception as error:  # of SQLAlchemy's types, or of a type of the caller's
        raise StatementError(
            f"the value {value!r:.60} of bind {name!r} cannot be bound: {type(error).__name__}: {error}"
        ) from error
