"""How a transaction is begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbpool.errors import UsageError

_ISOLATION = ("read_uncommitted", "read_committed", "repeatable_read", "serializable")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TransactionOptions:
    """How a transaction is begun.

    Raises:
        UsageError: an unknown isolation level, or settings that are none.
    """

    isolation: str | None = None
    """``read_committed``, ``repeatable_read`` or ``serializable``; None: the server's default."""
    readonly: bool = False
    deferrable: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Parameters set for this transaction only, as by SET LOCAL; they are gone when it ends."""
    traceable: bool = False
    """Ask for the transaction's id before COMMIT (one round trip), so that a lost answer can be resolved."""

    def __post_init__(self) -> None:
        if self.isolation is not None and self.isolation not in _ISOLATION:
            raise UsageError(f"isolation must be one of {', '.join(_ISOLATION)}, not {self.isolation!r}")
        if self.settings:
            self._check_settings(self.settings)

    @staticmethod
    def _check_settings(settings: object) -> None:
        if not isinstance(settings, Mapping):
            raise UsageError(f"settings must be a mapping, as {{'app.tenant': 'ada'}}, not {type(settings).__name__}")
        for name, value in settings.items():
            if not isinstance(name, str) or value is None:  # whose text would be one tenant of all who have none
                raise UsageError(f"settings must be texts by name, not {type(value).__name__} by {name!r}")

    def begin(self) -> str:
        """The BEGIN statement."""
        words = ["BEGIN"]
        if self.isolation is not None:
            words.append(f"ISOLATION LEVEL {self.isolation.replace('_', ' ').upper()}")
        if self.readonly:
            words.append("READ ONLY")
        if self.deferrable:
            words.append("DEFERRABLE")
        return " ".join(words)

    def check_inside(self, outermost: TransactionOptions) -> None:
        """Refuse for a savepoint what only the *outermost* transaction can have."""
        is_other = self.isolation not in (None, outermost.isolation) or (self.readonly and not outermost.readonly)
        if is_other or self.deferrable:
            raise UsageError("isolation, readonly and deferrable belong to the outermost transaction: give them there")
