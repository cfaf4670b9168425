"""Rows into a file or stdout that COPY does not write: objects, and what SHOW and the like give."""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO, Any

from dbpool import DatabasePool, UsageError
from dbpool.core.jsontext import Kind, text_for
from dbpool.tool.query.plan import Out
from dbpool.tool.query.question import Column, Question
from dbpool.tool.query.seen import Row
from dbpool.tool.query.types import json_line


async def write_objects(
    db: DatabasePool, question: Question, into: Callable[..., Any], target: Path | None, form: Out
) -> None:
    """A line for each row: the object as JSON, or as it prints."""
    with opened(target) as out, _lines(out, form) as line:
        async with aclosing(db.stream(question.sql, into=into)) as objects:
            async for each in objects:
                line(json_line(each) if form in (Out.JSON, Out.NDJSON) else repr(each))


def write_texts(columns: Sequence[Column], rows: Sequence[Row], target: Path | None, form: Out) -> None:
    """What SHOW and the like give: few rows, all of texts."""
    names = [column.name for column in columns]
    with opened(target) as out:
        if form is Out.CSV:
            csv.writer(out, lineterminator="\n").writerows([names, *rows])
            return
        with _lines(out, form) as line:
            for row in rows:
                line(f"{text_for(dict(zip(names, row, strict=True)), Kind.JSON)}")


@contextmanager
def _lines(out: IO[str], form: Out) -> Iterator[Callable[[str], None]]:
    """What writes one line after the other; as JSON they are one array."""
    before = "[\n" if form is Out.JSON else ""

    def write(line: str) -> None:
        nonlocal before
        out.write(f"{before}{line}" if form is Out.JSON else f"{line}\n")
        before = ",\n"

    yield write
    if form is Out.JSON:
        out.write("[]\n" if before == "[\n" else "\n]\n")


def check_names(columns: Sequence[Column]) -> None:
    """Raise UsageError where two columns have one name: an object has room for one."""
    name, times = Counter(column.name for column in columns).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{times} columns are called {name!r}, and an object has room for one: name them with AS")


@contextmanager
def opened(target: Path | None) -> Iterator[IO[str]]:
    """Stdout; or a file, which gets its name when all is well."""
    if target is None:
        with open(1, "w", encoding="utf-8", closefd=False) as out:
            yield out
        return
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("x", encoding="utf-8") as out:
            yield out
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
