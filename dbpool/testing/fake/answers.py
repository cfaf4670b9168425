"""What a fake pool has been told to answer, and what it was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import asyncpg

from dbpool.core.outcomes import STATUS, TRACE
from dbpool.core.sqltext import Kind, tokens
from dbpool.errors import UsageError
from dbpool.settings import seconds_from_zero, whole_number
from dbpool.testing.fake.records import FakeRecord, records_of
from dbpool.testing.fake.script import Reply, Script
from dbpool.wording import counted

Rows: TypeAlias = Sequence[Mapping[str, Any] | FakeRecord]
Does: TypeAlias = Callable[..., "Rows | str | Exception | None"]

QUICK_S: Final = 0.001
MOST_SHOWN: Final = 10

# What the pool itself asks inside transactions, and a server always answers.
_OWN: Final = {
    TRACE: [FakeRecord(["xid", "stood", "counts_since"], ["1000", "0/1", "0"])],
    STATUS: [FakeRecord(["status", "counts_anew", "is_behind", "version"], ["committed", False, False, 180000])],
    "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)": [],
}


class UnexpectedStatement(AssertionError):
    """A strict fake pool was asked what it has no answer for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement that reached the fake server."""

    sql: str
    args: tuple[Any, ...]
    at_s: float
    """By the loop's clock."""

    def __str__(self) -> str:
        return f"{' '.join(self.sql.split())} {self.args}" if self.args else " ".join(self.sql.split())


@dataclass(slots=True, eq=False)
class Answer:
    """One thing that a fake pool has been told to answer; ``asked`` has the statements that got it."""

    text: str | re.Pattern[str]
    does: Does
    after_s: float
    times: int | None
    takes: type
    kills: bool
    asked: list[Asked] = field(default_factory=list)

    def fits(self, sql: str) -> bool:
        if self.times is not None and len(self.asked) >= self.times:
            return False
        if isinstance(self.text, str):
            return " ".join(sql.split()) == self.text
        return self.text.search(sql) is not None

    def reply(self, args: Sequence[object]) -> Reply:
        """What the server says to these arguments."""
        try:
            said = self.does(*args)
        except Exception as error:  # as if the server had raised it
            said = error
        if isinstance(said, Exception):
            fresh = copy(said)  # one that is raised again and again would gather tracebacks
            return Reply(self.after_s, error=fresh, kills=self.kills, takes=self.takes)
        if isinstance(said, str):
            return Reply(self.after_s, rows=(), status=said, kills=self.kills, takes=self.takes)
        rows = records_of(said or ())
        return Reply(self.after_s, rows=rows, kills=self.kills, takes=self.takes)

    def __str__(self) -> str:
        text = self.text if isinstance(self.text, str) else f"/{self.text.pattern}/"
        left = "" if self.times is None else f" ({self.times - len(self.asked)} more times)"
        return f"{text}{left}"


class Answers(Script):
    """The script of a fake pool.

    Args:
        strict: a statement for which there is no answer raises, and is told at the end; else it has no rows.
    """

    def __init__(self, *, strict: bool) -> None:
        super().__init__(connect_s=0.01)
        self.is_strict = strict
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self.unexpected: list[Asked] = []

    def add(
        self,
        sql: str | re.Pattern[str],
        *,
        rows: Rows | None,
        value: Any,
        status: str | None,
        raises: Exception | None,
        does: Does | None,
        after: float,
        times: int | None,
        takes: type,
        cuts: bool,
    ) -> Answer:
        """See ``FakePool.on``."""
        given = [one for one in (rows, value, status, raises, does) if one is not None]
        if len(given) > 1:
            raise UsageError("an answer is one of rows, value, status, raises and does, not several")
        if not (raises is None or isinstance(raises, Exception)):  # unittest.mock takes a class, too
            raise UsageError(f"raises must be an error, as asyncpg.UniqueViolationError('duplicate'), not {raises!r}")
        if rows is not None:
            records_of(rows)  # now, for the sake of the traceback
        if value is not None:
            rows = [{"value": value}]
        said = raises if raises is not None else status if status is not None else rows
        answer = Answer(
            text=" ".join(sql.split()) if isinstance(sql, str) else sql,
            does=does or (lambda *_: said),
            after_s=seconds_from_zero(after, "after"),
            times=None if times is None else whole_number(times, "times", 1),
            takes=takes,
            kills=cuts,
        )
        self.answers.append(answer)
        return answer

    def reply(self, sql: str, args: Sequence[object], now: float) -> Reply:
        """What the server says to a statement.

        Raises:
            InterfaceError: it has another number of parameters, as from the driver.
            UnexpectedStatement: nothing, and it is strict.
        """
        asked = Asked(sql, tuple(args), now)
        if sql not in _OWN:
            self.asked.append(asked)
        for answer in reversed(self.answers):  # the newest counts
            if answer.fits(sql):
                _check_count(sql, len(args))
                answer.asked.append(asked)
                return answer.reply(args)
        if sql in _OWN:
            return Reply(QUICK_S, rows=_OWN[sql])
        if self.is_strict:
            self.unexpected.append(asked)
            raise UnexpectedStatement(self._complaint())
        return Reply(QUICK_S, rows=())

    def check(self) -> None:
        """Raise if something was asked for which there was no answer: a program may have swallowed the error."""
        if self.unexpected:
            raise UnexpectedStatement(self._complaint())

    def _complaint(self) -> str:
        lines = [f"the fake pool has no answer for: {each}" for each in self.unexpected]
        lines += ["it has answers for:", *(f"  {answer}" for answer in self.answers)] if self.answers else []
        before = [each for each in self.asked if each not in self.unexpected]
        lines += ["it was asked before:", *(f"  {each}" for each in before[-MOST_SHOWN:])] if before else []
        return "\n".join(lines)


def _check_count(sql: str, passed: int) -> None:
    """Raise what the driver raises where the places of parameters are fewer or more than the arguments."""
    wanted = max((int(each.text[1:]) for each in tokens(sql) if each.kind is Kind.PARAMETER), default=0)
    if wanted != passed:
        raise asyncpg.InterfaceError(
            f"the server expects {counted(wanted, 'argument')} for this query, "
            f"{passed} {'was' if passed == 1 else 'were'} passed"
        )
