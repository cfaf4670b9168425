"""How every command ends where something goes wrong."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from dbpool.faults import one_line
from dbpool.tool.arguments import BadAddress
from dbpool.tool.debugging import is_debugged, tell_traceback
from dbpool.tool.running import FAILED, INTERRUPTED
from dbpool.wording import without_addresses


class Guarded(click.Group):
    """Ends with a sentence; with a traceback only where ``--debug`` asks for one."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        _heed_interrupts()
        try:
            return super().invoke(ctx)
        except BadAddress:
            raise
        except click.UsageError as error:  # an address that stands in the wrong place may hold a password, too
            raise click.UsageError(without_addresses(error.format_message()), error.ctx) from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # whoever reads has had enough: click knows what to do
            raise
        except Exception as error:  # nobody thought of it: a mistake of ours, or in a function of the user's
            tell_traceback(error)
            advice = "" if is_debugged() else "; run with --debug for the traceback"
            click.echo(f"dbpool: unexpected {without_addresses(one_line(error))}{advice}", err=True)
            raise click.exceptions.Exit(FAILED) from None


def _heed_interrupts() -> None:
    """Have Ctrl-C raise KeyboardInterrupt: while we were loaded it may have ended the process without a word."""
    is_ours = threading.current_thread() is threading.main_thread()
    if is_ours and callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)
