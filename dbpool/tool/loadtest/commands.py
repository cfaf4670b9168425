"""The commands of ``dbpool loadtest``: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dbpool.tool.loadtest import options as of
from dbpool.tool.loadtest import reporting, stagecommands
from dbpool.tool.loadtest.bench import SCRIPT as BENCH_SCRIPT
from dbpool.tool.loadtest.sweep import SCRIPT as SWEEP_SCRIPT
from dbpool.tool.loadtest.values import Range
from dbpool.tool.needs import sentence_about_missing

if TYPE_CHECKING:
    from dbpool.tool.running import Stop


@click.command(short_help="Measure fixed points, like pgbench.")
@of.options(
    of.url,
    of.drivers,
    of.clients,
    of.ARRIVALS,
    of.times(10.0, 3.0),
    of.pool_size,
    of.gate,
    of.repeat,
    of.order,
    of.workload(BENCH_SCRIPT),
    of.JUDGING,
    of.strict,
    of.LIMITS,
    of.WATCHING,
    of.OUTPUTS,
)
def bench(**options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    """Load a server for a while, and print what it did: one fixed point, like pgbench.

    A closed load (-c) shows what a number of clients gets done. An open one (-R) shows what users would feel: its
    response times count from when a transaction was due, so that a slow server cannot slow the load down.

    \b
    Example:  dbpool loadtest bench postgresql://app@localhost/shop -c 20 -T 30 -f checkout.sql
              dbpool loadtest bench -R 500 -L 50 --driver dbpool --driver asyncpg
    Exit codes: 0 done, 1 nothing went well, 2 usage, 3 a threshold was missed, 6 refused for safety, 130 stopped.
    """
    from dbpool.tool.loadtest.bench import bench_of, run

    plan = bench_of(options)
    _run("bench", lambda stop: run(plan, stop))


@click.command(short_help="Find the pool size beyond which nothing is gained.")
@of.options(
    of.url,
    of.PRESETS,
    of.SIZES,
    of.driver,
    of.times(None, None),
    of.workload(SWEEP_SCRIPT, workers=None),
    of.assumptions(),
    of.JUDGING,
    of.strict,
    of.LIMITS,
    of.WATCHING,
    of.OUTPUTS,
)
def sweep(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Vary the pool's size until throughput stops growing, and recommend one.

    As many clients as connections go one after the other. Sizes are doubled, the gap below the knee is closed, the knee
    and its neighbours are measured again.

    \b
    Example:  dbpool loadtest sweep postgresql://app@localhost/shop -f checkout.sql
              dbpool loadtest sweep --pool-size 2,4,8,16 --repeat 3 --instances 4 --surge 2
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline, 5 not to be trusted
      (with --strict), 6 refused for safety, 130 stopped.
    """
    from dbpool.tool.loadtest.sweep import run, sweep_of

    plan = sweep_of("sweep", options)
    _run("sweep", lambda stop: run(plan, stop))


@click.command("run", short_help="All stages: limits, knee, overload, storm, a report.")
@of.options(
    of.url,
    of.PRESETS,
    of.SIZES,
    of.library,
    of.times(None, None),
    click.option(
        "--skip",
        multiple=True,
        type=click.Choice(["queue", "overload", "storm"]),
        help="Leave out a stage; may be given several times.",
    ),
    click.option("--soak", metavar="MIN", type=Range(0.01, 10_080), help="Minutes at 70 % of the peak."),
    click.option("--dry-run", is_flag=True, help="Say how long it would take, and how many connections; load nothing."),
    of.workload(SWEEP_SCRIPT, workers=None),
    of.assumptions(),
    of.JUDGING,
    of.strict,
    of.LIMITS,
    of.WATCHING,
    of.OUTPUTS,
)
def whole(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Find a server's limit, name it, and recommend a pool size: all stages, with a report.

    It calibrates, varies the pool's size (sweep), lets clients wait in line (queue), offers more than the server can do
    (overload), has many connect at once and sessions killed (storm), and at your wish goes on for long (soak).

    \b
    Example:  dbpool loadtest run --quick -o report
              dbpool loadtest run postgresql://app@localhost/shop -f checkout.sql --instances 4 --surge 2
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline, 5 not to be trusted
      (with --strict), 6 refused for safety, 130 stopped (what was measured is reported).
    """
    from dbpool.tool.loadtest.whole import run, whole_of

    plan = whole_of(options)
    _run("run", lambda stop: run(plan, stop))


@click.command(short_help="Say how many connections are allowed, by which limit.")
@of.options(
    of.url,
    click.option(
        "--to-limit", is_flag=True, help="Open connections, one at a time, until one is refused; then close all."
    ),
    click.option(
        "--max-connections",
        metavar="N",
        type=click.IntRange(1),
        help="Have so many at the same time at the most.  [default: until one is refused]",
    ),
    of.force,
    of.as_json,
)
def probe(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Say how many connections the server allows, and with --to-limit which limit comes first.

    \b
    Example:  dbpool loadtest probe postgresql://app@localhost/shop --to-limit
    Exit codes: 0 done, 1 the server cannot be reached, 2 usage, 6 refused for safety, 130 stopped.
    """
    from dbpool.tool.loadtest.probe import ProbePlan, run

    plan = ProbePlan(**options)
    _run("probe", lambda stop: run(plan, stop))


@click.command(short_help="Make the tables that the builtin scripts use.")
@of.options(of.wanted_url, of.scale)
def init(*, url: str, scale: int) -> NoReturn:
    """Make the tables of pgbench, in the schema dbpool_loadtest; what was there is dropped first.

    \b
    Example:  dbpool loadtest init postgresql://app@localhost/shop -s 10
    Exit codes: 0 done, 1 it failed, 2 usage, 130 stopped.
    """
    from dbpool.tool.loadtest.tables import make

    _run("init", lambda stop: make(url, scale, stop))


@click.command(short_help="Drop those tables.")
@of.options(of.wanted_url)
def clean(*, url: str) -> NoReturn:
    """Drop the schema dbpool_loadtest with all that is in it.

    \b
    Example:  dbpool loadtest clean postgresql://app@localhost/shop
    Exit codes: 0 done, 1 it failed, 2 usage, 130 stopped.
    """
    from dbpool.tool.loadtest.tables import drop

    _run("clean", lambda stop: drop(url, stop))


def _run(command: str, work: Callable[[Stop], Awaitable[int]]) -> NoReturn:
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.running import run

    run(f"loadtest {command}", work)


COMMANDS = {
    command.name: command
    for command in (whole, sweep, bench, probe, init, clean, *stagecommands.COMMANDS, *reporting.COMMANDS)
}
