"""Values that the columns of a table have by themselves: ``Column(default=...)`` and ``onupdate=`` in Python."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

Values = MutableMapping[str, Any]


class DefaultContext(DefaultExecutionContext):
    """What a function given as ``default=`` may ask: ``current_parameters``, ``get_current_parameters()``."""

    def __init__(self, compiled: SQLCompiler, values: Values) -> None:
        self.compiled = compiled
        self.dialect = compiled.dialect
        self.compiled_parameters = [values]


def fill_in(compiled: SQLCompiler, values: Values) -> None:
    """Put into *values* those of columns with a default of their own, as SQLAlchemy's engine does."""
    DefaultContext(compiled, values)._process_execute_defaults()  # type: ignore[no-untyped-call]
