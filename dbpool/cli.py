"""The command line: arguments in, exit code out."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import NoReturn

from dbpool import __version__
from dbpool.tool.needs import INSTALL, sentence_about_missing

STARTED_AT = perf_counter()
NOT_INSTALLED = 2

try:
    import click
except ImportError:  # the console script imports this file and nothing else, so its user is whom to tell
    print(f"dbpool: the command line needs click: {INSTALL}", file=sys.stderr)
    raise SystemExit(NOT_INSTALLED) from None

from dbpool.tool.arguments import Address, Seconds  # noqa: E402 - they need click, too
from dbpool.tool.commands import COMMANDS  # noqa: E402
from dbpool.tool.completion import completion  # noqa: E402
from dbpool.tool.debugging import debug  # noqa: E402
from dbpool.tool.group import Guarded  # noqa: E402
from dbpool.tool.loadtest.group import loadtest  # noqa: E402
from dbpool.tool.looking import COMMANDS as LOOKING  # noqa: E402
from dbpool.tool.migrate import migrate  # noqa: E402
from dbpool.tool.running import INTERRUPTED  # noqa: E402


@click.group(
    cls=Guarded,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dbpool")
@debug
def main(*, debug: bool) -> None:
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


for _command in (*COMMANDS, *LOOKING, loadtest, migrate, completion):
    main.add_command(_command)


def _leave(sentence: str, exit_code: int) -> NoReturn:
    click.echo(f"dbpool: {sentence}", err=True)
    sys.exit(exit_code)
