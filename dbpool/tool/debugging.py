"""The traceback of what goes wrong, for whoever asks for it."""

from __future__ import annotations

import sys
import traceback

import click

from dbpool.wording import without_addresses

debug = click.option(
    "--debug",
    is_flag=True,
    envvar="DBPOOL_DEBUG",
    help="Show the traceback of what goes wrong.  [also: DBPOOL_DEBUG=1]",
)
"""An option of all commands together."""


def is_debugged() -> bool:
    """Whether the command that runs now was asked for tracebacks."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get("debug"))


def tell_traceback(error: BaseException) -> None:
    """Write the traceback of *error* to stderr, without addresses in it, if it was asked for."""
    if is_debugged():
        sys.stderr.write(without_addresses("".join(traceback.format_exception(error))))
