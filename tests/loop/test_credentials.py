"""Secrets asked for once, kept for a while, and quoted nowhere."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import pytest

from dbpool.credentials import Credentials
from dbpool.errors import CredentialsError
from tests.support.loops import now, outcomes, settle

CANARY = "canary-7c1f"


class Vault:
    """Answers with the number of times it was asked."""

    def __init__(self, after_s: float = 0.0) -> None:
        self.after_s = after_s
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(self.after_s)
        return f"secret {number}"


async def password(credentials: Credentials) -> str:
    return (await credentials.get()).password


async def test_an_answer_is_used_again_until_it_is_too_old() -> None:
    credentials = Credentials(vault := Vault(), ttl=100.0, timeout=10.0)
    assert [await password(credentials) for _ in range(3)] == ["secret 1"] * 3
    await asyncio.sleep(99)
    assert await password(credentials) == "secret 1"
    await asyncio.sleep(2)
    assert await password(credentials) == "secret 2"
    assert vault.asked == 2


async def test_many_at_once_ask_once() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0, timeout=10.0)
    assert await asyncio.gather(*(password(credentials) for _ in range(50))) == ["secret 1"] * 50
    assert vault.asked == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0, timeout=10.0)
    first, second = (asyncio.create_task(password(credentials)) for _ in range(2))
    await settle()
    first.cancel()
    results = await outcomes(first, second)
    assert first.cancelled()
    assert results[1] == "secret 1"
    assert vault.asked == 1


async def test_a_refused_secret_is_asked_for_anew_once_however_many_were_refused() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0, timeout=10.0)
    old = await credentials.get()
    for _ in range(5):
        credentials.refused(old)
    assert await asyncio.gather(*(password(credentials) for _ in range(5))) == ["secret 2"] * 5
    credentials.refused(old)  # a late one: that secret was replaced already
    assert await password(credentials) == "secret 2"
    assert vault.asked == 2


async def test_a_callback_that_hangs_ends_in_time_and_is_asked_again() -> None:
    credentials = Credentials(vault := Vault(1e6), ttl=100.0, timeout=10.0)
    began = now()
    with pytest.raises(CredentialsError, match="has not answered in time"):
        await credentials.get()
    assert now() - began == pytest.approx(10)
    vault.after_s = 0.0
    assert await password(credentials) == "secret 2"


def raises(error: BaseException) -> Callable[[], str]:
    def ask() -> str:
        raise error

    return ask


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (raises(ValueError(CANARY)), "raised ValueError"),
        (raises(asyncio.CancelledError(CANARY)), "raised CancelledError"),
        (raises(TimeoutError(CANARY)), "has not answered in time"),
        (lambda: "", "must return a password.*an empty one"),
        (lambda: None, "must return a password.*NoneType"),
        (CANARY.encode, "must return a password.*bytes"),
        (lambda: ("app", CANARY, "more"), "must return a password.*tuple"),
        (lambda: ["app", CANARY], "must return a password.*list"),
        (lambda: ("", CANARY), "must return a password.*tuple"),
    ],
)
async def test_what_goes_wrong_is_told_in_one_sentence_without_the_secret(ask: Callable[[], str], told: str) -> None:
    with pytest.raises(CredentialsError, match=told) as caught:
        await Credentials(ask, ttl=100.0, timeout=10.0).get()
    assert CANARY not in "".join(traceback.format_exception(caught.value)).replace(__file__, "")


async def test_a_function_may_answer_at_once_and_name_a_user() -> None:
    secret = await Credentials(lambda: ("app", CANARY), ttl=100.0, timeout=10.0).get()
    assert (secret.user, secret.password) == ("app", CANARY)
    assert CANARY not in repr(secret)
