"""How long a migration waits for whom."""

from __future__ import annotations

from dataclasses import dataclass

from dbpool.errors import SettingsError

CONNECT_TIMEOUT = 10.0  # seconds: a migration is started by hand or by a deployment, which wants to hear soon
LOCK_TIMEOUT = 60.0  # seconds: longer than any migration that is not meant for a maintenance window
POLL = 0.05  # seconds between two looks at a lock; a migration takes longer


@dataclass(frozen=True, slots=True)
class TableLocks:
    """How a step takes the locks that its statements need, without making the application wait for long.

    A statement that waits for ACCESS EXCLUSIVE behind a long query has everybody else wait behind it. So it waits for
    *timeout_s* only (the server's ``lock_timeout``); then the step is rolled back, and the application goes on, while
    the step pauses and tries again.

    Args:
        timeout_s: seconds that a try waits for a lock, and that the application may have to wait; 0: for ever.
        patience_s: seconds after which a step that still finds its locks taken is given up.

    Raises:
        SettingsError: *timeout_s* is below a millisecond and not 0, or *patience_s* is negative.
    """

    timeout_s: float = 1.0  # what most callers' own time limits bear
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if not (self.timeout_s == 0 or 0.001 <= self.timeout_s <= 86_400) or not 0 <= self.patience_s <= 86_400:
            raise SettingsError(
                f"timeout_s={self.timeout_s}, patience_s={self.patience_s}: the first is 0 or 0.001 to 86400 seconds, "
                f"the second 0 to 86400."
            )

    @property
    def setting(self) -> str:
        """The server's ``lock_timeout``, in milliseconds."""
        return str(round(self.timeout_s * 1000))
