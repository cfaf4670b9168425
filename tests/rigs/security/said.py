"""Everything that a log, a debugger, a crash report, a page or a trace would show of a pool and its errors."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dbpool import DatabasePool


def of_error(error: BaseException, *, with_locals: bool = False) -> str:
    """Its texts, its parts and its tracebacks, and those of all that it was raised from.

    Args:
        with_locals: with what the frames hold, as error trackers show it.
    """
    texts: list[str] = []
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        texts += [str(each), repr(each), repr(each.args), repr(vars(each)), repr(getattr(each, "__notes__", ""))]
        texts += traceback.TracebackException.from_exception(each, capture_locals=with_locals).format()
        waiting += [linked for linked in (each.__cause__, each.__context__) if linked is not None]
        with suppress(Exception):  # not all can be
            texts.append(pickle.dumps(each).decode("latin-1"))
    return "\n".join(texts)


def of_pool(db: DatabasePool) -> str:
    """What it tells of itself."""
    settings = db.settings
    texts = [repr(each) + str(each) for each in (db, settings, settings.dsn, db.stats(), db.report(), vars(db))]
    held: tuple[object, ...] = (db, settings, settings.dsn)
    for each in held:
        try:
            texts.append(pickle.dumps(each).decode("latin-1"))
        except Exception as error:
            texts.append(of_error(error))
    return "\n".join(texts)


class Kept(logging.Handler):
    """Every record of every logger, with all that belongs to it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [record.getMessage(), repr(vars(record))]
        if record.exc_info and record.exc_info[1] is not None:
            self.texts.append(of_error(record.exc_info[1]))

    def take(self) -> str:
        texts, self.texts = self.texts, []
        return "\n".join(texts)


@contextmanager
def everything_logged() -> Iterator[Kept]:
    """What is logged in the block, at every level."""
    kept, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        root.setLevel(level)
        root.removeHandler(kept)
