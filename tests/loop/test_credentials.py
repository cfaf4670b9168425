"""Secrets asked for once, kept for a while, and quoted nowhere."""

from __future__ import annotations

import asyncio
import gc
import socket
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dbpool.credentials import Credentials
from dbpool.driver import Driver
from dbpool.dsn import Dsn
from dbpool.errors import CredentialsError
from dbpool.settings import PoolSettings
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


async def password(credentials: Credentials, timeout: float = 10.0) -> str:
    return (await credentials.get(now() + timeout)).password


async def test_an_answer_is_used_again_until_it_is_too_old() -> None:
    credentials = Credentials(vault := Vault(), ttl=100.0)
    assert [await password(credentials) for _ in range(3)] == ["secret 1"] * 3
    await asyncio.sleep(99)
    assert await password(credentials) == "secret 1"
    await asyncio.sleep(2)
    assert await password(credentials) == "secret 2"
    assert vault.asked == 2


async def test_many_at_once_ask_once() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    assert await asyncio.gather(*(password(credentials) for _ in range(50))) == ["secret 1"] * 50
    assert vault.asked == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    first, second = (asyncio.create_task(password(credentials)) for _ in range(2))
    await settle()
    first.cancel()
    results = await outcomes(first, second)
    assert first.cancelled()
    assert results[1] == "secret 1"
    assert vault.asked == 1


async def test_a_refused_secret_is_asked_for_anew_once_however_many_were_refused() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    old = await credentials.get(now() + 10)
    for _ in range(5):
        credentials.refused(old)
    assert await asyncio.gather(*(password(credentials) for _ in range(5))) == ["secret 2"] * 5
    credentials.refused(old)  # a late one: that secret was replaced already
    assert await password(credentials) == "secret 2"
    assert vault.asked == 2


async def test_a_callback_that_hangs_ends_in_time_and_is_asked_again() -> None:
    credentials = Credentials(vault := Vault(1e6), ttl=100.0)
    began = now()
    with pytest.raises(CredentialsError, match="has not answered in time"):
        await password(credentials)
    assert now() - began == pytest.approx(10)
    vault.after_s = 0.0
    assert await password(credentials) == "secret 2"


async def test_each_waits_no_longer_than_it_has_time() -> None:
    credentials = Credentials(vault := Vault(5.0), ttl=100.0)
    results = await outcomes(*(asyncio.create_task(password(credentials, timeout)) for timeout in (1.0, 10.0)))
    assert isinstance(results[0], CredentialsError)
    assert results[1] == "secret 1"
    assert vault.asked == 1


async def test_the_last_who_gives_up_ends_the_callback() -> None:
    ended = asyncio.Event()

    async def ask() -> str:
        try:
            return await asyncio.Future[str]()
        finally:
            ended.set()

    credentials = Credentials(ask, ttl=100.0)
    first, second = (asyncio.create_task(password(credentials)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert not ended.is_set()
    second.cancel()
    await settle()
    assert ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_callback_that_does_not_mind_being_cancelled_is_left_behind_with_its_answer() -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            return f"secret {asked}"
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1e6)
        await asyncio.sleep(50)
        return "too late"

    credentials = Credentials(ask, ttl=1e6)
    with pytest.raises(CredentialsError, match="has not answered in time"):
        await password(credentials)
    assert await password(credentials) == "secret 2"
    await asyncio.sleep(100)
    assert await password(credentials) == "secret 2"
    assert asked == 2


async def test_a_secret_refused_while_a_new_one_is_asked_for_is_asked_for_once() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    old = await credentials.get(now() + 10)
    credentials.refused(old)
    asking = asyncio.create_task(password(credentials))
    await settle()
    credentials.refused(old)
    assert [await password(credentials), await asking] == ["secret 2", "secret 2"]
    assert vault.asked == 2


async def test_a_renewal_asks_anew_once_and_keeps_no_answer_that_was_under_way() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    assert await password(credentials) == "secret 1"
    credentials.renew()
    early = asyncio.create_task(password(credentials))
    await settle()
    credentials.renew()
    assert await asyncio.gather(*(password(credentials) for _ in range(5))) == ["secret 3"] * 5
    assert await early == "secret 2"
    assert await password(credentials) == "secret 3"
    assert vault.asked == 3


async def test_one_who_gives_up_on_an_answer_from_before_a_renewal_leaves_the_newer_question_alone() -> None:
    credentials = Credentials(vault := Vault(1.0), ttl=100.0)
    early = asyncio.create_task(password(credentials))
    await settle()
    credentials.renew()
    late = asyncio.create_task(password(credentials))
    await settle()
    early.cancel()
    await settle()
    assert await password(credentials) == await late == "secret 2"
    assert vault.asked == 2


async def test_a_failure_is_not_kept() -> None:
    answers = iter([None, "secret"])
    credentials = Credentials(lambda: next(answers), ttl=100.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(CredentialsError):
        await password(credentials)
    assert await password(credentials) == "secret"


def raises(error: BaseException) -> Callable[[], str]:
    def ask() -> str:
        raise error

    return ask


class Odd(BaseException):
    """What no handler of exceptions expects."""


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (raises(ValueError(CANARY)), "raised ValueError"),
        (raises(Odd(CANARY)), "raised Odd"),
        (raises(GeneratorExit(CANARY)), "raised GeneratorExit"),
        (raises(asyncio.CancelledError(CANARY)), "raised CancelledError"),
        (raises(TimeoutError(CANARY)), "raised TimeoutError"),
        (lambda: "", "must return a password.*an empty one"),
        (lambda: None, "must return a password.*NoneType"),
        (CANARY.encode, "must return a password.*bytes"),
        (lambda: ("app", CANARY, "more"), "must return a password.*tuple"),
        (lambda: ["app", CANARY], "must return a password.*list"),
        (lambda: ("", CANARY), "must return a password.*tuple"),
        (lambda: f"{CANARY}\n", "returned a control character"),
        (lambda: f"{CANARY}\udc80", "returned a control character.*or a lone surrogate"),
        (lambda: (f"app\0{CANARY}", "pw"), "returned a control character"),
    ],
)
async def test_what_goes_wrong_is_told_in_one_sentence_without_the_secret(ask: Callable[[], str], told: str) -> None:
    with pytest.raises(CredentialsError, match=told) as caught:
        await Credentials(ask, ttl=100.0).get(now() + 10)
    assert CANARY not in "".join(traceback.format_exception(caught.value)).replace(__file__, "")


@pytest.mark.parametrize("error", [KeyboardInterrupt(CANARY), SystemExit(CANARY)])
def test_what_ends_the_program_ends_the_loop_once_and_is_told_to_who_asked(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> str:
        raise error

    async def get() -> object:
        return await Credentials(ask, ttl=100.0).get(asyncio.get_running_loop().time() + 10)

    with closing(asyncio.new_event_loop()) as loop:
        task = loop.create_task(get())
        with pytest.raises(type(error)):
            loop.run_until_complete(task)
        with pytest.raises(CredentialsError, match=f"raised {type(error).__name__}"):
            loop.run_until_complete(task)
    gc.collect()
    assert caplog.text == ""


async def test_a_callback_left_behind_that_fails_is_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> str:
        try:
            await asyncio.sleep(1e6)
        finally:
            raise Odd(CANARY)

    with pytest.raises(CredentialsError, match="has not answered in time"):
        await password(Credentials(ask, ttl=100.0))
    await settle()
    gc.collect()
    assert caplog.text == ""


async def test_a_function_may_answer_at_once_and_name_a_user() -> None:
    secret = await Credentials(lambda: ("app", CANARY), ttl=100.0).get(now() + 10)
    assert (secret.user, secret.password) == ("app", CANARY)
    assert CANARY not in repr(secret)


async def test_an_answer_and_the_connect_have_connect_timeout_together(tmp_path: Path) -> None:
    async def ask() -> str:
        await asyncio.sleep(4)
        return CANARY

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen()
        dsn = Dsn(f"postgresql:///shop?user=app&host={tmp_path}")
        driver = Driver(PoolSettings(dsn=dsn, credentials=ask, connect_timeout=10.0))
        with pytest.raises(TimeoutError):
            await driver.connect_apart()
    assert now() == pytest.approx(10)
