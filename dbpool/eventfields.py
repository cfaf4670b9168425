"""The fields of an event, for a log record's ``extra``."""

from __future__ import annotations

import re
from dataclasses import fields

from dbpool.core.querysummary import shown_text
from dbpool.events import DeadlockFound, Event, Reason
from dbpool.report import Caller

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def name_of(event: Event) -> str:
    """``SlowQuery`` is ``slow_query``."""
    return _WORD.sub("_", type(event).__name__).lower()


def fields_of(event: Event, pool: str) -> dict[str, object]:
    """``event`` is its name, ``pool`` the pool's; the others are its own, with no constants of SQL texts."""
    found: dict[str, object] = {"event": name_of(event), "pool": pool}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Caller):
            found |= {"lane": value.lane, "task": value.task, "where": value.where, "held_s": value.seconds}
            found |= {"sql": None if value.sql is None else shown_text(value.sql)}
        elif isinstance(value, Reason):
            found[field.name] = value.name.lower()
        elif isinstance(value, tuple):
            found[field.name] = [str(each.where) for each in value]
        elif not isinstance(value, BaseException):
            found[field.name] = shown_text(value) if field.name == "sql" else value
    found.pop("cause", None)  # ``error`` says it
    if isinstance(event, DeadlockFound):
        found["text"] = event.message.partition("\n")[0]  # a record has a message of its own
        del found["message"]
    return found
