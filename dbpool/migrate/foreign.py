"""The address for an env.py that connects by itself, in SQLAlchemy's spelling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from alembic.config import Config

    from dbpool.migrate.folder import Folder


def set_url(config: Config, folder: Folder, dsn: str | None) -> None:
    """Have ``sqlalchemy.url`` name the database at *dsn*, with the driver that the folder is written for."""
    if folder.has_env and not folder.is_own:
        driver = _driver(config, folder)
        rest = re.sub(r"^[a-z+0-9_]+://", "", dsn or "postgresql://offline")
        if driver == "asyncpg":  # SQLAlchemy reads less of an address than asyncpg itself: no sslmode, no socket
            rest = f"?dsn={quote(f'postgresql://{rest}', safe='')}"
        config.set_main_option("sqlalchemy.url", f"postgresql+{driver}://{rest}".replace("%", "%%"))


def _driver(config: Config, folder: Folder) -> str:
    """What its alembic.ini says; else asyncpg where its env.py is asynchronous, psycopg where it is not."""
    if found := re.match(r"postgresql\+([a-z0-9_]+):", config.get_main_option("sqlalchemy.url") or ""):
        return found[1]
    return "asyncpg" if "async" in (folder.path / "env.py").read_text("utf-8") else "psycopg"
