"""Run a script of SQL, where there is no psql: ``python examples/services/apply.py examples/services/shop.sql``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from dbpool import DatabasePool


async def main(script: str) -> None:
    async with DatabasePool.from_env(max_connections=1) as db:
        await db.execute(script)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text("utf-8")))
