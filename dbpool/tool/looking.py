"""The commands that look at a database: arguments in, exit code out."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from dbpool.tool.arguments import Address, Seconds
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
    Example:  dbpool doctor postgresql://app@localhost/shop --instances 4 --surge 1.5
    Exit codes: 0 no problem, 1 it cannot connect, 2 usage, 3 there are problems, 130 stopped by a signal.
    """
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.doctor.command import Plan, run
    from dbpool.tool.running import run as conduct

    plan = Plan(**options)
    conduct("doctor", lambda stop: stop.cuts_short(run(plan)))


COMMANDS = (doctor,)
