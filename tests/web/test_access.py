"""Who may look: this machine, or whoever has the token; a proxy's clients are not this machine."""

from __future__ import annotations

from typing import Any

import pytest

from dbpool import DatabasePool, SettingsError
from dbpool.web import status_app
from dbpool.web.asgi import App
from tests.support.asgiclient import Response, ask

TOKEN = "8Jc0x-a-token-of-some-length"
DSN = "postgresql://app:canary-password@127.0.0.1:1/shop"
PRIVATE = ("/", "/status.json", "/update.json", "/events")
PUBLIC = ("/healthz", "/readyz", "/favicon.ico")


def app(token: str | None = None) -> App:
    return status_app(DatabasePool(DSN), token=token)


def cookie_of(response: Response) -> dict[str, str]:
    return {"cookie": response["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize("path", ["/", "/status.json", "/update.json"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"client": ("::1", 50_000), "server": ("::1", 8000), "headers": {"host": "[::1]:8000"}},
        {"headers": {"host": "localhost"}},
    ],
    ids=["IPv4", "IPv6", "by name"],
)
async def test_without_a_token_this_machine_may_look(path: str, options: dict[str, Any]) -> None:
    assert (await ask(app(), "GET", path, **options)).status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"client": ("192.0.2.7", 50_000)},
        {"server": ("192.0.2.1", 8000)},
        {"client": None},  # a Unix socket: a proxy's
        {"server": None},
        {"server": ("/run/app.sock", None)},
        {"headers": {"host": "status.example"}},  # a name that was made to point here
        {"headers": {"host": ""}},
        {"headers": {"x-forwarded-for": "127.0.0.1"}},
        {"headers": {"X-Forwarded-Proto": "https"}},
        {"headers": {"forwarded": "for=127.0.0.1"}},
        {"headers": {"via": "1.1 proxy"}},
        {"headers": {"x-real-ip": "127.0.0.1"}},
        {"headers": {"cf-connecting-ip": "127.0.0.1"}},
        {"http_version": "1.0"},  # nginx, unless told otherwise
    ],
    ids=str,
)
@pytest.mark.parametrize("path", PRIVATE)
async def test_without_a_token_nobody_else_may(path: str, options: dict[str, Any]) -> None:
    response = await ask(app(), "GET", path, **options)
    assert response.status == 403
    assert response.text.startswith("Without a token this page is shown only to a browser on the machine itself")
    assert response.text.count("\n") == 1


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("path", PUBLIC)
async def test_probes_answer_everybody(path: str, token: str | None) -> None:
    response = await ask(app(token), "GET", path, client=("192.0.2.7", 1), headers={"x-forwarded-for": "192.0.2.8"})
    assert response.status in (200, 204, 503)
    assert "shop" not in response.text


@pytest.mark.parametrize("path", ["/", "/status.json", "/update.json"])
async def test_the_token_as_a_header_lets_in_from_anywhere(path: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "192.0.2.8"}
    assert (await ask(app(TOKEN), "GET", path, client=("192.0.2.7", 1), headers=headers)).status == 200


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "This page needs a token."),
        ({"authorization": f"Bearer {TOKEN}x"}, "That is not the token."),
        ({"authorization": "Bearer "}, "That is not the token."),
        ({"authorization": "Bearer \xe9"}, "That is not the token."),
        ({"authorization": f"Basic {TOKEN}"}, "This page needs a token."),
        ({"cookie": f"dbpool={TOKEN}"}, "This page needs a token."),
    ],
    ids=str,
)
async def test_without_the_token_nobody_is_let_in(path: str, headers: dict[str, str], sentence: str) -> None:
    response = await ask(app(TOKEN), "GET", path, headers=headers)
    assert response.status == 401
    assert response["www-authenticate"] == "Bearer"
    assert sentence in response.text
    assert "shop" not in response.text
    assert TOKEN not in response.text


async def test_the_form_sets_a_cookie_that_is_not_the_token() -> None:
    page = app(TOKEN)
    response = await ask(page, "POST", "/", body=f"token={TOKEN}".encode())
    assert (response.status, response["location"]) == (303, "./")
    assert response["set-cookie"].endswith("; HttpOnly; SameSite=Strict")
    assert TOKEN not in response["set-cookie"]
    cookie = cookie_of(response)
    for path in ("/", "/status.json"):
        assert (await ask(page, "GET", path, headers=cookie)).status == 200
    others = {"cookie": f"{cookie['cookie'].partition('=')[0]}=0; x=1; {cookie['cookie']}"}  # of a folder above
    assert (await ask(page, "GET", "/", headers=others)).status == 200
    assert (await ask(app(TOKEN + "2"), "GET", "/", headers=cookie)).status == 401
    assert (await ask(app(TOKEN), "GET", "/", headers=cookie)).status == 200, "another process knows it, too"


async def test_a_cookie_over_https_is_for_https_only() -> None:
    response = await ask(app(TOKEN), "POST", "/", body=f"token={TOKEN}".encode(), scheme="https")
    assert response["set-cookie"].endswith("; Secure")


async def test_the_token_in_the_address_leads_to_the_page_without_it() -> None:
    page = app(TOKEN)
    response = await ask(page, "GET", f"/?token={TOKEN}")
    assert response.status == 200
    assert 'content="0; url=./"' in response.text
    assert TOKEN not in response.text
    assert "shop" not in response.text.replace("<title>shop</title>", "")
    assert (await ask(page, "GET", "/", headers=cookie_of(response))).status == 200


@pytest.mark.parametrize("path", ["/status.json", "/update.json", "/events"])
async def test_the_token_in_the_address_is_for_the_page_alone(path: str) -> None:
    assert (await ask(app(TOKEN), "GET", f"{path}?token={TOKEN}")).status == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"token=", b"token=wrong", b"\xff\xfe", b"token=" + b"x" * 5000, b"&".join([b"a=1"] * 50)],
    ids=["nothing", "empty", "wrong", "not text", "long", "many fields"],
)
async def test_a_wrong_form_is_told_so(body: bytes) -> None:
    response = await ask(app(TOKEN), "POST", "/", body=body)
    assert response.status == 401
    assert "That is not the token." in response.text
    assert "form-action 'self'" in response["content-security-policy"]


async def test_a_wrong_token_in_the_address_is_told_so_though_a_cookie_would_do() -> None:
    page = app(TOKEN)
    cookie = cookie_of(await ask(page, "POST", "/", body=f"token={TOKEN}".encode()))
    response = await ask(page, "GET", "/?token=other", headers=cookie)
    assert response.status == 401
    assert "That is not the token." in response.text


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen-letters", "has a space in its middle", "ünïcode-" * 3, "a\nb" * 9, b"bytes" * 9, 7]
)
def test_a_token_that_is_none_is_refused(token: Any) -> None:  # noqa: ANN401 - what mypy would find
    with pytest.raises(SettingsError, match="token must"):
        app(token)


def test_pools_must_be_there_and_have_names_of_their_own() -> None:
    with pytest.raises(SettingsError, match="needs a pool"):
        status_app()
    with pytest.raises(SettingsError, match="two pools of a status page have one name"):
        status_app(DatabasePool(DSN), DatabasePool(DSN))
