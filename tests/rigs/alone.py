"""One run of one rig in a process of its own, which ends with the one that wanted it.

Usage: ``python -m tests.rigs.alone MODULE SECONDS SEED NICE FILE``. Progress goes to stdout, a line each; what was
found to FILE as JSON. The end of stdin asks it to stop, as Ctrl-C would: a rig that catches KeyboardInterrupt says what
it has.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import cast

from tests.rigs.findings import Rig


def main() -> int:
    module, seconds, seed, nice, file = sys.argv[1:]
    os.nice(int(nice))
    # Who starts this in the background of a script may have had SIGINT ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    started = time.monotonic()
    try:
        rig = cast("Rig", importlib.import_module(module))
        found = rig.run(float(seconds), int(seed), _say)
    except KeyboardInterrupt:
        return 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found.took_s = found.took_s or time.monotonic() - started
    Path(file).write_text(json.dumps(found.as_plain()), "utf-8")
    return 0


def _stop_at_end_of_input() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGINT)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
