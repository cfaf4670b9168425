"""What results call an error that ended a transaction, or an attempt to connect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbpool.core.loadtest.refusals import Evidence, Refusal, label_of, refusal_of


def chain(error: BaseException) -> Iterator[BaseException]:
    """*error*, and what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def evidence_of(error: BaseException) -> Evidence:
    """What the first of an error's causes that knows says of why."""
    for each in chain(error):
        if (sqlstate := getattr(each, "sqlstate", None)) is not None:
            diagnosis = getattr(each, "diag", None)  # psycopg's
            routine = getattr(each, "server_source_function", None) or getattr(diagnosis, "source_function", None)
            return Evidence(sqlstate, str(each), routine)
        if isinstance(each, OSError) and each.errno is not None:
            return Evidence(errno=each.errno, message=str(each))
    is_timeout = any(isinstance(each, TimeoutError) for each in chain(error))
    return Evidence(message=str(error), is_timeout=is_timeout)


def refusal_by(error: BaseException, *, role: str = "", database: str = "") -> Refusal:
    """The limit, or what else, that *error* says refused a connection."""
    return refusal_of(evidence_of(error), role=role, database=database)


def label_of_error(error: BaseException) -> str:
    """``53300.server_full``, ``40001``, or the class in words where there is no SQLSTATE: ``connection_lost``."""
    evidence = evidence_of(error)
    refusal = refusal_of(evidence)
    if refusal is not Refusal.OTHER:
        return label_of(evidence, refusal)
    return evidence.sqlstate or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()
