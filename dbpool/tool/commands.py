"""The commands for many rows: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dbpool.tool.arguments import connections, database
from dbpool.tool.completion import job_names, table_names
from dbpool.tool.needs import sentence_about_missing

if TYPE_CHECKING:
    from dbpool.tool.running import Stop

_file = click.Path(path_type=Path, dir_okay=False)
_params = click.option(
    "--params",
    type=_file,
    help="A file whose rows are $1, $2, ...: .csv, .ndjson or .jsonl, also .gz.  [default: lines of JSON on stdin]",
)
_columns = click.option("--columns", metavar="A,B", help="The columns of the file to take, in order.  [default: all]")
_header = click.option(
    "--header/--no-header", default=True, help="Whether the first row of a CSV file names its columns."
)
_null = click.option(
    "--null", metavar="TEXT", default="", show_default="nothing", help="What stands for NULL in a CSV file."
)
_dask = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Have a job's rows stored by the workers of the Dask cluster with this scheduler, as tcp://10.0.0.5:8786.",
)
_json = click.option("--json", "as_json", is_flag=True, help="End with the figures as one line of JSON.")


@click.command()
@click.argument("sql")
@database
@_params
@click.option("--out", type=_file, help="Where the rows go, a line of JSON for each item.  [default: stdout]")
@_columns
@_header
@click.option("--delimiter", metavar="C", default=",", help="Between the fields of a CSV file.")
@_null
@connections
@click.option(
    "--job",
    metavar="NAME",
    shell_complete=job_names,
    help="Run it as a job: each row has its effect exactly once, however often it is killed.",
)
@_dask
@click.option(
    "--form",
    type=click.Choice(["lateral", "unfenced", "many", "single"]),
    help="How to send the statement.  [default: the quickest that is proven to give the same]",
)
@click.option("--rate", metavar="N", type=click.FloatRange(min=0, min_open=True), help="Items a second at the most.")
@click.option("--ordered/--unordered", default=True, help="In the order of the file, or as they come.")
@click.option(
    "--keep-going", is_flag=True, help="Write the error of an item that fails (a job: put it aside), and go on."
)
@click.option("--explain", is_flag=True, help="Say how the statement would be sent, and why; send nothing.")
@_json
def bulk(*, columns: str | None, **options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    """Run SQL once for each row of a file, in batches where that gives the same.

    \b
    Example:  dbpool bulk 'select name from users where id = $1' --params ids.csv --out names.ndjson
    Exit codes: 0 all went well, 1 it was given up, 3 some items failed, 130 stopped by a signal.
    """
    from dbpool.tool.bulk import Plan, run

    plan = Plan(columns=_split(columns), **options)
    if plan.dask is not None and plan.job is None:
        raise click.UsageError("--dask spreads a job over a cluster: give it a name with --job")
    _run("bulk", lambda stop: run(plan, stop), "stopped; what was stored stays stored")


@click.command()
@click.argument("table", shell_complete=table_names)
@click.argument("files", nargs=-1, required=True, type=click.Path())
@database
@click.option("--columns", metavar="A,B", help="What the fields are, in order; a header must say the same.")
@_header
@click.option("--delimiter", metavar="C", help="Between the fields of a CSV file.  [default: by its name]")
@_null
@connections
@click.option("--rejects", type=_file, help="Where rows go that cannot be stored.  [default: the first one ends it]")
@click.option("--atomic", is_flag=True, help="Store all or nothing, by one connection.")
@_json
def load(*, columns: str | None, **options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Load FILES (CSV or NDJSON, also .gz; patterns in quotes) into TABLE.

    \b
    Example:  dbpool load orders 'data/*.csv.gz' --rejects rejects.csv
    Exit codes: 0 all went well, 1 it was given up, 3 some rows were rejected, 130 stopped by a signal.
    """
    from dbpool.tool.load import Plan, run

    plan = Plan(columns=_split(columns), **options)
    _run("load", lambda stop: run(plan, stop), "stopped; the parts that were stored stay stored")


@click.command()
@click.argument("source", shell_complete=table_names)
@click.argument("target", required=False, type=click.Path(path_type=Path))
@database
@click.option(
    "--format", type=click.Choice(["csv", "binary", "json", "ndjson", "parquet"]), help="[default: by TARGET's name]"
)
@connections
@_json
def export(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Write SOURCE, a table or a query, to TARGET, or to stdout.

    \b
    Example:  dbpool export orders orders.parquet
    Exit codes: 0 it is written, 1 it was given up, 130 stopped by a signal. No half file is left.
    """
    from dbpool.tool.export import Plan, run

    plan = Plan(**options)
    _run("export", lambda stop: run(plan, stop), "stopped; nothing is left of it")


@click.group()
def jobs() -> None:
    """Work that goes on where it was: see 'dbpool bulk --job'."""


@jobs.command("list")
@database
@_json
def list_jobs(*, dsn: str, as_json: bool) -> NoReturn:
    """List the jobs of a database."""
    from dbpool.tool.jobs import show_all

    _run("jobs list", lambda stop: stop.cuts_short(show_all(dsn, as_json=as_json)))


@jobs.command()
@click.argument("name", shell_complete=job_names)
@database
@_json
def show(*, name: str, dsn: str, as_json: bool) -> NoReturn:
    """Show a job, with the items that are put aside."""
    from dbpool.tool.jobs import show_one

    _run("jobs show", lambda stop: stop.cuts_short(show_one(dsn, name, as_json=as_json)))


@jobs.command()
@click.argument("name", shell_complete=job_names)
@database
@_params
@_columns
@_header
@click.option("--delimiter", metavar="C", default=",", help="Between the fields of a CSV file.")
@_null
@connections
@_dask
@_json
def resume(
    *,
    name: str,
    dsn: str,
    params: Path | None,
    columns: str | None,
    header: bool,
    delimiter: str,
    null: str,
    connections: int,
    dask: str | None,
    as_json: bool,
) -> NoReturn:
    """Go on with a job; the file must be the one that it was begun with."""
    from dbpool.tool.bulk import source_of
    from dbpool.tool.jobs import resume

    rows = source_of(params, _split(columns), header=header, delimiter=delimiter, null=null)
    _run("jobs resume", lambda stop: resume(dsn, name, rows, connections, dask, stop, as_json=as_json), _STOPPED)


@jobs.command("retry-rejects")
@click.argument("name", shell_complete=job_names)
@database
@connections
@_json
def retry_rejects(*, name: str, dsn: str, connections: int, as_json: bool) -> NoReturn:
    """Run the items of a job again that are put aside."""
    from dbpool.tool.jobs import retry_rejects

    _run("jobs retry-rejects", lambda stop: retry_rejects(dsn, name, connections, stop, as_json=as_json), _STOPPED)


@jobs.command()
@click.argument("name", shell_complete=job_names)
@database
def forget(*, name: str, dsn: str) -> NoReturn:
    """Forget a job: run again, it does everything anew."""
    from dbpool.tool.jobs import forget

    _run("jobs forget", lambda stop: stop.cuts_short(forget(dsn, name)))


COMMANDS = (bulk, load, export, jobs)

_STOPPED = "stopped; it goes on from there when it is run again"


def _split(columns: str | None) -> list[str] | None:
    return None if columns is None else columns.split(",")


def _run(command: str, work: Callable[[Stop], Awaitable[int]], stopped: str = "stopped") -> NoReturn:
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.running import run

    run(command, work, stopped)
