"""Tests in this folder run on a loop whose clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tests.support.loops import JumpingLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"jumping": JumpingLoop}
