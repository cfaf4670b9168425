"""Measurements in processes of their own, so that nothing else that is measured is in their memory."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Self


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


class Turns:
    """A process of its own that measures when it is its turn: ``bench.<module>.take_turns(request, turns)``.

    Between its turns it does nothing at all. Leaving the block ends it.
    """

    def __init__(self, module: str, request: dict[str, Any], *, loop: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say({"module": module, "request": request, "loop": loop, "turns": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()  # closes its stdin, at which it ends, and waits

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """What it answers to *request*.

        Raises: MeasurementFailed.
        """
        self._say(request)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """What it says next; the first when it is ready."""
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise MeasurementFailed(f"a process of bench.{self._module} ended, see above")
        result: dict[str, Any] = json.loads(answer)
        return result

    def _say(self, request: dict[str, Any]) -> None:
        assert self._process.stdin
        print(json.dumps(request), file=self._process.stdin, flush=True)


class Asked:
    """The other side: what this process is asked for, one turn after the other."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, iter(sys.stdin.readline, ""))

    def answer(self, result: dict[str, Any]) -> None:
        print(json.dumps(result), flush=True)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _answer() -> None:
    asked = json.loads(sys.stdin.readline())
    module = importlib.import_module(f"bench.{asked['module']}")
    work = module.take_turns(asked["request"], Asked()) if asked.get("turns") else module.measure(asked["request"])
    if asked["loop"] == "uvloop":
        import uvloop

        result = uvloop.run(work)
    else:
        result = asyncio.run(work)
    if result is not None:
        json.dump(result, sys.stdout)


if __name__ == "__main__":
    _answer()
