"""PostgreSQL's messages by name, on their way through a proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from dbpool.errors import UsageError

if TYPE_CHECKING:
    from dbpool.testing.proxying.damage import Damage
    from dbpool.testing.proxying.session import Session


class Way(Enum):
    """A direction."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Do(Enum):
    """What becomes of a message."""

    PASS = "goes on"
    DROP = "is lost; what follows goes on"
    STALL = "waits for resume(), as does all that follows in its session"
    LAST = "goes on; all that follows in its session waits for resume()"
    RESET = "is lost, and both ends see a reset"
    FINISH = "is lost, and both ends see an orderly end"
    RESET_BEHIND = "goes on, and both ends see a reset behind it"
    FINISH_BEHIND = "goes on, and both ends see an orderly end behind it"


# What has no letter: what a client begins with, the server's answer to a request for TLS, and all that is encrypted.
STARTUP, CANCEL, SSL, GSS, SSL_ANSWER, ENCRYPTED = "startup", "cancel", "ssl", "gss", "ssl answer", "encrypted"

# Protocol 3.0, "Message Formats": the code that stands where a StartupMessage has its version.
BEGINNINGS: Final = {80877102: CANCEL, 80877103: SSL, 80877104: GSS}

_BEFORE = {
    STARTUP: "StartupMessage",
    CANCEL: "CancelRequest",
    SSL: "SSLRequest",
    GSS: "GSSENCRequest",
    ENCRYPTED: "encrypted",
}
_OF_CLIENTS = (
    "B Bind, C Close, d CopyData, c CopyDone, f CopyFail, D Describe, E Execute, H Flush, F FunctionCall, P Parse, "
    "p PasswordMessage, Q Query, S Sync, X Terminate"
)
_OF_SERVERS = (
    "R Authentication, K BackendKeyData, 2 BindComplete, 3 CloseComplete, C CommandComplete, d CopyData, c CopyDone, "
    "G CopyInResponse, H CopyOutResponse, W CopyBothResponse, D DataRow, I EmptyQueryResponse, E ErrorResponse, "
    "V FunctionCallResponse, v NegotiateProtocolVersion, n NoData, N NoticeResponse, A NotificationResponse, "
    "t ParameterDescription, S ParameterStatus, 1 ParseComplete, s PortalSuspended, Z ReadyForQuery, T RowDescription"
)


def _names(text: str) -> dict[str, str]:
    return dict(each.split(" ") for each in text.split(", "))


NAMES: Final = {
    Way.TO_SERVER: _BEFORE | _names(_OF_CLIENTS),
    Way.TO_CLIENT: {SSL_ANSWER: "SSLResponse", ENCRYPTED: "encrypted"} | _names(_OF_SERVERS),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way."""

    session: Session
    way: Way
    kind: str
    """The protocol's letter; "startup", "cancel", "ssl" or "gss" for what a client begins with, "encrypted" behind."""
    body: bytes
    """What follows its length."""

    @property
    def name(self) -> str:
        """As the protocol's documentation has it, as ``CommandComplete``; the letter where that has none."""
        return NAMES[self.way].get(self.kind, self.kind)

    def says(self, kind: str, text: bytes = b"") -> bool:
        """Whether a client sends this: a letter, and what is in it."""
        return self.way is Way.TO_SERVER and self.kind == kind and text in self.body


Rule: TypeAlias = "Callable[[Message], Do | Damage]"


def let_all_pass(_: Message) -> Do:
    """The rule of a proxy to which nothing was said."""
    return Do.PASS


def checked_name(name: str, way: Way | None) -> str:
    """*name*, if some message that goes *way* has it; None: either way.

    Raises:
        UsageError: none has; the message lists those that there are.
    """
    known = sorted({each for one in Way if way in (None, one) for each in NAMES[one].values()})
    if name not in known:
        where = "" if way is None else f" {way.value}"
        raise UsageError(f"no message{where} is called {name!r}; there are {', '.join(known)}")
    return name
