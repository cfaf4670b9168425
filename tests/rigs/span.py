"""An option that says how long."""

from __future__ import annotations

import math
from typing import Any

import click


class Span(click.FloatRange):
    """Above nothing, and with an end."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - as click has it
        span: float = super().convert(value, param, ctx)
        if not math.isfinite(span):
            self.fail(f"{span} has no end", param, ctx)
        return span
