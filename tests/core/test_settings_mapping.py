"""Settings that other tools hold: their models, their addresses."""

from __future__ import annotations

import pydantic
import pytest
import sqlalchemy

from dbpool.errors import SettingsError
from dbpool.settings import PoolSettings

PLAIN = "postgresql://app:s3%40cret@localhost:5432/shop"


class PoolModel(pydantic.BaseModel):
    """As a part of a service's BaseSettings, of pydantic-settings."""

    dsn: pydantic.PostgresDsn = pydantic.PostgresDsn(PLAIN)
    max_connections: int = 7
    trusted_functions: frozenset[str] = frozenset({"f"})


class Flat(pydantic.BaseModel):
    """As settings without parts, of which some are the pool's."""

    debug: bool = True
    db_dsn: pydantic.SecretStr = pydantic.SecretStr(PLAIN)
    db_max_connections: int = 7


def test_a_model_that_is_a_part_gives_its_settings() -> None:
    read = PoolSettings.from_mapping(PoolModel().model_dump())
    assert (read.dsn.reveal(), read.max_connections, read.trusted_functions) == (PLAIN, 7, frozenset({"f"}))


def test_of_a_flat_model_only_what_has_the_prefix_is_read() -> None:
    read = PoolSettings.from_mapping(Flat().model_dump(), prefix="db_")
    assert (read.dsn.reveal(), read.max_connections) == (PLAIN, 7)
    with pytest.raises(SettingsError, match="unknown setting 'db_max_conections'; known are: acquire_timeout"):
        PoolSettings.from_mapping({"db_max_conections": 3, "other": 1}, prefix="db_")


@pytest.mark.parametrize(
    "dsn",
    [
        PLAIN.replace("postgresql", "postgresql+asyncpg"),
        PLAIN.replace("postgresql", "postgresql+psycopg"),
        sqlalchemy.make_url(PLAIN.replace("postgresql", "postgresql+asyncpg")),
        pydantic.PostgresDsn(PLAIN.replace("postgresql", "postgresql+asyncpg")),
    ],
    ids=lambda dsn: type(dsn).__name__,
)
def test_an_address_in_the_form_of_sqlalchemy_is_taken_without_its_driver(dsn: object) -> None:
    assert PoolSettings.from_mapping({"dsn": dsn}).dsn.reveal() == PLAIN


def test_its_word_for_tls_becomes_that_of_libpq() -> None:
    read = PoolSettings.from_env({"DATABASE_URL": "postgresql+asyncpg://db/shop?ssl=require&application_name=a%20b"})
    assert read.dsn.reveal() == "postgresql://db/shop?sslmode=require&application_name=a+b"


@pytest.mark.parametrize(
    ("option", "instead"),
    [("prepared_statement_cache_size=0", "statement_cache_size"), ("command_timeout=5", "query_timeout")],
)
def test_its_options_that_are_settings_here_are_told_so(option: str, instead: str) -> None:
    with pytest.raises(SettingsError, match=f"an option of SQLAlchemy's: set {instead} ") as caught:
        PoolSettings.from_mapping({"dsn": f"postgresql+asyncpg://app:s3cret@db/shop?{option}"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["mysql+asyncmy://db/shop", "postgresql+asyncpg://[db/shop", "postgresql+asyncpg:db"])
def test_an_address_that_is_none_is_still_refused(dsn: str) -> None:
    with pytest.raises(SettingsError, match="malformed DSN"):
        PoolSettings.from_mapping({"dsn": dsn})
