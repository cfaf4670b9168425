"""status_app: a pool's status page, its JSON and its probes as one ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from dbpool.pool import DatabasePool
from dbpool.web import answers
from dbpool.web.access import Access, Admission
from dbpool.web.answers import Answer
from dbpool.web.asgi import Receive, Scope, Send
from dbpool.web.board import Board
from dbpool.web.page import ASK_POLICY, POLICY, onward_page, page_of, token_page
from dbpool.web.probes import Readiness
from dbpool.web.streams import Streams

LONGEST_FORM: Final = 4096  # bytes
FORM_S: Final = 10.0  # to send it


def status_app(*pools: DatabasePool, token: str | None = None, title: str | None = None) -> StatusApp:
    """An ASGI app that shows what *pools* do, live; to be mounted at a path, or run by a server.

    ====================  =============================================================================
    ``/``                 the page: whether all is well, who holds, who waits, slow statements, minutes
    ``/status.json``      the same as JSON
    ``/healthz``          200: the process and its event loop answer
    ``/readyz``           200: every pool is open and reaches its server; else 503 with ``reasons``.
                          ``?deep=1`` asks the server, too
    ====================  =============================================================================

    The page and its JSON have statements and places in the program, never parameters or a password. Without a *token*
    they are shown only to who asks on this machine itself, with one to who has it: as ``Authorization: Bearer``, in the
    page's form, or once as ``?token=``; a cookie then keeps it. The probes say a word to everybody.

    The pools' numbers are sampled once a second, for five minutes back, from when the first of them opens until all are
    closed; a closed pool is not kept.

    Args:
        pools: with names of their own, open or not.
        token: at least 16 characters, as ``secrets.token_urlsafe()`` makes.
        title: stands above the page; None: the pools' names.
    Raises:
        SettingsError: there is no pool, two have one name, or the token is too short.
    Example: ``app.mount("/status", status_app(db, token=os.environ["STATUS_TOKEN"]))``
    """
    return StatusApp(Board(pools, title), Access(token))


class StatusApp:
    """What ``status_app`` returns."""

    def __init__(self, board: Board, access: Access) -> None:
        self._board = board
        self._access = access
        self._streams = Streams(board)
        self._readiness = [Readiness(watch) for watch in board.watches]
        self._open: dict[str, Callable[[Scope], Awaitable[Answer]]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/favicon.ico": self._no_icon,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise ValueError(f"status_app answers HTTP, not {other!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        """Run by a server itself, it begins and ends with it."""
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                self._board.wake()
            else:
                self._board.stop()
                self._streams.end()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = path_of(scope), scope["method"]
        allowed = ("GET", "HEAD", "POST") if path == "/" and self._access.has_token else ("GET", "HEAD")
        if path in self._open and method in allowed:
            answer = await self._open[path](scope)
        elif path not in {*self._open, "/", "/status.json", "/update.json", "/events"}:
            answer = answers.text(404, "There is nothing here.")
        elif method not in allowed:
            answer = answers.text(405, f"{method} is not for this.", ("allow", ", ".join(allowed)))
        elif path == "/":
            answer = await self._page(scope, receive)
        elif (admission := self._access.admission(scope)) is not Admission.GRANTED:
            answer = self._refusal(admission)
        elif path == "/events" and method == "GET" and not self._streams.is_full:
            await self._streams.run(receive, send)
            return
        elif path == "/events":
            answer = answers.text(200 if method == "HEAD" else 503, "Too many look on already.", ("retry-after", "5"))
        else:
            snapshot = self._board.now()
            answer = answers.json_answer(200, snapshot.document if path == "/status.json" else snapshot.whole)
        await answer.send(scope, send)

    async def _page(self, scope: Scope, receive: Receive) -> Answer:
        if (folder := folder_of(scope)) is not None:
            query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
            return answers.text(307, "The page is in the folder of this name.", ("location", folder + query))
        if scope["method"] == "POST":
            return await self._take_form(scope, receive)
        if self._access.has_token and (given := _field(scope["query_string"], "token")) is not None:
            admission = self._access.admission_by(given)
            if admission is Admission.GRANTED:
                page = onward_page(self._board.title)
                return answers.html(200, page, ASK_POLICY, ("set-cookie", self._access.cookie(scope)))
        else:
            admission = self._access.admission(scope)
        if admission is Admission.GRANTED:
            return answers.html(200, page_of(self._board.now()), POLICY)
        return self._refused_page(admission)

    async def _take_form(self, scope: Scope, receive: Receive) -> Answer:
        given = _field(await _body(receive), "token")
        if self._access.admission_by(given or "") is not Admission.GRANTED:
            return self._refused_page(Admission.WRONG)
        return answers.text(303, "", ("location", "./"), ("set-cookie", self._access.cookie(scope)))

    def _refused_page(self, admission: Admission) -> Answer:
        if admission is Admission.ELSEWHERE:
            return self._refusal(admission)
        page = token_page("Status", admission.value)
        return answers.html(401, page, ASK_POLICY, ("www-authenticate", "Bearer"))

    def _refusal(self, admission: Admission) -> Answer:
        if admission is Admission.ELSEWHERE:
            return answers.text(403, admission.value)
        return answers.text(401, admission.value, ("www-authenticate", "Bearer"))

    async def _healthz(self, _: Scope) -> Answer:
        return answers.json_answer(200, {"status": "ok"})

    async def _readyz(self, scope: Scope) -> Answer:
        deep = _field(scope["query_string"], "deep") in ("1", "true")
        found = await asyncio.gather(*(each.reason(deep=deep) for each in self._readiness))
        many = len(found) > 1
        reasons = [
            f"pool {number} of {len(found)}: {reason}" if many else reason
            for number, reason in enumerate(found, 1)
            if reason is not None
        ]
        if reasons:
            return answers.json_answer(503, {"status": "unavailable", "reasons": reasons}, ("retry-after", "1"))
        return answers.json_answer(200, {"status": "ok"})

    async def _no_icon(self, _: Scope) -> Answer:
        return Answer(204, b"", "image/x-icon")  # browsers ask, and would call it an error


def path_of(scope: Scope) -> str:
    """The path below where the app is mounted, as ``/`` or ``/status.json``.

    ASGI's path has the mount's in it, which ``root_path`` tells. Litestar cuts it off, and adds a slash at the end.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    rest = path.removeprefix(root)
    return "/" + (rest if rest.startswith("/") or not rest else str(path)).strip("/")


def folder_of(scope: Scope) -> str | None:
    """Where the page is from here, if it was asked for without the slash at its end; None: here.

    Without it a browser would look for what the page asks for beside the page's folder, not in it.
    """
    asked = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    if not asked or asked.endswith("/"):
        return None
    return f"{asked.rpartition('/')[2]}/"


def _field(encoded: bytes, name: str) -> str | None:
    """A field of a form or a query; None: it has none."""
    try:
        values = parse_qs(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=20).get(name)
    except ValueError:
        return None
    return values[-1] if values else None


async def _body(receive: Receive) -> bytes:
    """What a form sends; nothing, where that is too long or takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_S):
            while True:
                received = await receive()
                if received["type"] == "http.disconnect":
                    return b""
                body += received.get("body", b"")
                if len(body) > LONGEST_FORM:
                    return b""
                if not received.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        return b""
