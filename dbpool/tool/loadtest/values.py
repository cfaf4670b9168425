"""Values of options, checked while they are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import click

from dbpool.errors import DbPoolError

T = TypeVar("T")


class Parsed(click.ParamType[T], Generic[T]):
    """What a function makes of a text; what is wrong with it is a usage error in the function's own words."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        if not isinstance(value, str):
            return value  # type: ignore[return-value]  # a default
        try:
            return self._parse(value)
        except DbPoolError as error:
            excerpt = getattr(error, "excerpt", "")
            self.fail(str(error) + (f"\n{excerpt}" if excerpt else ""), param, ctx)
        except OSError as error:
            self.fail(f"{error.filename}: {error.strerror}", param, ctx)


def is_function(name: str) -> bool:
    """Whether ``-f`` means ``module:function`` and no file."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None and not Path(name).exists()
