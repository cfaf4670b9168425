"""The models that a database is compared with."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbpool.errors import MigrationError
from dbpool.faults import one_line

if TYPE_CHECKING:
    from sqlalchemy import MetaData


def metadata_at(place: str | MetaData | None) -> MetaData | None:
    """The metadata that *place* names, as ``shop.models:metadata`` or ``shop.models:Base.metadata``.

    A module is looked for in the current directory, too.

    Raises: MigrationError: it cannot be imported, or is no MetaData.
    """
    from sqlalchemy import MetaData

    if place is None or isinstance(place, MetaData):
        return place
    name, colon, attribute = place.partition(":")
    if not name or not colon or not attribute:
        raise MigrationError(f"metadata {place!r} should look like package.module:metadata.")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise MigrationError(f"metadata {place!r} cannot be imported: {one_line(error)}.") from error
    if not isinstance(found, MetaData):
        raise MigrationError(f"metadata {place!r} is no sqlalchemy.MetaData but {type(found).__name__}.")
    return found


def described(difference: Any) -> str:  # noqa: ANN401 - a tuple whose length depends on its first item
    """What a step would have to do about one of alembic's differences, as ``add column orders.note``."""
    if isinstance(difference, list):  # what changes about one column
        return "; ".join(described(each) for each in difference)
    kind, *rest = difference
    words = str(kind).replace("_", " ").replace("fk", "foreign key")
    if str(kind).startswith("modify_"):
        schema, table, column, _, old, new = rest
        return f"{words.replace('modify', 'change')} of {_dotted(schema, table, column)} from {old!r} to {new!r}"
    if kind in ("add_column", "remove_column"):
        schema, table, column = rest
        return f"{words} {_dotted(schema, table, column.name)}"
    thing = rest[0]
    table = getattr(getattr(thing, "table", None), "name", None)
    name = getattr(thing, "name", None) or ""
    return f"{words} {name} on {table}".replace("  ", " ") if table not in (None, name) else f"{words} {name}".strip()


def _dotted(*names: str | None) -> str:
    return ".".join(name for name in names if name)
