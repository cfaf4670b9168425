"""The address of a database in the forms that other tools keep it in."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from dbpool.errors import SettingsError

# What SQLAlchemy's asyncpg dialect takes in an address, and where this package takes it.
_ELSEWHERE = {
    "prepared_statement_cache_size": "set statement_cache_size (DBPOOL_STATEMENT_CACHE_SIZE)",
    "statement_cache_size": "set statement_cache_size (DBPOOL_STATEMENT_CACHE_SIZE)",
    "prepared_statement_name_func": "leave it out",
    "command_timeout": "set query_timeout (DBPOOL_QUERY_TIMEOUT)",
    "timeout": "set connect_timeout (DBPOOL_CONNECT_TIMEOUT)",
}


def plain_address(address: object) -> object:
    """*address* as a ``postgresql://`` text where it is one in other clothes, else as it is.

    Taken are SQLAlchemy's form with a driver (``postgresql+asyncpg://``, ``?ssl=`` for ``?sslmode=``), its URL, and
    pydantic's PostgresDsn and SecretStr.

    Raises:
        SettingsError: it holds an option of that driver which is a setting here.
    """
    text = _text_of(address)
    scheme, plus, rest = text.partition("+") if isinstance(text, str) else ("", "", "")
    if not plus or scheme not in ("postgresql", "postgres"):
        return text
    plain = scheme + ":" + rest.partition(":")[2]
    try:
        parts = urlsplit(plain)
    except ValueError:
        return plain  # the Dsn says what is wrong
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in options:
        if name in _ELSEWHERE:
            raise SettingsError(f"the DSN holds {name}, an option of SQLAlchemy's: {_ELSEWHERE[name]} instead")
    if all(name != "ssl" for name, _ in options):
        return plain
    renamed = [("sslmode" if name == "ssl" else name, value) for name, value in options]
    return parts._replace(query=urlencode(renamed)).geturl()


def _text_of(address: object) -> object:
    if callable(secret := getattr(address, "get_secret_value", None)):  # pydantic.SecretStr
        return _text_of(secret())
    if callable(text := getattr(address, "unicode_string", None)):  # pydantic.PostgresDsn
        return text()
    if callable(render := getattr(address, "render_as_string", None)):  # sqlalchemy.URL
        return _text_of(render(hide_password=False))
    return address
