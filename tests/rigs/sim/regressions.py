"""Seeds that once broke something: each is a test by the name that it has here."""

from __future__ import annotations

from typing import Final

REGRESSIONS: Final[dict[str, int]] = {
    "a pool is made larger and smaller in one step, with a caller in line": 46,
    "its own work has the permit when a pool is made smaller": 738,
    "a connect begins for a permit that goes with the shrinking": 1100,
    "a connection is lost whose caller's coroutine is closed by hand": 622,
}
