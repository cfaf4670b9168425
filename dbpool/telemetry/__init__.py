"""What a pool does, for the tools that watch services: OpenTelemetry, Prometheus, logs. None is imported unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbpool.telemetry.logs import log_events as log_events

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool
    from dbpool.telemetry.otel import Instrumentation


def instrument(
    db: DatabasePool,
    *,
    tracer_provider: Any = None,  # noqa: ANN401 - a class of the extra, which may be missing
    meter_provider: Any = None,  # noqa: ANN401 - the same
    record_parameters: bool = False,
    record_text: bool = True,
) -> Instrumentation:
    """Tell OpenTelemetry what the callers of *db* do, and how its connections fare; needs ``dbpool[otel]``.

    A span, of kind CLIENT, for each call: statements, also in transactions and on acquired connections,
    ``executemany``, COPY, ``stream``, ``map``, ``load``, ``export`` and the other bulk helpers as one each, and one
    around each transaction, which is current in its block. What the pool sends of its own accord has none. The metrics
    ``db.client.operation.duration`` and the nine ``db.client.connection.*``; units and attributes are those of the
    semantic conventions 1.44.

    Args:
        db: a pool, open or not; lanes are told with it.
        tracer_provider: None: the global one.
        meter_provider: None: the global one.
        record_parameters: have the values of $1, $2, ... as ``db.query.parameter.0``, ``.1``, ... in spans: whoever
            reads the traces then reads those.
        record_text: have the SQL text in spans; constants in it are replaced by ``?`` unless it has parameters.
    Returns: what ends it: ``uninstrument()``, or a ``with`` block. ``pool_name`` is the pool's name in the metrics.
    Raises:
        UsageError: it is instrumented already, or opentelemetry-api is not installed.
    """
    try:
        from dbpool.telemetry.otel import Instrumentation
    except ImportError as error:
        raise needs("opentelemetry-api", "otel", error) from error
    return Instrumentation(
        db, tracer_provider, meter_provider, record_parameters=record_parameters, record_text=record_text
    )


def needs(package: str, extra: str, error: ImportError) -> Exception:
    """What to raise where *error* says that an extra is missing."""
    from dbpool.errors import UsageError

    if (error.name or "").partition(".")[0] not in ("opentelemetry", "prometheus_client"):
        return error
    return UsageError(f"this needs {package}: pip install 'dbpool[{extra}]'")
