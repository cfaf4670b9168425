"""From ``-b``, ``-f``, ``-D`` and their like to a workload."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

from dbpool.loadtest.generating.items import function_of, script_of
from dbpool.loadtest.load import Part
from dbpool.loadtest.scripts.mix import Mix, Weighted, parse_weight
from dbpool.loadtest.scripts.script import Script
from dbpool.loadtest.server.tables import builtin_text
from dbpool.tool.loadtest.values import is_function


def builtin_part(option: str) -> Part:
    """The part of ``-b NAME[@W]``. Raises: ScriptError."""
    name, weight = parse_weight(option)
    full, text = builtin_text(name)
    return Part(full, weight, script=text)


def file_part(option: str) -> Part:
    """The part of ``-f FILE[@W]`` or ``-f module:function[@W]``. Raises: ScriptError, SettingsError, OSError."""
    name, weight = parse_weight(option)
    # whatever it is, it is looked at, so that a mistake in it is told before anything is connected
    if is_function(name):
        with redirect_stdout(sys.stderr):  # what its module prints is no result of ours
            function_of(name)
        return Part(name, weight, target=name)
    part = Part(Path(name).name, weight, script=Path(name).read_text(encoding="utf-8"))
    script_of(part)
    return part


def check_mix(parts: tuple[Part, ...]) -> None:
    """Raises: ScriptError: they cannot be mixed."""
    Mix([Weighted(Script(part.name, ()), part.weight) for part in parts])
