"""The transaction of a fake server's session: open, failed, marked by savepoints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import asyncpg

_COMMAND = re.compile(
    r"\s*(?:(?P<begin>begin|start\s+transaction)\b.*"
    r"|(?P<commit>commit|end)\b.*"
    r"|rollback\s+to\s+(?:savepoint\s+)?(?P<back>\w+)"
    r"|(?P<rollback>rollback|abort)\b.*"
    r"|savepoint\s+(?P<mark>\w+)"
    r"|release\s+(?:savepoint\s+)?(?P<release>\w+))\s*",
    re.IGNORECASE | re.DOTALL,
)


class FakeTransaction:
    """What statements make of it. Data are not in it: a fake server stores nothing."""

    def __init__(self) -> None:
        self.is_open = self.is_failed = False
        self._marks: list[str] = []

    def takes(self, sql: str) -> list[re.Match[str]]:
        """The commands of which *sql* consists; none if it is not about transactions."""
        found = [_COMMAND.fullmatch(each) for each in sql.split(";") if each.strip()]
        return [each for each in found if each is not None] if all(found) else []

    def run(self, commands: list[re.Match[str]]) -> str:
        """Do what *commands* say; return the status of the last.

        Raises:
            asyncpg.PostgresError: as the server would.
        """
        status = ""
        for command in commands:
            status = self._run(command)
        return status

    def check_takes_statements(self) -> None:
        """Raise as the server does for a statement in a failed transaction."""
        if self.is_failed:
            raise asyncpg.InFailedSQLTransactionError(
                "current transaction is aborted, commands ignored until end of transaction block"
            )

    def fail(self) -> None:
        """A statement of it failed."""
        self.is_failed = self.is_open

    def end(self) -> None:
        self.is_open = self.is_failed = False
        self._marks.clear()

    def _run(self, command: re.Match[str]) -> str:
        if command["begin"]:
            self.is_open = True
            return "BEGIN"
        if command["commit"] or command["rollback"]:
            status = "COMMIT" if command["commit"] and not self.is_failed else "ROLLBACK"
            self.end()
            return status
        if not self.is_open:
            raise asyncpg.NoActiveSQLTransactionError("savepoints can only be used in transaction blocks")
        if command["back"]:
            del self._marks[self._place_of(command["back"]) + 1 :]
            self.is_failed = False
            return "ROLLBACK"
        self.check_takes_statements()
        if command["mark"]:
            self._marks.append(command["mark"])
            return "SAVEPOINT"
        del self._marks[self._place_of(command["release"]) :]
        return "RELEASE"

    def _place_of(self, name: str) -> int:
        for place in self._backwards():
            if self._marks[place] == name:
                return place
        raise asyncpg.InvalidSavepointSpecificationError(f'savepoint "{name}" does not exist')

    def _backwards(self) -> Iterator[int]:
        return reversed(range(len(self._marks)))
