"""The commands of ``dbpool loadtest``: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dbpool.core.arrivals import Arrival
from dbpool.core.loadtest.thresholds import threshold_of
from dbpool.core.stages import stages_of
from dbpool.loadtest.load import MAX_IN_FLIGHT, DriverName
from dbpool.loadtest.scripts.client import parse_definition
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.tool.arguments import Address
from dbpool.tool.loadtest.values import Parsed
from dbpool.tool.loadtest.workload import builtin_part, file_part
from dbpool.tool.needs import sentence_about_missing

if TYPE_CHECKING:
    from dbpool.tool.running import Stop

_url = click.argument("url", required=False, type=Address(), envvar="DATABASE_URL", metavar="[URL]")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
_force = click.option("--force", is_flag=True, help="Go on where safety says no: others may find no connection.")
_most = click.option(
    "--max-connections",
    metavar="N",
    type=click.IntRange(1),
    help="Take so many connections at the most.  [default: 90 % of the usable ones, less what others hold]",
)
_scale = click.option(
    "-s", "--scale", metavar="N", type=click.IntRange(1, 10_000), default=1, help="100,000 accounts each: about 15 MB."
)


@click.command()
@_url
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    type=click.Choice([name.value for name in DriverName]),
    default=[DriverName.DBPOOL.value],
    help="By what the load goes; several are measured one after the other. noop measures the generator itself.",
)
@click.option(
    "-c",
    "--clients",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=10,
    help="Clients, each with one transaction after the other.",
)
@click.option("-R", "--rate", metavar="N|A:B", help="Arrivals a second instead of clients; A:B is a ramp.")
@click.option(
    "--stages",
    metavar="T:N,...",
    type=Parsed("stages", stages_of),
    help="Arrivals a second by stages, like 30s:100,1m:500 (to 100 in 30 s, then to 500 in a minute).",
)
@click.option(
    "--arrival",
    type=click.Choice([each.value for each in Arrival]),
    default="poisson",
    help="How arrivals follow each other.",
)
@click.option(
    "-T", "--time", "time_s", metavar="S", type=click.FloatRange(0.1, 86_400), default=10.0, help="Seconds that count."
)
@click.option(
    "--warmup",
    "warmup_s",
    metavar="S",
    type=click.FloatRange(0, 3600),
    default=3.0,
    help="Seconds before them that do not.",
)
@click.option(
    "-L",
    "--latency-limit",
    metavar="MS",
    type=click.FloatRange(min=0, min_open=True),
    help="Slower is late; an arrival that is later already is skipped.",
)
@click.option(
    "--timeout",
    metavar="MS",
    type=click.FloatRange(1, 3_600_000),
    default=30_000.0,
    help="For each transaction; one that ends so counts as that slow.",
)
@click.option(
    "--pool-size",
    metavar="N",
    type=click.IntRange(1, 100_000),
    help="Connections of the pool, of all workers together.  [default: as many as clients, 10 with -R]",
)
@click.option(
    "--gate",
    metavar="N",
    type=click.IntRange(1),
    help="Transactions that the pool lets in at the same time (driver dbpool).  [default: --pool-size]",
)
@click.option(
    "--max-inflight",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=MAX_IN_FLIGHT,
    help="Arrivals beyond so many under way are dropped.",
)
@click.option(
    "-b",
    "--builtin",
    "builtins",
    metavar="NAME[@W]",
    multiple=True,
    type=Parsed("script", builtin_part),
    help="tpcb-like, simple-update or select-only, on the tables that init makes; W is a weight.  "
    "[default: select-only]",
)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE[@W]",
    multiple=True,
    type=Parsed("script", file_part),
    help="A pgbench script, or module:function, as 'async def function(connection, client)'.",
)
@click.option(
    "-D",
    "--define",
    "defined",
    metavar="NAME=VALUE",
    multiple=True,
    type=Parsed("definition", parse_definition),
    help="A variable of scripts.",
)
@click.option(
    "-M",
    "--protocol",
    type=click.Choice([mode.value for mode in QueryMode]),
    default="prepared",
    help="How statements are sent.",
)
@_scale
@click.option(
    "-j",
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    default=1,
    help="Load processes. The pool is split among them.",
)
@click.option(
    "--random-seed",
    "seed",
    metavar="N",
    type=click.IntRange(0, 2**64 - 1),
    default=1,
    help="The same seed draws the same numbers.",
)
@click.option(
    "--threshold",
    "thresholds",
    metavar="EXPR",
    multiple=True,
    type=Parsed("threshold", threshold_of),
    help="Must be met, like 'response_ms:p(99)<50', 'tps>=1000' or 'error_rate<1%'.",
)
@_most
@_force
@click.option(
    "-P",
    "--progress",
    metavar="S",
    type=click.IntRange(0),
    default=1,
    help="Seconds between two lines of progress on stderr; 0 for none.",
)
@_json
def bench(**options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    """Load a server for a while, and print what it did: one fixed point, like pgbench.

    A closed load (-c) shows what a number of clients gets done. An open one (-R) shows what users would feel: its
    response times count from when a transaction was due, so that a slow server cannot slow the load down.

    \b
    Example:  dbpool loadtest bench postgresql://app@localhost/shop -c 20 -T 30 -f checkout.sql
              dbpool loadtest bench -R 500 -L 50 --driver dbpool --driver asyncpg
    Exit codes: 0 done, 1 nothing went well, 2 usage, 3 a threshold was missed, 6 refused for safety, 130 stopped.
    """
    from dbpool.tool.loadtest.bench import plan_of, run

    plan = plan_of(**options)
    _run("bench", lambda stop: run(plan, stop))


@click.command()
@_url
@click.option("--to-limit", is_flag=True, help="Open connections, one at a time, until one is refused; then close all.")
@_most
@_force
@_json
def probe(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Say how many connections the server allows, and with --to-limit which limit comes first.

    \b
    Example:  dbpool loadtest probe postgresql://app@localhost/shop --to-limit
    Exit codes: 0 done, 1 the server cannot be reached, 2 usage, 6 refused for safety, 130 stopped.
    """
    from dbpool.tool.loadtest.probe import ProbePlan, run

    plan = ProbePlan(**options)
    _run("probe", lambda stop: run(plan, stop))


_wanted_url = click.argument("url", type=Address(), envvar="DATABASE_URL", metavar="URL")


@click.command()
@_wanted_url
@_scale
def init(*, url: str, scale: int) -> NoReturn:
    """Make the tables of pgbench, in the schema dbpool_loadtest; what was there is dropped first.

    \b
    Example:  dbpool loadtest init postgresql://app@localhost/shop -s 10
    Exit codes: 0 done, 1 it failed, 2 usage, 130 stopped.
    """
    from dbpool.tool.loadtest.tables import make

    _run("init", lambda stop: make(url, scale, stop))


@click.command()
@_wanted_url
def clean(*, url: str) -> NoReturn:
    """Drop the schema dbpool_loadtest with all that is in it.

    \b
    Example:  dbpool loadtest clean postgresql://app@localhost/shop
    Exit codes: 0 done, 1 it failed, 2 usage, 130 stopped.
    """
    from dbpool.tool.loadtest.tables import drop

    _run("clean", lambda _: drop(url))


def _run(command: str, work: Callable[[Stop], Awaitable[int]]) -> NoReturn:
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.running import run

    run(f"loadtest {command}", work)


COMMANDS = {command.name: command for command in (bench, probe, init, clean)}
