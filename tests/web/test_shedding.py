"""What a pool refuses becomes 503 with Retry-After; all else passes through."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dbpool.errors import (
    AcquireTimeout,
    BulkFailed,
    LineFull,
    Overloaded,
    PoolClosed,
    QueryTimeout,
    ServerUnavailable,
    SettingsError,
)
from dbpool.web import Shedding
from dbpool.web.asgi import Message, Receive, Scope, Send
from tests.support.asgiclient import ask

SECRET = "pool 'shop' at db-7.internal"
NUMBERS: dict[str, Any] = {"capacity": 5, "held": 5, "waiting": 9}
FULL = LineFull(SECRET, **NUMBERS)
REFUSALS = [
    FULL,
    Overloaded(SECRET, retry_after=0.2, **NUMBERS),
    AcquireTimeout(SECRET, waited_s=2.0, **NUMBERS),
    PoolClosed(SECRET),
    ServerUnavailable(SECRET),
]


class Failing:
    """An app that raises, before it answers or after it began to."""

    def __init__(self, error: BaseException, *, begins: bool = False) -> None:
        self.error, self.begins = error, begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise self.error


class Answering500:
    """An app that answers with 500 while it handles an error, as frameworks do, and may raise it again."""

    def __init__(self, error: Exception, raises: bool) -> None:
        self.error, self.raises = error, raises

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            raise self.error
        except Exception:
            await self.respond(send)
            if self.raises:
                raise

    async def respond(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"x-framework", b"1")]})
        await send({"type": "http.response.body", "body": b"Internal ", "more_body": True})
        await send({"type": "http.response.body", "body": b"Server Error"})


def wrapped(cause: Exception) -> Exception:
    error = RuntimeError("a library's own")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
async def test_a_refusal_becomes_503_with_a_time_to_come_again(error: Exception) -> None:
    response = await ask(Shedding(Failing(error)), "GET", "/orders")
    assert response.status == 503
    assert 1 <= int(response["retry-after"]) <= 3
    assert response["content-type"] == "application/problem+json"
    assert response.json() == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": response.json()["detail"],
        "retry_after": int(response["retry-after"]),
    }
    assert "shop" not in response.text
    assert "internal" not in response.text


@pytest.mark.parametrize("raises", [True, False])
async def test_a_frameworks_500_for_a_refusal_becomes_503(raises: bool) -> None:
    response = await ask(Shedding(Answering500(FULL, raises)), "GET", "/")
    assert response.status == 503
    assert not response.has("x-framework")
    assert "Internal" not in response.text


async def test_another_500_passes_through() -> None:
    response = await ask(Shedding(Answering500(ValueError("x"), raises=False)), "GET", "/")
    assert (response.status, response.text) == (500, "Internal Server Error")
    with pytest.raises(ValueError, match="x"):
        await ask(Shedding(Answering500(ValueError("x"), raises=True)), "GET", "/")


async def test_a_500_of_the_applications_own_after_it_handled_a_refusal_passes_through() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            raise FULL
        except LineFull:
            answer = 500
        await send({"type": "http.response.start", "status": answer, "headers": []})
        await send({"type": "http.response.body"})

    assert (await ask(Shedding(app), "GET", "/")).status == 500


async def test_a_retry_time_that_the_error_knows_is_the_least() -> None:
    error = Overloaded("late", retry_after=7.3, **NUMBERS)
    least = Shedding(Failing(error), choose=lambda low, high: low)
    most = Shedding(Failing(error), choose=lambda low, high: high)
    assert (await ask(least, "GET", "/"))["retry-after"] == "8"
    assert (await ask(most, "GET", "/"))["retry-after"] == "17"
    assert (await ask(Shedding(Failing(FULL), retry_after=20, choose=min), "GET", "/"))["retry-after"] == "20"


async def test_retry_times_differ() -> None:
    app = Shedding(Failing(FULL), retry_after=30)
    assert len({(await ask(app, "GET", "/"))["retry-after"] for _ in range(50)}) > 5


@pytest.mark.parametrize(
    "error",
    [wrapped(FULL), ExceptionGroup("several", [FULL, ExceptionGroup("more", [wrapped(REFUSALS[2])])])],
    ids=["cause", "group"],
)
async def test_a_refusal_inside_another_error_is_found(error: Exception) -> None:
    assert (await ask(Shedding(Failing(error)), "GET", "/")).status == 503


@pytest.mark.parametrize(
    "error",
    [
        QueryTimeout("slow", timeout_s=1),  # a write may have been applied
        ExceptionGroup("mixed", [FULL, ValueError("x")]),
        ValueError("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_errors_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        await ask(Shedding(Failing(error)), "GET", "/")
    assert raised.value is error


async def test_bulk_work_that_failed_by_a_refusal_passes_through_as_some_of_it_may_be_stored() -> None:
    error = BulkFailed("2 of 9 failed", rows=[], failures={})
    error.__cause__ = FULL
    with pytest.raises(BulkFailed):
        await ask(Shedding(Failing(error)), "GET", "/")


async def test_a_response_that_has_begun_is_left_alone() -> None:
    with pytest.raises(LineFull):
        await ask(Shedding(Failing(FULL, begins=True)), "GET", "/")


async def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    with pytest.raises(ValueError, match="1"):
        await ask(Shedding(Failing(first)), "GET", "/")


async def test_who_asks_for_text_gets_a_sentence() -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    response = await ask(Shedding(Failing(FULL), choose=min), "GET", "/", headers=browser)
    assert response["content-type"] == "text/plain; charset=utf-8"
    assert response.text == "The service cannot answer now. Try again in 1 second."


async def test_head_gets_no_body() -> None:
    response = await ask(Shedding(Failing(FULL)), "HEAD", "/")
    assert (response.status, response.body) == (503, b"")


async def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        raise FULL

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    for kind in ("lifespan", "websocket"):
        with pytest.raises(LineFull):
            await Shedding(app)({"type": kind}, receive, send)
    assert seen == ["lifespan", "websocket"]


async def test_what_was_refused_is_logged_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dbpool.web"):
        await ask(Shedding(Failing(LineFull("full\n  held by x", **NUMBERS)), choose=min), "GET", "/a\nb?token=x")
    assert [record.getMessage() for record in caplog.records] == ["503 for '/a\\nb', retry after 1 s: LineFull: full"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "2", True])
def test_a_retry_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(SettingsError, match="retry_after must be a finite number of seconds above 0"):
        Shedding(Failing(FULL), retry_after=seconds)
