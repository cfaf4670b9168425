"""What other drivers say of the same addresses."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from typing import Any

import asyncpg
from asyncpg import connect_utils
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from tests.rigs.security.addresses import CANARY

_REST: dict[str, Any] = {
    "max_queries": 1,
    "max_inactive_connection_lifetime": 0,
    **dict.fromkeys(("connect", "setup", "init", "reset", "loop")),
    "connection_class": asyncpg.Connection,
    "record_class": asyncpg.Record,
}


class Peers:
    """Counts, for each of them, errors and those that say the password."""

    def __init__(self) -> None:
        self._errors: Counter[str] = Counter()
        self._leaks: Counter[str] = Counter()

    def read(self, dsn: str) -> None:
        """Have them read *dsn*, without connecting."""
        self._try("asyncpg", lambda: _by_asyncpg(dsn))
        self._try("psycopg", lambda: conninfo_to_dict(dsn))

    def figures(self) -> dict[str, Any]:
        """How many of the errors said the password, and what pools of them show of themselves."""
        figures: dict[str, Any] = {
            f"{name}: errors that say the password": f"{self._leaks[name]:,} of {self._errors[name]:,}"
            for name in ("asyncpg", "psycopg")
        }
        make: Any = asyncpg.Pool
        dsn = f"postgresql://app:{CANARY}@127.0.0.1:1/shop"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {
                "asyncpg.Pool": make(dsn, min_size=0, max_size=1, **_REST),
                "psycopg_pool": AsyncConnectionPool(dsn, open=False),
            }
        for name, pool in theirs.items():
            fields = (
                vars(pool) if hasattr(pool, "__dict__") else {each: getattr(pool, each, "") for each in pool.__slots__}
            )
            figures[f"{name}: the password in its fields"] = CANARY in repr(fields)
        return figures

    def _try(self, name: str, read: Any) -> None:  # noqa: ANN401 - whatever they return
        try:
            read()
        except Exception as error:  # asyncpg has an IndexError for an empty host
            self._errors[name] += 1
            self._leaks[name] += CANARY in "".join(traceback.format_exception(error)).replace(__file__, "")


def _by_asyncpg(dsn: str) -> None:
    parse: Any = vars(connect_utils)["_parse_connect_dsn_and_args"]  # all that it says without connecting
    parse(
        dsn=dsn, host=None, port=None, user=None, password=None, passfile="/nowhere", database=None, ssl=None,
        service=None, servicefile=None, direct_tls=None, server_settings=None, target_session_attrs=None,
        krbsrvname=None, gsslib=None,
    )  # fmt: skip
