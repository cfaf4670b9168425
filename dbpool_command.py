"""The program ``dbpool``, from its first moment: Ctrl-C while the package is still loaded is a quiet end.

Beside the package, because whatever is in it can only run when all of it is loaded, which takes most of that time.
"""

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Load the command line, then leave Ctrl-C to it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the shell has us ignore it
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # nothing has begun that would have to end
    from dbpool.cli import main as run

    run()
