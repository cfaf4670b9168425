"""The commands that look at a database: arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from dbpool.tool.arguments import Address, Seconds, database
from dbpool.tool.needs import sentence_about_missing


@click.command()
@click.argument("url", type=Address(), envvar="DATABASE_URL", metavar="[URL]")
@click.option(
    "--instances", metavar="N", type=click.IntRange(1, 100_000), default=1, help="Processes that each have a pool."
)
@click.option(
    "--surge", metavar="X", type=click.FloatRange(1, 1000), default=1.0, help="Times as many during a deployment."
)
@click.option(
    "--reserve", metavar="N", type=click.IntRange(0), default=0, help="Connections for what is not this application."
)
@click.option("--timeout", metavar="S", type=Seconds(0.1, 600), default=10.0, help="How long to wait for a connection.")
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
def doctor(**options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    """Look at a server's limits, role, TLS, pooler and settings, and advise.

    It changes nothing, and works for a role with few rights; what that cannot see is "not available".

    \b
    Example:  dbpool doctor postgresql://app@localhost/shop --instances 4
    Exit codes: 0 no problem, 1 it cannot connect, 2 usage, 3 problems,
      130 stopped by a signal.
    """
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.doctor.command import Plan, run
    from dbpool.tool.running import run as conduct

    plan = Plan(**options)
    conduct("doctor", lambda stop: stop.cuts_short(run(plan)))


@click.command()
@click.argument("words", nargs=-1, metavar="SQL [PARAMS]...")
@database
@click.option(
    "-f", "--file", type=click.Path(dir_okay=False, allow_dash=True), help="Read the SQL from a file, or - for stdin."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "ndjson"]),
    help="[default: by FILE's name; table at a terminal, csv in a pipe]",
)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the rows go, also .gz.",
)
@click.option(
    "--into", metavar="MODULE:TYPE", help="Make each row one of these, and print it, or with --format json as JSON."
)
@click.option("--null", metavar="TEXT", help="The parameter that stands for NULL.  [default: none does]")
@click.option("--limit", metavar="N", type=click.IntRange(0), default=100, help="Rows of a table at the most; 0: all.")
@click.option("-x", "--expanded", "is_expanded", is_flag=True, help="A line for each value; nothing is cut.")
@click.option("--readonly", "is_readonly", is_flag=True, help="Have the server refuse all writes.")
@click.option(
    "--timeout", metavar="S", type=Seconds(0.001, 1e9), help="Cancel it after so many seconds.  [default: no limit]"
)
@click.option("--explain", "is_explained", is_flag=True, help="Show the plan; do not run it.")
def query(*, words: tuple[str, ...], file: str | None, null: str | None, form: str | None, **options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Run one statement, and show its rows.

    PARAMS are $1, $2, ... of SQL, each read as the server reads a constant of its type. Put -- before one that begins
    with a hyphen. SQL may be -, which is stdin. Each call is a transaction of its own.

    \b
    Example:  dbpool query 'select * from users where id = $1' 7
              dbpool query 'select * from users' --format json -o users.json
    Exit codes: 0 done, 1 it failed, 2 usage, 130 stopped by a signal (and
      cancelled at the server).
    """
    sql, parameters = _sql_of(words, file)
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.query.command import run
    from dbpool.tool.query.plan import Out, Plan
    from dbpool.tool.running import run as conduct

    plan = Plan(
        sql=sql,
        parameters=tuple(None if text == null else text for text in parameters),
        form=None if form is None else Out(form),
        **options,
    )
    conduct("query", lambda stop: stop.cuts_short(run(plan)))


def _sql_of(words: tuple[str, ...], file: str | None) -> tuple[str, tuple[str, ...]]:
    """The statement, and its parameters."""
    if file is None:
        if not words:
            raise click.UsageError("no SQL: give it as an argument, by -f FILE, or - for stdin")
        sql, *parameters = words
        return (_text_of("-"), tuple(parameters)) if sql == "-" else (sql, tuple(parameters))
    return _text_of(file), words


def _text_of(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as stream:
            return str(stream.read())
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8, at byte {error.start}") from None


COMMANDS = (doctor, query)
