"""A measurement in a fresh process, so that nothing measured before it is in its memory."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from typing import Any


class MeasurementFailed(Exception):
    """The process ended without a result; the message is its last line on stderr."""


def measure(module: str, request: dict[str, Any], *, loop: str = "asyncio") -> dict[str, Any]:
    """What ``bench.<module>.measure(request)`` returns in a process of its own, on *loop* (asyncio or uvloop).

    Raises: MeasurementFailed.
    """
    asked = json.dumps({"module": module, "request": request, "loop": loop})  # by stdin: a DSN may hold a password
    done = subprocess.run(
        [sys.executable, "-m", "bench.process"], input=asked, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise MeasurementFailed(f"the process of bench.{module} ended with exit code {done.returncode}, see above")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _answer() -> None:
    asked = json.load(sys.stdin)
    work = importlib.import_module(f"bench.{asked['module']}").measure(asked["request"])
    if asked["loop"] == "uvloop":
        import uvloop

        result = uvloop.run(work)
    else:
        result = asyncio.run(work)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    _answer()
