"""The commands ``dbpool migrate ...``: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dbpool.migrate.patience import LOCK_TIMEOUT, TableLocks
from dbpool.tool.arguments import Address, Seconds, database
from dbpool.tool.needs import sentence_about_missing

if TYPE_CHECKING:
    from dbpool.tool.running import Stop

DAY_S = 86_400.0
_STOPPED = "stopped; the step that was under way is rolled back, those before it stay applied"


_folder = click.option(
    "-f",
    "--folder",
    type=click.Path(path_type=Path),
    help="The folder of migrations, with versions/ in it.  [default: the tables of dbpool's own jobs]",
)
_table = click.option(
    "--version-table",
    metavar="NAME",
    help="Where the database keeps how far the folder is, if it has no env.py.  [default: alembic_version]",
)
_metadata = click.option(
    "--metadata", metavar="MODULE:NAME", help="The models, as shop.models:metadata.  [default: those that env.py names]"
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")
_lock_timeout = click.option(
    "--lock-timeout",
    metavar="S",
    type=Seconds(0, DAY_S),
    default=LOCK_TIMEOUT,
    help="How long to wait for other migrators.",
)
_table_timeout = click.option(
    "--table-lock-timeout",
    metavar="S",
    type=Seconds(0, DAY_S),
    default=TableLocks().timeout_s,
    help="How long one try of a step waits for a table in use, and the application behind it; 0: for ever.",
)
_table_patience = click.option(
    "--table-lock-patience",
    metavar="S",
    type=Seconds(0, DAY_S),
    default=TableLocks().patience_s,
    help="How long a step goes on trying.",
)


def _moves(command: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """What ``up`` and ``down`` take."""
    for option in (_json, _table_patience, _table_timeout, _lock_timeout, _table, _folder, database):
        command = option(command)
    return command


@click.group()
def migrate() -> None:
    """Bring a database's tables up to date, or back.

    \b
    Without --folder it is about dbpool's own tables, those that jobs are kept in.
    Exit codes: 0 done, 1 it failed, 2 the arguments mean nothing, 3 check found something, 130 stopped by a signal.
    """


@migrate.command()
@click.argument("revision", default="head")
@_moves
def up(**options: Any) -> NoReturn:  # noqa: ANN401 - as the options have it
    """Apply the steps up to REVISION, or all of them.

    \b
    Many processes may ask at once: each step runs once, the others wait.
    Example:  dbpool migrate up -f migrations
    """
    _move("up", **options)


@migrate.command()
@click.argument("revision")
@_moves
def down(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Take the steps after REVISION back; "base" takes back all of them, "-1" the latest.

    \b
    Example:  dbpool migrate down -f migrations -- -1
    """
    _move("down", **options)


@migrate.command()
@database
@_folder
@_table
@_json
def status(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Say where the database is, and what is pending."""
    from dbpool.tool.migrating import show_status

    _run("status", lambda _: show_status(**options))


@migrate.command()
@database
@_folder
@_table
def current(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Print the revision that the database is at."""
    from dbpool.tool.migrating import show_current

    _run("current", lambda _: show_current(**options))


@migrate.command()
@_folder
@_json
def history(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """List the steps, the first one first; needs no database."""
    from dbpool.tool.migrating import show_history

    _run("history", lambda _: show_history(**options))


@migrate.command()
@click.argument("message")
@click.option("-f", "--folder", type=click.Path(path_type=Path), required=True, help="It is made where there is none.")
@click.option("--autogenerate", is_flag=True, help="Fill it with what the models have more than the database.")
@_metadata
@click.option("--dsn", type=Address(), envvar="DATABASE_URL", help="To compare with.  [default: DATABASE_URL]")
@click.option("--merge", is_flag=True, help="Join the folder's heads.")
@click.option("--rev-id", metavar="ID", help="[default: 12 random digits]")
@click.option("--version-table", metavar="NAME", help="Of a new folder; kept in its env.py.")
def new(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Write a new step, and print its file.

    \b
    Example:  dbpool migrate new 'orders have notes' -f migrations --autogenerate --metadata shop.models:metadata
    """
    if options["autogenerate"] and options["dsn"] is None:
        raise click.UsageError("--autogenerate compares with a database: say --dsn, or set DATABASE_URL")
    if options["autogenerate"] and options["merge"]:
        raise click.UsageError("--merge joins what is there: it cannot be generated, too")
    from dbpool.tool.migrating import write_new

    _run("new", lambda stop: write_new(stop=stop, **options))


@migrate.command()
@database
@_folder
@_table
@_metadata
@_json
def check(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Exit with 3 where steps are pending, or the models and the database differ."""
    from dbpool.tool.migrating import show_check

    _run("check", lambda stop: show_check(stop=stop, **options))


@migrate.command()
@click.argument("revision", default="head")
@_folder
@_table
@click.option("--down", is_flag=True, help="What takes REVISION, a range as 0003:0001, back.")
def sql(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Print the SQL of the steps up to REVISION, or of a range as 0001:0003; needs no database."""
    from dbpool.tool.migrating import show_sql

    _run("sql", lambda _: show_sql(**options))


def _move(direction: str, **options: Any) -> NoReturn:  # noqa: ANN401 - as above
    locks = _table_locks(options.pop("table_lock_timeout"), options.pop("table_lock_patience"))
    from dbpool.tool.migrating import move

    _run(direction, lambda stop: move(direction, stop=stop, table_locks=locks, **options), _STOPPED)


def _table_locks(timeout_s: float, patience_s: float) -> TableLocks:
    if 0 < timeout_s < 0.001:
        raise click.BadParameter("a millisecond is the least that the server knows", param_hint="--table-lock-timeout")
    return TableLocks(timeout_s, patience_s)


def _run(command: str, work: Callable[[Stop], Awaitable[int]], stopped: str = "stopped") -> NoReturn:
    if sentence := sentence_about_missing("rich", "alembic", "sqlalchemy"):
        raise click.ClickException(sentence)
    from dbpool.tool.running import run

    run(f"migrate {command}", work, stopped)
