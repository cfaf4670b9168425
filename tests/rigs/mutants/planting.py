"""Plants the bug that DBPOOL_MUTANT names in the package's source as it is imported; only the standard library here."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[3]
VARIABLE: Final = "DBPOOL_MUTANT"


class Stale(Exception):
    """The source is not what a mutant was made for."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug, as a change of one file."""

    name: str
    origin: str
    """Where it was seen, or could be."""
    goal: str
    """What it breaks, as docs/reliability.md numbers the goals."""
    file: str
    """From the root."""
    old: str
    new: str
    finders: tuple[str, ...] = ("sim",)
    """What may find it, in the order in which they are tried: rigs by name, and tests by their path."""

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")

    def planted(self, source: str) -> str:
        """*source* with the bug.

        Raises:
            Stale: what it changes is not there, or more than once.
        """
        if (times := source.count(self.old)) != 1:
            raise Stale(f"mutant {self.name!r} is stale: what it changes is {times} times in {self.file}, not once")
        return source.replace(self.old, self.new)


class _Planted(SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Of the changed source, which no cache ever sees."""
        path = self.get_filename(fullname)
        source = self._mutant.planted(Path(path).read_text("utf-8"))
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        return code


class Planter(MetaPathFinder):
    """Finds the module with the bug before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Planted(self._mutant, spec.origin)
        return spec


def plant_chosen() -> None:
    """Have the chosen mutant planted, if one is; for the start of a process."""
    name = os.environ.get(VARIABLE)
    if name:
        from tests.rigs.mutants.known import MUTANTS

        sys.meta_path.insert(0, Planter(MUTANTS[name]))


def environment(mutant: Mutant | None) -> dict[str, str]:
    """For a process that is to have *mutant*, as have those that it starts; None: the package as it is."""
    if mutant is None:
        return {name: value for name, value in os.environ.items() if name != VARIABLE}
    paths = [str(Path(__file__).with_name("site")), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, VARIABLE: mutant.name, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
