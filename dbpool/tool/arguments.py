"""What several commands take."""

from __future__ import annotations

import math

import click

from dbpool.addresses import plain_address
from dbpool.dsn import Dsn
from dbpool.errors import SettingsError


class BadAddress(click.BadParameter):
    """What is said of it quotes an example, never the address itself."""


class Address(click.ParamType[str]):
    """A ``postgresql://`` address, also as SQLAlchemy writes it; what is said of a malformed one does not quote it."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return Dsn(str(plain_address(value))).reveal()
        except SettingsError as error:
            raise BadAddress(str(error), ctx, param) from None


class Seconds(click.FloatRange):
    """A range that NaN, which no comparison finds outside, is not in."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


database = click.option("--dsn", type=Address(), envvar="DATABASE_URL", required=True, help="[default: DATABASE_URL]")
connections = click.option(
    "--connections", metavar="N", type=click.IntRange(1, 1_000), default=4, help="Most connections."
)
