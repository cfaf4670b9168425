"""An address is read, or refused without a word of it being quoted."""

from __future__ import annotations

import traceback
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbpool.dsn import Dsn
from dbpool.errors import SettingsError
from dbpool.settings import PoolSettings

CANARY = "Zk7Qx9"  # in no message of ours
GOOD = [
    ("postgresql://app@localhost/shop", "app", "localhost", "shop"),
    ("postgres://app@localhost/shop", "app", "localhost", "shop"),
    ("postgresql://app:pw@localhost:5432/shop", "app", "localhost:5432", "shop"),
    ("postgresql://localhost/shop", "", "localhost", "shop"),
    ("postgresql://app@localhost", "app", "localhost", "app"),
    ("postgresql://app@localhost/", "app", "localhost", "app"),
    ("postgresql:///shop", "", "", "shop"),
    ("postgresql://", "", "", ""),
    ("postgresql:///shop?host=/tmp", "", "/tmp", "shop"),
    ("postgresql:///shop?host=/var/run/postgresql&port=5433", "", "/var/run/postgresql", "shop"),
    ("postgresql://%2Fvar%2Frun/shop", "", "/var/run", "shop"),
    ("postgresql:///?dbname=shop&user=app", "app", "", "shop"),
    ("postgresql:///?database=shop", "", "", "shop"),
    ("postgresql://app:pw@a:5432,b:5433,c/shop", "app", "a:5432,b:5433,c", "shop"),
    ("postgresql://app:pw@[::1]/shop", "app", "[::1]", "shop"),
    ("postgresql://app:pw@[::1]:5432/shop", "app", "[::1]:5432", "shop"),
    ("postgresql://app:p%40s%3As%2Fw%23%25@localhost/shop", "app", "localhost", "shop"),
    ("postgresql://app:p:w@localhost/shop", "app", "localhost", "shop"),
    ("postgresql://a%20p%40p@localhost/my%20shop", "a p@p", "localhost", "my shop"),
    ("postgresql://app:pw@localhost/shop?sslmode=verify-full&connect_timeout=10", "app", "localhost", "shop"),
    ("postgresql://app:pw@localhost/shop?sslmode=verify_full", "app", "localhost", "shop"),
    ("postgresql://app:pw@localhost/shop?options=-c%20search_path%3Dx", "app", "localhost", "shop"),
    ("postgresql://app:pw@localhost/shop?application_name=", "app", "localhost", "shop"),
    ("postgresql://üser:pw@hôst/büch", "üser", "hôst", "büch"),
]
MALFORMED = [
    "",
    "localhost/shop",
    "mysql://app:{}@localhost/shop",
    "postgresql:app:{}@localhost/shop",
    "postgresql:/app:{}@localhost/shop",
    "://app:{}@localhost/shop",
    "host=localhost password={}",
    "postgresql://app:{}#x@localhost/shop",
    "postgresql://app:x#{}@localhost/shop",
    "postgresql://app:{}@x@localhost/shop",
    "postgresql://app:x@{}@localhost/shop",
    "postgresql://app:{}/x@localhost/shop",
    "postgresql://app:{}?x@localhost/shop",
    "postgresql://app:{}[x@localhost/shop",
    "postgresql://app:x]{}@localhost/shop",
    "postgresql://app:{}\n@localhost/shop",
    "postgresql://app:{}\0@localhost/shop",
    "postgresql://app:{}\ud800@localhost/shop",
    "postgresql://app:{}@localhost:port/shop",
    "postgresql://app:{}@localhost/shop?sslmode=",
    "postgresql://app@localhost/shop?sslmode={}",
    "postgresql://app:{}@localhost:0/shop",
    "postgresql://app:{}@localhost:65536/shop",
    "postgresql://app:{}@localhost:-1/shop",
    "postgresql://app:{}@localhost:5432:5432/shop",
    "postgresql://app:{}@localhost:٥٤٣٢/shop",
    "postgresql://app:{}@localhost:" + "9" * 5000 + "/shop",
    "postgresql://app:{}@a:5432,b:port/shop",
    "postgresql://app:{}@[::1/shop",
    "postgresql://app:{}@[nonsense]/shop",
    "postgresql://app:{}@[::1]:port/shop",
    "postgresql://app:{}@localhost/shop?sslmode",
    "postgresql://app:{}@loc\u2100alhost/shop",
    "postgresql://app:12/34{}@localhost/shop",
    "postgresql://app:12?x=34{}@localhost/shop",
    "postgresql://app:5/{}@localhost",
    "postgresql://app:5/x@{}@localhost",
]


def told_by(text: str) -> str:
    """Everything that a user or a log could see of the DSN *text*."""
    try:
        dsn = Dsn(text)
        pool_settings = PoolSettings(dsn=dsn)
    except SettingsError as error:
        frames = traceback.TracebackException.from_exception(error)
        return "".join([str(error), repr(error), *map(str, error.args), *frames.format(chain=True)])
    public = [dsn.host, dsn.database, dsn.user]
    return "".join([repr(dsn), str(dsn), f"{dsn}", f"{dsn!r:>5}", repr(pool_settings), pool_settings.name, *public])


@pytest.mark.parametrize(("text", "user", "host", "database"), GOOD)
def test_a_good_address_is_read(text: str, user: str, host: str, database: str) -> None:
    dsn = Dsn(text)
    assert (dsn.user, dsn.host, dsn.database) == (user, host, database)
    assert dsn.reveal() == text


@pytest.mark.parametrize("template", MALFORMED, ids=lambda template: ascii(template[:60]))
def test_a_malformed_address_is_refused_without_quoting_it(template: str) -> None:
    text = template.replace("{}", CANARY)
    with pytest.raises(SettingsError):
        Dsn(text)
    assert CANARY not in told_by(text)


def test_a_refusal_has_no_cause_or_context_that_could_quote_the_address() -> None:
    with pytest.raises(SettingsError) as refusal:
        Dsn(f"postgresql://app:{CANARY}[@localhost/shop")
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("dsn", [1, None, b"postgresql://app:Zk7Qx9@localhost/shop"])
def test_what_is_no_text_is_refused_without_quoting_it(dsn: object) -> None:
    with pytest.raises(SettingsError) as refusal:
        Dsn(dsn)  # type: ignore[arg-type]
    assert CANARY not in str(refusal.value)


def test_a_password_among_the_parameters_is_not_shown() -> None:
    assert CANARY not in told_by(f"postgresql://localhost/shop?user=app&password={CANARY}")


@given(password=st.text(min_size=1))
def test_a_quoted_password_of_any_characters_is_taken_and_not_shown(password: str) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in password):
        return
    told = told_by(f"postgresql://app:{CANARY}{quote(password, safe='')}@localhost:5432/shop")
    assert CANARY not in told
    assert told.startswith("<Dsn of shop at localhost:5432>")


# What a user, a password manager and a template make of a password that nobody has quoted
nasty = st.sampled_from(
    [*"@#/?[]%:;&=+ \\'\"<>^`{|}~,.$!*()", "%zz", "%", "%4", "%00", "@@", "://", "[::1]", "5", "12"]
)
password_parts = st.lists(nasty | st.text(max_size=3), max_size=4).map("".join)
hosts = st.sampled_from(
    ["localhost", "localhost:5432", "a:1,b:2", "[::1]:5432", "[::1", "h:port", "h:99999", "", "%2Ftmp", "h o", "h:"]
)
tails = st.sampled_from(
    ["/shop", "", "/", "/shop?host=/tmp", "/shop?x", "?host=/tmp", "/a/b", "/shop#x", "/s%zz", "/ "]
)
schemes = st.sampled_from(
    ["postgresql://", "postgres://", "postgresql:", "postgresql:/", "", "mysql://", "PostgreSQL://"]
)


@settings(max_examples=200)
@given(scheme=schemes, before=password_parts, after=password_parts, host=hosts, tail=tails)
@example("postgresql://", "12/", "", "localhost", "/shop")
@example("postgresql://", "5?a=", "", "localhost", "/shop")
@example("postgresql://", "12/", "@x", "localhost:1", "/shop")
def test_no_password_is_ever_shown_however_malformed_its_address(
    scheme: str, before: str, after: str, host: str, tail: str
) -> None:
    assert CANARY not in told_by(f"{scheme}app:{before}{CANARY}{after}@{host}{tail}")


@given(text=st.text() | st.lists(nasty | st.just("postgresql://"), max_size=8).map("".join))
def test_any_text_is_read_or_refused_as_an_address(text: str) -> None:
    try:
        Dsn(text)
    except SettingsError:
        pass
