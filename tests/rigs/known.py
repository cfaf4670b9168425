"""The rigs that there are: packages beside this file, or in another package, that have a module ``run``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = "tests.rigs"
PEERS = "tests.rigs.peers"


@dataclass(frozen=True, slots=True)
class Known:
    """A rig by name, and what its module says of it in the first line."""

    name: str
    package: str
    says: str

    @property
    def module(self) -> str:
        return f"{self.package}.{self.name}.run"


def known(package: str = HERE) -> dict[str, Known]:
    """All of *package*'s, by name."""
    rigs = (Known(each.parent.name, package, _first_line(each)) for each in sorted(_files(package, "run.py")))
    return {rig.name: rig for rig in rigs}


def commands(package: str = HERE) -> dict[str, str]:
    """Modules that bring a command of their own, by the command's name."""
    return {each.parent.name: f"{package}.{each.parent.name}.command" for each in sorted(_files(package, "command.py"))}


def replay(name: str, seconds: float, seed: int) -> str:
    """The command that runs a rig in the same way again."""
    return f"python -m tests.rigs {name} --seconds {seconds:g} --seed {seed}"


def processors() -> int:
    return os.cpu_count() or 1


def _files(package: str, name: str) -> Iterator[Path]:
    spec = find_spec(package)
    assert spec is not None, package
    for place in spec.submodule_search_locations or ():
        yield from Path(place).glob(f"*/{name}")


def _first_line(file: Path) -> str:
    return file.read_text("utf-8").partition("\n")[0].strip('" ')
