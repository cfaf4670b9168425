"""The command line: arguments in, exit code out."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Coroutine
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn, TypeVar

from dbpool import DbPoolError, SettingsError, __version__
from dbpool.demo.needs import INSTALL, sentence_about_missing
from dbpool.settings import Dsn

T = TypeVar("T")

STARTED_AT = perf_counter()
FAILED, NOT_INSTALLED, INTERRUPTED = 1, 2, 130

try:
    import click
except ImportError:  # the console script imports this file and nothing else, so its user is whom to tell
    print(f"dbpool: the command line needs click: {INSTALL}", file=sys.stderr)
    raise SystemExit(NOT_INSTALLED) from None


class Address(click.ParamType[str]):
    """A ``postgresql://`` address; what is said of a malformed one does not quote it."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return Dsn(str(value)).reveal()
        except SettingsError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.FloatRange):
    """A range that NaN, which no comparison finds outside, is not in."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100})
@click.version_option(__version__, prog_name="dbpool")
def main() -> None:
    """A fair, bounded pool of PostgreSQL connections."""


@main.command()
@click.option(
    "--dsn",
    type=Address(),
    envvar="DATABASE_URL",
    help="Server to use: a database is made there, and dropped at the end.  [default: DATABASE_URL, else an embedded "
    "server]",
)
@click.option(
    "--connections", metavar="N", type=click.IntRange(1, 1_000), default=10, help="Most connections of the pool."
)
@click.option(
    "--callers",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=2_000,
    help="Callers that query at the same time.",
)
@click.option(
    "--orders", metavar="N", type=click.IntRange(1, 50_000_000), default=200_000, help="Orders in the data set."
)
@click.option("--seconds", metavar="S", type=Seconds(0.1, 600), default=5.0, help="How long the callers go on.")
@click.option("--seed", metavar="N", type=int, default=1, help="The same seed gives the same data set.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON document on stdout, nothing else.")
def demo(
    *, dsn: str | None, connections: int, callers: int, orders: int, seconds: float, seed: int, as_json: bool
) -> NoReturn:
    """Show what the pool does, on a database of its own.

    It loads a data set, sends the queries of many callers through a few connections, lets transactions conflict and
    exhausts a small pool; the server itself counts the connections meanwhile. Nothing is left behind.
    """
    if sentence := sentence_about_missing("rich", "alembic", "sqlalchemy"):
        _leave(sentence, NOT_INSTALLED)
    try:
        from dbpool.demo.command import run
        from dbpool.demo.plan import Plan

        plan = Plan(dsn=dsn, connections=connections, callers=callers, orders=orders, seconds=seconds, seed=seed)
        sys.exit(run(plan, as_json=as_json, started_at=STARTED_AT))
    except KeyboardInterrupt:  # before or after the demo, which has handlers of its own
        _leave("stopped", INTERRUPTED)


_database = click.option("--dsn", type=Address(), envvar="DATABASE_URL", required=True, help="[default: DATABASE_URL]")
_file = click.Path(path_type=Path, dir_okay=False)


@main.command()
@click.argument("sql")
@_database
@click.option(
    "--params",
    type=_file,
    help="A file whose rows are $1, $2, ...: .csv, .ndjson or .jsonl, also .gz.  [default: lines of JSON on stdin]",
)
@click.option("--out", type=_file, help="Where the rows go, a line of JSON for each item.  [default: stdout]")
@click.option("--columns", metavar="A,B", help="The columns of the file that are $1, $2, ...  [default: all]")
@click.option("--header/--no-header", default=True, help="Whether the first row of a CSV file names its columns.")
@click.option("--delimiter", metavar="C", default=",", help="Between the fields of a CSV file.")
@click.option("--null", metavar="TEXT", default="", show_default="nothing", help="What stands for NULL in a CSV file.")
@click.option("--connections", metavar="N", type=click.IntRange(1, 1_000), default=4, help="Most connections.")
@click.option(
    "--form",
    type=click.Choice(["lateral", "unfenced", "many", "single"]),
    help="How to send the statement.  [default: the quickest that is proven to give the same]",
)
@click.option("--rate", metavar="N", type=click.FloatRange(min=0, min_open=True), help="Items a second at the most.")
@click.option("--ordered/--unordered", default=True, help="In the order of the file, or as they come.")
@click.option("--keep-going", is_flag=True, help="Write the error of an item that fails, and go on.")
@click.option("--explain", is_flag=True, help="Say how the statement would be sent, and why; send nothing.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="End with the figures as one line of JSON (on stderr if the rows go to stdout).",
)
def bulk(*, columns: str | None, **options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    r"""Run SQL once for each row of a file, in batches where that gives the same.

    \b
    Example:  dbpool bulk 'select name from users where id = $1' --params ids.csv --out names.ndjson
    Exit codes: 0 all went well, 1 it was given up, 3 some items failed, 130 stopped by a signal.
    """
    if sentence := sentence_about_missing("rich"):
        _leave(sentence, NOT_INSTALLED)
    from dbpool.tool.bulk import Plan, run
    from dbpool.tool.running import run as run_command

    plan = Plan(columns=None if columns is None else columns.split(","), **options)
    run_command("bulk", lambda stop: run(plan, stop))


@main.group()
def migrate() -> None:
    """Bring a database's tables up to date, or back."""


@migrate.command()
@_database
@click.argument("revision", default="head")
def up(dsn: str, revision: str) -> None:
    """Apply the steps up to REVISION, or all of them."""
    from dbpool.migrate import upgrade

    _finish(upgrade(dsn, revision))


@migrate.command()
@_database
@click.argument("revision")
def down(dsn: str, revision: str) -> None:
    """Take the steps after REVISION back; "base" takes back all of them."""
    from dbpool.migrate import downgrade

    _finish(downgrade(dsn, revision))


@migrate.command()
@_database
def current(dsn: str) -> None:
    """Print the revision that the database is at."""
    from dbpool.migrate import current as current_revision

    click.echo(_finish(current_revision(dsn)) or "never migrated")


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*; leave with a sentence if it cannot be done."""
    try:
        return asyncio.run(work)
    except ImportError as error:
        _leave(str(error), NOT_INSTALLED)
    except DbPoolError as error:
        _leave(str(error), FAILED)
    except KeyboardInterrupt:
        _leave("stopped", INTERRUPTED)


def _leave(sentence: str, exit_code: int) -> NoReturn:
    click.echo(f"dbpool: {sentence}", err=True)
    sys.exit(exit_code)
