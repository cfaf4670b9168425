"""Values of options, checked while they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import click

from dbpool.errors import DbPoolError, SettingsError

T = TypeVar("T")
LAST_PORT: Final = 65_535


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


class Range(click.FloatRange):
    """A range that neither NaN, which no comparison finds outside, nor infinity is in."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def is_function(name: str) -> bool:
    """Whether ``-f`` means ``module:function`` and no file."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None and not Path(name).exists()


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a page is served; port 0: on one that is free."""

    host: str
    port: int


def web_address_of(text: str) -> WebAddress:
    """The address that ``5665``, ``localhost:5665`` or ``[::1]:0`` means.

    Raises:
        SettingsError: it reads like none of these. A database's address is not repeated: it may hold a password.
    """
    if "://" in text:  # it may hold a password
        raise SettingsError("--web took the server's address for its own: put that first, or write --web=5665")
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):)?(\d{1,5})", text)
    if found is None or int(found[2]) > LAST_PORT:
        raise SettingsError(f"a page's address is like 5665 or 127.0.0.1:5665, not {text!r}")
    return WebAddress((found[1] or "127.0.0.1").strip("[]"), int(found[2]))
