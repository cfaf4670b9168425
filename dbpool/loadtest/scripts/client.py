"""A virtual client: its variables, its random numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dbpool.loadtest.scripts.hashing import signed
from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.values import Held, is_name


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


@dataclass(slots=True)
class Client:
    """What one client's commands read and change; they last from one transaction to the next.

    ``say`` takes each line that debug() makes.
    """

    variables: dict[str, Held]
    random: Prng
    say: Callable[[str], None] = _say


@dataclass(frozen=True, slots=True)
class Cast:
    """Everyone who draws random numbers in a run.

    ``clients`` by number; ``choosers`` choose scripts, one for each thread of clients.
    """

    clients: tuple[Client, ...]
    choosers: tuple[Prng, ...]


def make_cast(
    count: int, *, seed: int, threads: int = 1, scale: int = 1, defined: Mapping[str, Held] | None = None
) -> Cast:
    """The clients of a run, with the numbers of ``pgbench --random-seed`` of the same *count* and *threads*.

    Args:
        count: At least 1. A worker process that has some of the clients makes all and takes its own.
        seed: 0 to 2**64 - 1.
        defined: Variables by name; they go before the automatic scale, client_id, default_seed and random_seed.
    """
    defined = dict(defined or {})
    base = Prng(seed)
    seeds = [base.uint64() for _ in range(count)]
    automatic: dict[str, Held] = {"scale": scale, "random_seed": signed(seed)}
    if "default_seed" not in defined:
        automatic["default_seed"] = signed(base.uint64())
    choosers = []
    for _ in range(threads):
        choosers.append(Prng(base.uint64()))
        base.uint64(), base.uint64()  # pgbench's throttling and log sampling draw here
    clients = (Client(automatic | {"client_id": number} | defined, Prng(own)) for number, own in enumerate(seeds))
    return Cast(tuple(clients), tuple(choosers))


def parse_definition(option: str) -> tuple[str, str]:
    """Name and text of ``-D name=value``.

    Raises: ScriptError.
    """
    name, _, text = option.partition("=")
    if not name or not text:
        raise ScriptError(f'invalid variable definition "{option}": write name=value')
    if not is_name(name):
        raise ScriptError(f'invalid variable name "{name}": letters, digits and underscores, no digit first')
    return name, text
