"""An option that says which file to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click


class Place(click.Path):
    """A file that can be written, looked at before an hour's work goes there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click has it
        file = cast("Path", super().convert(value, param, ctx))
        try:
            trial = file.with_name(f"{file.name}.new")
            file.parent.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except (OSError, ValueError) as error:
            self.fail(f"{file} cannot be written: {getattr(error, 'strerror', error)}", param, ctx)
        return file
