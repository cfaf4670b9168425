"""Rows in a type of the user's."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, cast

from dbpool import UsageError
from dbpool.core.jsontext import Kind, text_for
from dbpool.core.rowshape import RowMisfit, has_keys, names_in
from dbpool.tool.answers import json_of


def type_named(name: str) -> Callable[..., Any]:
    """What ``package.module:Type`` names; modules of the working directory are found.

    Raises:
        UsageError: there is no such thing.
    """
    module, colon, path = name.partition(":")
    if not (colon and module and path):
        raise UsageError(f"--into takes package.module:Type, not {name!r}")
    if os.getcwd() not in sys.path:  # noqa: PTH109 - as sys.path has it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"--into {name}: {error}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"--into {name}: {module} has no {path}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"--into {name}: it is no type, but {found!r:.60}")
    return cast("Callable[..., Any]", found)


def json_line(row: Any) -> str:  # noqa: ANN401 - whatever the user's type makes
    """An object with fields as a line of JSON; anything else as the text that it prints."""
    try:
        names = names_in(row)
    except RowMisfit:
        names = None
    if names is None:
        found = json_of(row)
    else:
        found = {name: json_of(row[name] if has_keys(row) else getattr(row, name)) for name in names}
    return f"{text_for(found, Kind.JSON)}"
