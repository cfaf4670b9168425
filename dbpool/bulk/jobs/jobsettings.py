"""How a job is run, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from dbpool.bulk.access import Access
from dbpool.bulk.jobs.effect import Effect
from dbpool.bulk.jobs.storing import Target
from dbpool.bulk.map import Progress
from dbpool.core.statements import classify
from dbpool.dsn import is_printable
from dbpool.errors import StatementError, UsageError
from dbpool.queries import check_statement
from dbpool.settings import positive_seconds, whole_number

CHUNK = 500  # items: beyond that nothing is gained, and a conflict costs more
MOST_AT_ONCE = 4  # connections: more only wait for each other on a server's processors
TRIES = 10  # of a chunk, over about 10 s
LONGEST_NAME = 200  # characters


class JobOptions(TypedDict, total=False):
    """Options of ``job``; see there."""

    chunk: int
    at_once: int
    on_error: str
    retry: int
    timeout: float
    one_by_one: bool
    trust: bool
    progress: Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class JobSettings:
    """``JobOptions``, all of them there."""

    chunk: int
    at_once: int
    collects: bool
    tries: int
    timeout: float
    one_by_one: bool
    trust: bool
    progress: Callable[[Progress], object] | None
    from_text: bool
    """The items' values are text, to be read as the server reads it."""

    def kept(self) -> dict[str, Any]:
        """What the job's row keeps of them, for those who look at it and for its rejects."""
        return {
            "on_error": "collect" if self.collects else "raise",
            "one_by_one": self.one_by_one,
            "from_text": self.from_text,
        }

    def target(self, job_id: int, name: str, sql: str, total: int | None) -> Target:
        """What chunks are stored into."""
        parameters = classify(sql).parameters
        effect = Effect(sql, parameters, self.one_by_one, self.timeout, self.collects)
        return Target(job_id, name, self.chunk, total, effect, self.tries)


def settings_of(
    access: Access, name: object, sql: str, options: JobOptions | Mapping[str, Any], *, from_text: bool
) -> JobSettings:
    """Check what a job is given.

    Raises:
        StatementError: *sql* is not one statement that may have an effect.
        UsageError, SettingsError: an option, or the name.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not is_printable(name):
        raise UsageError(f"a job's name must be a text of 1 to {LONGEST_NAME} printable characters, not {name!r}")
    _check_effect(sql, access.settings.trusted_functions)
    on_error = options.get("on_error", "raise")
    if on_error not in ("raise", "collect"):
        raise UsageError(f"on_error must be one of 'raise', 'collect', not {on_error!r}")
    timeout = options.get("timeout")
    return JobSettings(
        chunk=whole_number(options.get("chunk", CHUNK), "chunk", 1),
        at_once=min(whole_number(options.get("at_once", MOST_AT_ONCE), "at_once", 1), access.most),
        collects=on_error == "collect",
        tries=whole_number(options.get("retry", TRIES), "retry", 1),
        timeout=access.settings.query_timeout if timeout is None else positive_seconds(timeout, "timeout"),
        one_by_one=bool(options.get("one_by_one", False)),
        trust=bool(options.get("trust", False)),
        progress=options.get("progress"),
        from_text=from_text,
    )


def _check_effect(sql: str, trusted: frozenset[str]) -> None:
    if check_statement(sql, (), trusted).reads_only:
        raise StatementError(
            "this statement only reads, and a job has no use for rows: what becomes of them outside the database "
            "cannot be committed together with the ledger, so it could be done twice. Use db.map() for reads; to go on "
            "after a crash, write down behind each result how far you have come, which is at least once. Or make it "
            "INSERT INTO ... SELECT, which a job does exactly once."
        )
