"""What each path and method is answered with, wherever the app is mounted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

import pytest

from dbpool import DatabasePool
from dbpool.web import status_app
from dbpool.web.asgi import App, Message
from dbpool.web.page import POLICY
from tests.support.asgiclient import ask
from tests.support.htmlpages import read

DSN = "postgresql://app:canary-password@127.0.0.1:1/shop?application_name=canary-name"


@pytest.fixture
def app() -> App:
    return status_app(DatabasePool(DSN, max_connections=3))


async def test_the_page_asks_for_nothing_elsewhere_and_may_not(app: App) -> None:
    response = await ask(app, "GET", "/")
    assert response["content-type"] == "text/html; charset=utf-8"
    assert response["cache-control"] == "no-store"
    assert response["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    seen = read(response.text)
    for _, attributes in seen.elements:
        assert not {"style", "src"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert not re.match(r"(https?:)?//", attributes.get("href", ""))


async def test_a_pool_that_is_not_open_yet_says_so(app: App) -> None:
    seen = read((await ask(app, "GET", "/")).text)
    assert "The pool is not open yet." in seen.text
    assert "Nobody holds one." in seen.text
    document = (await ask(app, "GET", "/status.json")).json()
    assert document["level"] == "warning"
    assert document["pools"][0]["state"] == "new"
    assert document["pools"][0]["gate"]["capacity"] == 3


@pytest.mark.parametrize("path", ["/", "/status.json", "/update.json"])
async def test_nothing_of_the_address_is_shown(app: App, path: str) -> None:
    response = await ask(app, "GET", path)
    assert "canary" not in response.text
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("path", ["/", "/status.json", "/update.json", "/healthz", "/readyz", "/favicon.ico"])
async def test_head_is_get_without_a_body(app: App, path: str) -> None:
    got, head = await ask(app, "GET", path), await ask(app, "HEAD", path)
    assert (head.status, head.body) == (got.status, b"")
    assert head["content-type"] == got["content-type"]


async def test_head_of_the_stream_ends(app: App) -> None:
    assert (await ask(app, "HEAD", "/events")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/status.json", "/events", "/healthz"])
async def test_other_methods_are_not_for_this(app: App, path: str, method: str) -> None:
    response = await ask(app, method, path)
    assert (response.status, response["allow"]) == (405, "GET, HEAD")
    assert response.text == f"{method} is not for this.\n"


@pytest.mark.parametrize("path", ["/x", "/status.json/x", "/healthz/x", "/../etc/passwd", "/%00"])
async def test_there_is_nothing_else(app: App, path: str) -> None:
    assert (await ask(app, "GET", path)).status == 404


@pytest.mark.parametrize("root", ["/status", "/api/v1/status", "/status/"])
@pytest.mark.parametrize("path", ["", "/", "/status.json", "/healthz"])
async def test_a_mounted_app_answers_below_its_path(app: App, root: str, path: str) -> None:
    response = await ask(app, "GET", path, root_path=root.rstrip("/"))
    if path:
        assert response.status == 200
    else:
        assert (response.status, response["location"]) == (307, "status/")


async def test_the_way_to_the_folder_keeps_the_query(app: App) -> None:
    assert (await ask(app, "GET", "?token=a%20b", root_path="/status"))["location"] == "status/?token=a%20b"


async def spoken(app: App, kind: str, received: Iterable[str]) -> list[Message]:
    waiting, sent = list(received), []

    async def receive() -> Message:
        return {"type": waiting.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await app({"type": kind}, receive, send)
    return sent


async def test_run_by_a_server_itself_it_lives_with_it(app: App) -> None:
    sent = await spoken(app, "lifespan", ["lifespan.startup", "lifespan.shutdown"])
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_refused(app: App) -> None:
    assert await spoken(app, "websocket", ["websocket.connect"]) == [{"type": "websocket.close", "code": 1000}]


async def test_another_protocol_is_an_error(app: App) -> None:
    with pytest.raises(ValueError, match="answers HTTP, not 'smtp'"):
        await spoken(app, "smtp", [])
