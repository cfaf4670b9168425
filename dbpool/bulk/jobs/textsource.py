"""Rows of text on their way into a job, once it is known what the statement takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbpool.bulk.files import TextRow
from dbpool.bulk.items import Source
from dbpool.core.jsontext import Kind


class TextSource:
    """The rows of another source, for parameters of *kinds*."""

    def __init__(self, source: Source[Any], kinds: Sequence[Kind]) -> None:
        self.total = source.total
        self._source, self._kinds = source, kinds

    async def take(self, most: int) -> list[object]:
        return [key.read_as(self._kinds) if isinstance(key, TextRow) else key for key in await self._source.take(most)]

    async def aclose(self) -> None:
        await self._source.aclose()
