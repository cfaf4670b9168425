"""A span for each operation of a pool's callers, with its duration as a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from dbpool.faults import servers_sqlstate
from dbpool.observing import Asked, Operation
from dbpool.telemetry import conventions as names
from dbpool.telemetry.described import Described, Describer
from dbpool.waiter import Waiter

LONGEST_PARAMETER = 1024  # characters
LONG_WAIT_S = 0.001  # what is less is not worth what an attribute costs


@dataclass(slots=True)
class _Note:
    """What is kept of an operation under way."""

    span: Span
    described: Described
    inside: Context | None = None  # what is current in a transaction's block
    outside: Context | None = None


class Spans:
    """An Observer: begins a span in the caller's context, ends it however the operation ends.

    Its parent is what is current where the call is awaited; other tasks that have to do with it do not matter. The span
    of a transaction is current inside its block, so what is done there lies below it.
    """

    def __init__(self, tracer: Tracer, durations: Histogram, describer: Describer, *, record_parameters: bool) -> None:
        self._tracer = tracer
        self._durations = durations
        self._describer = describer
        self._record_parameters = record_parameters

    def begun(self, operation: Operation) -> object:
        if operation.asked is Asked.PART:
            return None
        described = self._describer.describe(operation)
        span = self._tracer.start_span(described.name, kind=SpanKind.CLIENT, attributes=described.of_span)
        note = _Note(span, described)
        if self._record_parameters and operation.args and span.is_recording():
            span.set_attributes(_parameters(operation.args))
        if operation.asked is Asked.TRANSACTION:
            note.outside = context.get_current()
            note.inside = trace.set_span_in_context(span)
            context.attach(note.inside)
        return note

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:
        if not isinstance(note, _Note):
            return
        if note.outside is not None and context.get_current() is note.inside:
            context.attach(note.outside)  # not by a token: the block may end in another task's context
        told = {} if error is None else attributes_of(error)
        span = note.span
        if span.is_recording():
            self._finish(span, operation, told, error)
        span.end()
        if operation.asked is not Asked.TRANSACTION:  # its statements are counted
            of_metric = note.described.of_metric
            self._durations.record(operation.took_s, {**of_metric, **told} if told else of_metric)

    def _finish(self, span: Span, operation: Operation, told: Mapping[str, str], error: BaseException | None) -> None:
        if operation.size is not None and operation.size != 1:
            span.set_attribute(names.DB_OPERATION_BATCH_SIZE, operation.size)
        waited_s = operation.waited_s
        if waited_s is not None and waited_s > LONG_WAIT_S:
            span.set_attribute("dbpool.wait_time", waited_s)
        if operation.waiter is not None and operation.waiter.together > 1:
            span.set_attribute("dbpool.coalesced.size", operation.waiter.together)
        if error is not None:
            span.set_attributes(told)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))  # a message may hold values of rows

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:
        """A metric, not a span: see meters.py."""

    def used(self, waiter: Waiter, seconds: float) -> None:
        """The same."""


def attributes_of(error: BaseException) -> dict[str, str]:
    """``error.type``, and the SQLSTATE where the server said why."""
    state = _state(error)
    if state is not None and servers_sqlstate(error) == state:
        return {names.ERROR_TYPE: state, names.DB_RESPONSE_STATUS_CODE: state}
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {names.ERROR_TYPE: name} | ({} if state is None else {names.DB_RESPONSE_STATUS_CODE: state})


def _state(error: BaseException) -> str | None:
    cause: BaseException | None = error
    for _ in range(4):  # how deep this package wraps, and then some
        if cause is None:
            return None
        if (state := servers_sqlstate(cause)) is not None:
            return state
        cause = cause.__cause__
    return None


def _parameters(args: Sequence[object]) -> dict[str, str]:
    return {f"{names.DB_QUERY_PARAMETER}.{index}": _shown(value) for index, value in enumerate(args)}


def _shown(value: object) -> str:
    if isinstance(value, str | bytes):  # megabytes of it are not written out first
        value = value[:LONGEST_PARAMETER]
    try:
        return str(value)[:LONGEST_PARAMETER]
    except Exception:  # the span goes on without it
        return f"<{type(value).__name__}>"
